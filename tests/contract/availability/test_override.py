"""Overrides: an administrator books against rules of the schedule, and the history says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from tests.contract.availability.conftest import Serve
from tests.contract.availability.engine import (
    MONDAY,
    NINE,
    QUARTER,
    at,
    clean,
    everything,
    got,
    items,
    move,
    moving,
    size,
    told,
)
from tests.contract.availability.world import (
    ALL_DAY,
    HOUR,
    NOW,
    Caller,
    FakeCatalog,
    length,
    stamp,
    weekly,
)

CLOSED = weekly("UTC", {2: [ALL_DAY]})
# What an override lifts: the rule, what breaks it, and when.
LIFTED: dict[str, tuple[dict[str, Any], datetime]] = {
    "DURATION_NOT_OFFERED": ({"duration_options": [length(2 * HOUR)]}, NINE),
    "OUTSIDE_SCHEDULE": ({"schedule": CLOSED}, NINE),
    "NOT_OFFERED_START": ({}, NINE + QUARTER),
    "TOO_SOON": ({"minimum_notice": length(timedelta(days=8))}, NINE),
    "TOO_FAR": ({"horizon": length(timedelta(days=1))}, NINE),
    "the past": ({}, NOW - timedelta(days=2)),
}
# What it does not.
HELD: dict[str, dict[str, Any]] = {
    "INACTIVE": {"active": False},
    "NOT_LINKED": {"linked": False},
    "NOT_STANDALONE": {"resource": {"standalone": False}},
    "SLOT_UNAVAILABLE": {},
}


@pytest.mark.parametrize("rule", LIFTED)
async def test_an_override_lifts_the_rules_of_the_schedule(
    caller: Caller, catalog: FakeCatalog, rule: str
) -> None:
    rules, start = LIFTED[rule]
    catalog.offer(caller.organization_id, **rules)

    refusal = await caller.refused_book(start)
    await caller.book(start, booking_id="b", override_reason="Gala", actor_id="boss")

    assert refusal.reason == ("TOO_SOON" if rule == "the past" else rule)
    found = await got(caller, "b")
    assert told(found.history) == [("CREATED", "CONFIRMED", "boss", "Gala")]
    assert [event.overridden for event in found.history] == [True]
    day = start.date()
    first = (start.hour * 60 + start.minute) // 15
    assert await caller.busy(day, day) == {day: [*range(first, first + 4)]}
    await clean(caller)


@pytest.mark.parametrize("rule", LIFTED)
async def test_an_override_moves_a_booking_where_it_could_not_go(
    caller: Caller, catalog: FakeCatalog, rule: str
) -> None:
    catalog.offer(caller.organization_id)
    await caller.book(at(9, days=1), booking_id="b")
    rules, start = LIFTED[rule]
    catalog.offer(caller.organization_id, **rules)

    refusal = await caller.refusal_of("RescheduleBooking", moving(caller, "b", start))
    moved = await move(caller, "b", start, override_reason="Gala", reason="rain", actor_id="boss")

    assert refusal.reason == ("TOO_SOON" if rule == "the past" else rule)
    assert moved.start_time.ToDatetime(UTC) == start
    history = (await got(caller, "b")).history
    assert told(history)[1:] == [("RESCHEDULED", "CONFIRMED", "boss", "Gala")]
    assert [event.overridden for event in history] == [False, True]


@pytest.mark.parametrize("rule", HELD)
async def test_an_override_lifts_nothing_else(
    caller: Caller, catalog: FakeCatalog, availability_url: str, rule: str
) -> None:
    catalog.offer(caller.organization_id)
    await caller.book(NINE)
    await caller.book(at(12), booking_id="b")
    catalog.offer(caller.organization_id, schedule=CLOSED, **HELD[rule])
    before = everything(availability_url, caller)

    book = await caller.refused_book(NINE, override_reason="Gala")
    again = await caller.refusal_of(
        "RescheduleBooking", moving(caller, "b", NINE, override_reason="Gala")
    )

    assert (book.reason, again.reason) == (rule, rule)
    assert everything(availability_url, caller) == before


async def test_an_override_is_not_allowed_where_nobody_is_trusted_as_an_administrator(
    caller: Caller,
    catalog: FakeCatalog,
    serve: Serve,
    shared_catalog: tuple[FakeCatalog, str],
    availability_url: str,
) -> None:
    catalog.offer(caller.organization_id)
    await caller.book(NINE, booking_id="b")
    before = everything(availability_url, caller)

    async with serve(shared_catalog[1], administration=False) as server:
        refusals = [
            await server.refusal_of(method, request)
            for method, request in (
                ("CreateBooking", caller.order(at(12), override_reason="Gala")),
                ("CreateBooking", caller.order(at(12), items=items("x"), override_reason="Gala")),
                ("RescheduleBooking", moving(caller, "b", at(12), override_reason="Gala")),
            )
        ]
        unwritten = everything(availability_url, caller)
        await server.send("CreateBooking", caller.order(at(12)))

    assert {(found.code, found.reason) for found in refusals} == {
        (grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED")
    }
    assert unwritten == before


async def test_an_override_is_repeated_where_it_would_not_be_allowed_by_now(
    caller: Caller, catalog: FakeCatalog, serve: Serve, shared_catalog: tuple[FakeCatalog, str]
) -> None:
    catalog.offer(caller.organization_id, schedule=CLOSED)
    order = caller.order(NINE, override_reason="Gala")
    first = await caller.send("CreateBooking", order)

    async with serve(shared_catalog[1], administration=False) as server:
        again = await server.send("CreateBooking", order)

    assert again == first


async def test_what_is_booked_by_an_override_counts_with_its_buffers_and_units(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(
        caller.organization_id,
        "chairs",
        schedule=CLOSED,
        resource={"pool": True},
        buffer_before=length(QUARTER),
        buffer_after=length(QUARTER),
    )
    await size(caller, "chairs", 3)
    gala: dict[str, Any] = {"items": items(chairs=2), "override_reason": "Gala"}

    booking = await caller.book(NINE, 3 * QUARTER, **gala)
    refusal = await caller.refused_book(NINE + HOUR, **gala)

    assert booking.items[0].occupancy_start_time == stamp(NINE - QUARTER)
    assert booking.items[0].occupancy_end_time == stamp(NINE + HOUR)
    assert refusal.metadata == {"resource_id": "chairs", "quanta.2027-03-08": "39"}
    assert NINE not in await caller.starts(MONDAY, resource_id="chairs")
    await clean(caller)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"override_reason": "x" * 501}, "INVALID_FIELD"),
        ({"override_reason": "a\nb"}, "INVALID_FIELD"),
        ({"override_reason": "Gala", "duration": length(timedelta(days=32))}, "INVALID_FIELD"),
        ({"override_reason": "Gala", "start_time": stamp(NINE + QUARTER / 3)}, "OFF_GRID"),
    ],
    ids=["too long", "lines", "32 days", "off the grid"],
)
async def test_an_override_has_a_shape_too(
    caller: Caller, catalog: FakeCatalog, fields: dict[str, Any], reason: str
) -> None:
    catalog.offer(caller.organization_id)

    refusal = await caller.refused_book(NINE, **fields)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


async def test_an_override_names_one_of_the_locations_all_the_same(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id, locations=["Room 1"])

    refusal = await caller.refused_book(NINE, override_reason="Gala", location="Room 2")

    assert refusal.fields == ["location"]


async def test_without_a_reason_nothing_is_overridden(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id)

    await caller.book(NINE, booking_id="b")
    await move(caller, "b", at(12), reason="rain")

    assert [event.overridden for event in (await got(caller, "b")).history] == [False, False]
