"""Several resources in one booking: all of them or none."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import grpc
import pytest

from tests.contract.availability.engine import (
    MONDAY,
    NINE,
    QUARTER,
    at,
    clean,
    everything,
    got,
    items,
    listed,
    size,
)
from tests.contract.availability.watching import watching
from tests.contract.availability.world import (
    ALL_DAY,
    HOUR,
    Caller,
    FakeCatalog,
    Refusal,
    interval,
    length,
    read_refusal,
    weekly,
)

TUESDAY = MONDAY + timedelta(days=1)
WEDNESDAY = MONDAY + timedelta(days=2)
TEN = [f"studio-{number}" for number in range(10)]


def offer(catalog: FakeCatalog, caller: Caller, *names: str, **rules: Any) -> None:
    for name in names:
        catalog.offer(caller.organization_id, name, **rules)


@pytest.mark.parametrize("count", [1, 2, 10])
async def test_a_bundle_takes_each_of_its_items_and_its_cancellation_frees_each(
    caller: Caller, catalog: FakeCatalog, count: int
) -> None:
    offer(catalog, caller, *TEN)

    booking = await caller.book(NINE, booking_id="b", items=items(*TEN[:count]))
    taken = [await caller.busy(MONDAY, MONDAY, name) for name in TEN]
    stored = (await got(caller, "b")).booking
    await caller.cancel("b")
    freed = [await caller.busy(MONDAY, MONDAY, name) for name in TEN]

    assert [item.resource_id for item in booking.items] == TEN[:count]
    assert stored == booking
    assert taken == [{MONDAY: [36, 37, 38, 39]}] * count + [{MONDAY: []}] * (10 - count)
    assert freed == [{MONDAY: []}] * 10
    await clean(caller)


async def test_items_keep_the_order_in_which_they_were_asked_for(
    caller: Caller, catalog: FakeCatalog
) -> None:
    names = ["b", "a", "C", "a.1"]
    offer(catalog, caller, *names)

    await caller.book(NINE, booking_id="b", items=items(*names))

    stored = (await got(caller, "b")).booking
    assert [item.resource_id for item in stored.items] == names


@pytest.mark.parametrize("busy", TEN[:3])
async def test_one_taken_item_refuses_all_and_nothing_is_written(
    caller: Caller, catalog: FakeCatalog, availability_url: str, busy: str
) -> None:
    offer(catalog, caller, *TEN, slot_interval=length(QUARTER))
    await caller.book(NINE + HOUR / 2, items=items(busy))
    before = everything(availability_url, caller)

    refusal = await caller.refused_book(NINE, items=items(*TEN[:3]))

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "SLOT_UNAVAILABLE",
    )
    assert refusal.metadata == {"resource_id": busy, "quanta.2027-03-08": "38,39"}
    assert everything(availability_url, caller) == before


@pytest.mark.parametrize("names", [[*TEN, "studio-10"], ["studio-0", "studio-1", "studio-0"]])
async def test_eleven_items_and_one_twice_are_refused_before_anything_else(
    caller: Caller, catalog: FakeCatalog, names: list[str]
) -> None:
    offer(catalog, caller, *names, active=False)

    refusal = await caller.refused_book(NINE, items=items(*names))

    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["items"])


async def test_a_bundle_is_told_in_one_message_and_listed_once(
    caller: Caller, catalog: FakeCatalog
) -> None:
    offer(catalog, caller, "a", "b", duration_options=[length(10 * HOUR)])
    async with watching(caller, ["a", "b"], [MONDAY, TUESDAY]) as watcher:
        await watcher.next()

        await caller.book(at(20), 10 * HOUR, booking_id="b", items=items("b", "a"))

        changes = await watcher.next()
    found = [
        [booking.booking_id for booking in await listed(caller, **{name: value})]
        for name, value in (("resource_id", "a"), ("resource_id", "b"), ("booker_id", "ann"))
    ]
    assert {key: seen.quanta for key, seen in changes.days.items()} == {
        (name, day): quanta
        for name in ("a", "b")
        for day, quanta in ((MONDAY, [*range(80, 96)]), (TUESDAY, [*range(24)]))
    }
    assert found == [["b"]] * 3


async def test_an_add_on_is_booked_with_something_that_stands_alone_and_not_without(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    offer(catalog, caller, "studio-a")
    offer(catalog, caller, "lamp", "stand", resource={"standalone": False})
    before = everything(availability_url, caller)

    alone = await caller.refused_book(NINE, items=items("lamp"))
    together = await caller.refused_book(NINE, items=items("lamp", "stand"))
    unwritten = everything(availability_url, caller)
    await caller.book(NINE, items=items("lamp", "studio-a", "stand"))

    assert {alone.reason, together.reason} == {"NOT_STANDALONE"}
    assert {alone.metadata["resource_id"], together.metadata["resource_id"]} == {"lamp"}
    assert unwritten == before
    assert await caller.busy(MONDAY, MONDAY, "lamp") == {MONDAY: [36, 37, 38, 39]}


async def test_each_item_is_taken_with_its_buffers_and_they_add_up_with_the_neighbours(
    caller: Caller, catalog: FakeCatalog
) -> None:
    rules = {
        "slot_interval": length(QUARTER),
        "buffer_before": length(QUARTER),
        "buffer_after": length(2 * QUARTER),
    }
    offer(catalog, caller, "studio-a", "studio-b", **rules)

    booking = await caller.book(NINE, items=items("studio-a", "studio-b"))
    early = await caller.refused_book(NINE + HOUR + 2 * QUARTER, items=items("studio-b"))
    await caller.book(NINE + HOUR + 3 * QUARTER, items=items("studio-b"))

    for item in booking.items:
        assert item.occupancy_start_time.ToDatetime(NINE.tzinfo) == NINE - QUARTER
        assert item.occupancy_end_time.ToDatetime(NINE.tzinfo) == NINE + HOUR + 2 * QUARTER
    assert early.metadata == {"resource_id": "studio-b", "quanta.2027-03-08": "41"}
    assert await caller.busy(MONDAY, MONDAY, "studio-a") == {MONDAY: [*range(35, 42)]}
    assert await caller.busy(MONDAY, MONDAY, "studio-b") == {MONDAY: [*range(35, 49)]}


async def test_a_bundle_over_days_takes_its_quanta_of_each_day_of_each_item(
    caller: Caller, catalog: FakeCatalog, availability_url: str
) -> None:
    long = timedelta(hours=40)
    names = ("studio-a", "studio-b", "studio-c")
    offer(catalog, caller, *names, duration_options=[length(HOUR), length(long)])
    await caller.book(at(9, days=2), items=items("studio-c"))
    before = everything(availability_url, caller)

    refusal = await caller.refused_book(at(18), long, items=items(*names))
    unwritten = everything(availability_url, caller)
    await caller.book(at(8), long, items=items(*names))

    assert refusal.metadata == {"resource_id": "studio-c", "quanta.2027-03-10": "36,37,38,39"}
    assert unwritten == before
    for name in names:
        rest = [*range(36, 40)] if name == "studio-c" else []
        assert await caller.busy(MONDAY, WEDNESDAY, name) == {
            MONDAY: [*range(32, 96)],
            TUESDAY: [*range(96)],
            WEDNESDAY: rest,
        }
    await clean(caller)


async def test_a_bundle_occupies_320_days_at_most(caller: Caller, catalog: FakeCatalog) -> None:
    month = timedelta(days=31)
    offer(catalog, caller, *TEN, duration_options=[length(month)], slot_interval=length(HOUR))

    booking = await caller.book(at(12), month, items=items(*TEN))
    offer(
        catalog,
        caller,
        *TEN,
        duration_options=[length(month)],
        slot_interval=length(HOUR),
        buffer_after=length(12 * HOUR + QUARTER),
    )
    refusal = await caller.refused_book(at(12, days=40), month, items=items(*TEN))

    assert len(booking.items) == 10
    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", ["items"])
    await clean(caller)


CLOSED = weekly("UTC", {2: [ALL_DAY]})
OFF_STEP = weekly("UTC", {1: [(525, 1440)]})
# What can be wrong with one item, in the order in which it is told.
WRONGS: dict[str, dict[str, Any] | None] = {
    "NOT_FOUND": None,
    "INACTIVE": {"resource": {"active": False}},
    "NOT_LINKED": {"linked": False},
    "DURATION_NOT_OFFERED": {"duration_options": [length(2 * HOUR)]},
    "OUTSIDE_SCHEDULE": {"schedule": CLOSED},
    "NOT_OFFERED_START": {"schedule": OFF_STEP},
    "TOO_SOON": {"minimum_notice": length(timedelta(days=8))},
    "TOO_FAR": {"horizon": length(timedelta(days=6))},
    "SLOT_UNAVAILABLE": {},
}


@pytest.mark.parametrize("pair", [*itertools.combinations(WRONGS, 2)], ids="-".join)
async def test_the_first_rule_is_told_whichever_item_it_refuses(
    caller: Caller, catalog: FakeCatalog, pair: tuple[str, str]
) -> None:
    for name in ("x", "y"):
        offer(catalog, caller, name)
        await caller.book(NINE, items=items(name))
        del catalog.offerings[caller.organization_id, name, "session"]
        del catalog.resources[caller.organization_id, name]
    for name, wrong in zip(("x", "y"), pair, strict=True):
        if (rules := WRONGS[wrong]) is not None:
            offer(catalog, caller, name, **rules)

    told = [
        (await caller.refused_book(NINE, items=items(*names))).reason
        for names in (("x", "y"), ("y", "x"))
    ]

    assert told == [pair[0]] * 2


@pytest.mark.parametrize("wrong", WRONGS)
async def test_only_add_ons_is_told_after_links_and_before_lengths(
    caller: Caller, catalog: FakeCatalog, wrong: str
) -> None:
    rules = WRONGS[wrong] or {}
    facts = rules.get("resource", {}) | {"standalone": False}
    names = ["x", "y"]
    if wrong != "NOT_FOUND":
        offer(catalog, caller, "x", **(rules | {"resource": facts}))
    offer(catalog, caller, "y", resource={"standalone": False})

    refusal = await caller.refused_book(NINE, items=items(*names))

    before = {"NOT_FOUND", "INACTIVE", "NOT_LINKED"}
    assert refusal.reason == (wrong if wrong in before else "NOT_STANDALONE")


async def test_of_bundles_that_cross_each_other_one_wins_and_none_waits_for_ever(
    caller: Caller, catalog: FakeCatalog
) -> None:
    offer(catalog, caller, "a", "b", "c")
    crossing = [("a", "b"), ("b", "c"), ("c", "a"), ("b", "a"), ("c", "b"), ("a", "c")]

    async def outcome(day: int, names: tuple[str, ...]) -> Refusal | None:
        try:
            await caller.book(at(9, days=day), items=items(*names))
        except grpc.aio.AioRpcError as error:
            return read_refusal(error)
        return None

    for day in range(10):
        outcomes = await asyncio.gather(*(outcome(day, names) for names in crossing))
        refused = [found.reason for found in outcomes if found]
        assert refused == ["SLOT_UNAVAILABLE"] * 5
    await clean(caller)


async def test_check_inventory_tells_of_each_item_what_is_free_and_what_is_in_the_way(
    caller: Caller, catalog: FakeCatalog
) -> None:
    offer(catalog, caller, "room", "spare")
    offer(catalog, caller, "chairs", resource={"pool": True}, slot_interval=length(QUARTER))
    await size(caller, "chairs", 5)
    await caller.book(NINE, items=items("room", chairs=3))
    await caller.book(NINE + HOUR / 2, items=items(chairs=1))
    asked = items("room", "spare", chairs=2)

    answer = await caller.send(
        "CheckInventory",
        caller.question(
            "CheckInventory",
            NINE,
            range=interval(NINE + QUARTER, NINE + 5 * QUARTER),
            items=[{"resource_id": item.resource_id, "units": item.units} for item in asked],
        ),
    )

    assert [
        (
            item.resource_id,
            item.available,
            item.units_free,
            [(found.date.day, list(found.quanta)) for found in item.conflicts],
        )
        for item in answer.items
    ] == [
        ("room", False, 0, [(8, [37, 38, 39])]),
        ("spare", True, 1, []),
        ("chairs", False, 1, [(8, [38, 39])]),
    ]
