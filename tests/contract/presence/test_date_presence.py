"""GetDatePresence: which holds it shows, and in which order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import grpc
import pytest

from holdfast.catalog.v1.resource_pb2 import HOLD_POLICY_ADVISORY
from holdfast.presence.v1 import presence_pb2
from tests.contract.presence.catalog import Catalog
from tests.contract.presence.client import (
    DAY,
    HOUR,
    START,
    Client,
    new_session,
    refusal,
)

MIDNIGHT = datetime(2027, 3, 9, tzinfo=UTC)
ONE_DAY = timedelta(days=1)


async def test_nobody_holds_a_resource_unknown_or_not(client: Client, catalog: Catalog) -> None:
    assert await client.holds("studio-a", "never-heard-of") == []
    assert catalog.asked == []


@pytest.mark.parametrize(
    ("start", "length", "dates"),
    [
        (MIDNIGHT - HOUR, HOUR, {8}),
        (MIDNIGHT - HOUR, 2 * HOUR, {8, 9}),
        (MIDNIGHT, ONE_DAY, {9}),
        (MIDNIGHT + ONE_DAY - HOUR, HOUR, {9}),
        (MIDNIGHT + ONE_DAY, HOUR, {10}),
        (MIDNIGHT - HOUR, 2 * ONE_DAY, {8, 9, 10}),
    ],
    ids=["before", "into", "all of it", "end of it", "after", "over it"],
)
async def test_a_hold_is_shown_on_the_utc_dates_it_touches(
    client: Client, start: datetime, length: timedelta, dates: set[int]
) -> None:
    await client.heartbeat(new_session(), start=start, length=length)

    shown = {d for d in (7, 8, 9, 10, 11) if await client.holds(dates=(date(2027, 3, d),))}

    assert shown == dates


async def test_a_hold_between_two_dates_asked_for_is_not_shown(client: Client) -> None:
    await client.heartbeat(new_session())

    assert await client.holds(dates=(DAY - ONE_DAY, DAY + ONE_DAY)) == []


async def test_a_hold_over_several_dates_is_shown_once(client: Client) -> None:
    await client.heartbeat(new_session(), length=3 * ONE_DAY)

    assert len(await client.holds(dates=(DAY + ONE_DAY, DAY, DAY + 2 * ONE_DAY))) == 1


async def test_holds_are_ordered_by_resource_asked_then_start_then_holder(
    client: Client, catalog: Catalog
) -> None:
    catalog.know("studio-b", hold_policy=HOLD_POLICY_ADVISORY)
    for session in [new_session() for _ in range(5)]:
        await client.heartbeat(session, "studio-b")
    await client.heartbeat(new_session(), "studio-b", start=START - HOUR)
    await client.heartbeat(new_session(), "studio-a")

    holds = await client.holds("studio-b", "studio-a")

    assert [hold.resource_id for hold in holds] == ["studio-b"] * 6 + ["studio-a"]
    keys = [(hold.start_time.seconds, hold.holder_id) for hold in holds[:6]]
    assert keys == sorted(keys)


async def test_a_session_has_one_holder_id_in_an_organization(client: Client) -> None:
    session, elsewhere = new_session(), client.elsewhere()
    await client.heartbeat(session, "studio-a")
    await client.heartbeat(session, "studio-b")
    await elsewhere.heartbeat(session, "studio-a")

    here = {hold.holder_id for hold in await client.holds("studio-a", "studio-b")}
    there = {hold.holder_id for hold in await elsewhere.holds("studio-a")}

    assert len(here) == len(there) == 1
    assert here.isdisjoint(there)


@pytest.mark.parametrize(
    ("resources", "dates", "field"),
    [
        (0, 1, "resource_ids"),
        (101, 1, "resource_ids"),
        (1, 0, "dates"),
        (1, 94, "dates"),
        (4, 81, "dates"),
    ],
)
async def test_too_much_or_nothing_is_refused(
    client: Client, resources: int, dates: int, field: str
) -> None:
    request = _request(client, [f"room-{n}" for n in range(resources)], dates)

    refused = await refusal(client.stub.GetDatePresence(request))

    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))


@pytest.mark.parametrize(("resources", "dates"), [(100, 3), (3, 93), (4, 80)])
async def test_the_bounds_themselves_are_allowed(
    client: Client, resources: int, dates: int
) -> None:
    await client.heartbeat(new_session(), "room-1")

    request = _request(client, [f"room-{n}" for n in range(resources)], dates)

    assert len((await client.stub.GetDatePresence(request)).holds) == 1


async def test_nothing_may_be_named_twice(client: Client) -> None:
    request = _request(client, ["studio-a", "studio-a"], 1)
    request.dates.append(request.dates[0])

    refused = await refusal(client.stub.GetDatePresence(request))

    assert refused.fields == ("resource_ids", "dates")


def _request(
    client: Client, resource_ids: list[str], dates: int
) -> presence_pb2.GetDatePresenceRequest:
    request = presence_pb2.GetDatePresenceRequest(
        organization_id=client.organization_id, resource_ids=resource_ids
    )
    for number in range(dates):
        day = DAY + number * ONE_DAY
        request.dates.add(year=day.year, month=day.month, day=day.day)
    return request
