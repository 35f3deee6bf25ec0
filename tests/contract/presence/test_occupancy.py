"""Holds over the occupancy: what a booking under an event type would take, and no more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest

from tests.contract.presence.catalog import Catalog
from tests.contract.presence.client import HOUR, START, Client, moment, new_session, refusal
from tests.contract.presence.conftest import Serve

QUARTER = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)


async def test_the_buffers_of_the_event_type_are_held_rounded_out(
    client: Client, catalog: Catalog
) -> None:
    catalog.offer("session", "studio-a", before=10 * MINUTE, after=20 * MINUTE)

    answer = await client.heartbeat(new_session(), event_type_id="session")

    assert await client.spans() == ["studio-a 13:45-15:30"]
    assert moment(answer.hold_start_time) == START - QUARTER
    assert moment(answer.hold_end_time) == START + HOUR + 2 * QUARTER


async def test_without_an_event_type_the_time_is_held_as_it_is(
    client: Client, catalog: Catalog
) -> None:
    catalog.offer("session", "studio-a", lengths=(3 * HOUR,), before=HOUR, after=HOUR)

    answer = await client.heartbeat(new_session())

    assert await client.spans() == ["studio-a 14:00-15:00"]
    assert moment(answer.hold_start_time) == START
    assert moment(answer.hold_end_time) == START + HOUR


async def test_a_length_and_its_buffer_are_rounded_together(
    client: Client, catalog: Catalog
) -> None:
    catalog.offer("session", "studio-a", lengths=(50 * MINUTE,), after=10 * MINUTE)

    await client.heartbeat(new_session(), event_type_id="session", length=50 * MINUTE)

    assert await client.spans() == ["studio-a 14:00-15:00"]


async def test_anothers_buffer_is_in_the_way(client: Client, catalog: Catalog) -> None:
    catalog.offer("session", "studio-a", after=2 * QUARTER)
    await client.heartbeat(new_session(), event_type_id="session")

    refused = await refusal(client.heartbeat(new_session(), start=START + HOUR))

    assert refused.metadata["quanta.2027-03-09"] == "60,61"
    assert await client.outcome(new_session(), start=START + HOUR + 2 * QUARTER) == "granted"


async def test_an_unknown_event_type_is_refused_by_name(client: Client) -> None:
    refused = await refusal(client.heartbeat(new_session(), event_type_id="nothing"))

    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.metadata == {"kind": "event_type", "id": "nothing"}


async def test_a_hold_outlives_its_event_type(serve: Serve, catalog: Catalog) -> None:
    catalog.offer("session", "studio-a", after=2 * QUARTER)
    terms: dict[str, Any] = {"event_type_id": "session"}
    session = new_session()
    async with serve(catalog_fresh_seconds=0) as client:
        stream = client.hold(session)
        await client.heartbeat(session, **terms)
        await stream.say({"studio-a/b": (START, HOUR)}, **terms)

        catalog.withdraw("session")

        assert await client.outcome(session, **terms) == "granted"
        assert await stream.say() == {"studio-a/b": "HELD"}
        assert await client.spans() == ["studio-a 14:00-15:30"] * 2
        assert await client.outcome(session, **terms, start=START - HOUR) == "NOT_FOUND"
        assert await client.outcome(session, **terms, length=2 * HOUR) == "NOT_FOUND"


async def test_a_stream_holds_buffers_and_tells_them(client: Client, catalog: Catalog) -> None:
    catalog.offer("session", "studio-a", before=QUARTER, after=2 * QUARTER)
    stream = client.hold(new_session())

    await stream.say({"studio-a": (START, HOUR)}, event_type_id="session")
    told = [stream.result("studio-a")]
    await stream.say()
    told.append(stream.result("studio-a"))

    for result in told:
        assert moment(result.hold_start_time) == START - QUARTER
        assert moment(result.hold_end_time) == START + HOUR + 2 * QUARTER
    assert await client.spans() == ["studio-a 13:45-15:30"]


async def test_an_unknown_event_type_refuses_one_hold_of_a_stream(client: Client) -> None:
    stream = client.hold(new_session())

    assert await stream.say({"studio-a": (START, HOUR)}, event_type_id="nothing") == {
        "studio-a": "NOT_FOUND"
    }
    assert await stream.say({"studio-a": (START, HOUR)}) == {"studio-a": "HELD"}


async def test_what_no_event_type_books_may_be_held_for_31_days(client: Client) -> None:
    assert await client.outcome(new_session(), length=timedelta(days=31)) == "granted"


@pytest.mark.parametrize("event_type_id", ["/", "a b", "x" * 129])
async def test_event_types_have_names(client: Client, event_type_id: str) -> None:
    refused = await refusal(client.heartbeat(new_session(), event_type_id=event_type_id))

    assert refused.fields == ("event_type_id",)


async def test_while_the_catalog_is_silent_unknown_buffers_refuse_what_is_new(
    serve: Serve, client: Client, catalog: Catalog
) -> None:
    catalog.offer("session", "studio-a", after=2 * QUARTER)
    session = new_session()
    await client.heartbeat(session, event_type_id="session")
    catalog.fails_with = grpc.StatusCode.UNAVAILABLE

    async with serve() as fresh:  # it has heard nothing of the catalog yet
        anew = Client(fresh.channel, client.organization_id)
        stream = anew.hold(session)

        refused = await refusal(anew.heartbeat(new_session(), "studio-b", event_type_id="session"))
        going_on = await stream.say({"studio-a": (START, HOUR)}, event_type_id="session")
        beginning = await stream.say({"studio-b": (START, HOUR)}, event_type_id="session")
        plain = await stream.say({"studio-c": (START, HOUR)})

    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    assert going_on == {"studio-a": "HELD"}
    assert beginning == {"studio-a": "HELD", "studio-b": "UNAVAILABLE"}
    assert plain == {"studio-a": "HELD", "studio-c": "HELD"}
    assert await client.spans() == ["studio-a 14:00-15:30"]
