"""Who holds at an instant, and how many there are."""

from __future__ import annotations

from datetime import datetime, timedelta

import grpc
import pytest

from holdfast.presence.v1 import holder_pb2
from services.presence.domain.hold import holder_of
from tests.contract.presence.catalog import Catalog
from tests.contract.presence.client import HOUR, START, Client, moment, new_session, refusal, until
from tests.contract.presence.conftest import Serve


async def holders(
    client: Client, time: datetime = START, resource_id: str = "studio-a"
) -> holder_pb2.ListHoldersResponse:
    request = holder_pb2.ListHoldersRequest(
        organization_id=client.organization_id, resource_id=resource_id
    )
    request.time.FromDatetime(time)
    return await client.stub.ListHolders(request)


async def count(client: Client, **what: str) -> tuple[int, int]:
    request = holder_pb2.CountHoldersRequest(organization_id=client.organization_id, **what)
    answer = await client.stub.CountHolders(request)
    return answer.holders, answer.holds


@pytest.mark.parametrize(
    ("time", "found"),
    [
        (START - timedelta(microseconds=1), 0),
        (START, 1),
        (START + timedelta(minutes=59), 1),
        (START + HOUR - timedelta(microseconds=1), 1),
        (START + HOUR, 0),
    ],
    ids=str,
)
async def test_a_hold_is_there_from_its_start_to_before_its_end(
    client: Client, time: datetime, found: int
) -> None:
    await client.heartbeat(new_session())

    answer = await holders(client, time)

    assert (len(answer.holds), answer.total) == (found, found)


async def test_the_newest_20_are_listed_the_newest_first(client: Client, catalog: Catalog) -> None:
    catalog.know("bikes", pool=True)
    sessions = [new_session() for _ in range(23)]
    for session in sessions:
        await client.heartbeat(session, "bikes")
    await client.heartbeat(sessions[0], "bikes")

    answer = await holders(client, resource_id="bikes")

    newest = [holder_of(client.organization_id, s).holder_id for s in reversed(sessions)]
    assert answer.total == 23
    assert [hold.holder_id for hold in answer.holds] == newest[:20]
    assert [moment(h.acquire_time) for h in answer.holds] == sorted(
        (moment(h.acquire_time) for h in answer.holds), reverse=True
    )


async def test_nobody_holds_what_nobody_knows(client: Client) -> None:
    assert (await holders(client)).total == 0


async def test_what_is_wrong_with_a_listing_is_named(client: Client) -> None:
    refused = await refusal(client.stub.ListHolders(holder_pb2.ListHoldersRequest()))

    assert refused.fields == ("organization_id", "resource_id", "time")


async def test_sessions_and_holds_of_a_resource_are_counted(client: Client) -> None:
    session = new_session()
    await client.heartbeat(session, hold_id="a")
    await client.heartbeat(session, hold_id="b", start=START + HOUR)
    await client.heartbeat(new_session(), start=START + 3 * HOUR)
    await client.heartbeat(new_session(), "studio-b")

    assert await count(client, resource_id="studio-a") == (2, 3)
    assert await count(client, resource_id="studio-c") == (0, 0)
    assert await count(client.elsewhere(), resource_id="studio-a") == (0, 0)


async def test_holds_under_an_event_type_are_counted_on_the_resources_it_books(
    client: Client, catalog: Catalog
) -> None:
    catalog.offer("session", "studio-a", "studio-b")
    catalog.offer("other", "studio-a")
    session = new_session()
    await client.heartbeat(session, "studio-a", event_type_id="session")
    await client.heartbeat(session, "studio-b", event_type_id="session")
    await client.heartbeat(new_session(), "studio-b", start=START + HOUR, event_type_id="session")
    await client.heartbeat(new_session(), "studio-a", start=START + HOUR, event_type_id="other")
    await client.heartbeat(new_session(), "studio-a", start=START + 2 * HOUR)
    await client.heartbeat(new_session(), "studio-c", event_type_id="session")

    assert await count(client, event_type_id="session") == (2, 3)
    assert await count(client, event_type_id="other") == (1, 1)
    assert await count(client, event_type_id="nothing") == (0, 0)


async def test_a_dead_hold_is_not_counted(serve: Serve) -> None:
    async with serve(hold_timeout_seconds=0.2) as client:
        await client.heartbeat(new_session())

        async def nobody_is_left() -> bool:
            listed = (await holders(client)).total
            return listed == 0 and await count(client, resource_id="studio-a") == (0, 0)

        await until(nobody_is_left)


@pytest.mark.parametrize("what", [{}, {"resource_id": "a", "event_type_id": "b"}], ids=str)
async def test_a_count_is_of_one_thing(client: Client, what: dict[str, str]) -> None:
    refused = await refusal(count(client, **what))

    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("resource_id",))
