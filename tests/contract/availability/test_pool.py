"""Pools: units are counted, on reads and writes alike, and their number can be changed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest

from tests.contract.availability.conftest import Serve
from tests.contract.availability.engine import (
    HALF_DAY,
    MONDAY,
    NINE,
    QUARTER,
    at,
    clean,
    counters,
    everything,
    items,
    size,
    sizing,
    units_of,
)
from tests.contract.availability.world import (
    HOUR,
    Caller,
    FakeCatalog,
    interval,
    length,
    read_refusal,
    weekly,
)
from tests.integration.availability.database import rows

TUESDAY = MONDAY + timedelta(days=1)
POOL = {"pool": True}
MORNING = weekly("UTC", {day: [(480, 840)] for day in range(1, 8)})


@pytest.fixture
async def chairs(caller: Caller, catalog: FakeCatalog) -> Caller:
    """A caller whose organization has four chairs."""
    catalog.offer(caller.organization_id, "chairs", slot_interval=length(QUARTER), resource=POOL)
    await size(caller, "chairs", 4)
    return caller


async def slots(caller: Caller, **fields: Any) -> dict[datetime, int]:
    """Free starts of the Monday, with the units free at each."""
    request = caller.slots_request(MONDAY, **({"resource_id": "chairs"} | fields))
    answer = await caller.send("GetDaySlots", request)
    return {slot.start_time.ToDatetime(NINE.tzinfo): slot.units_free for slot in answer.slots}


async def test_units_are_counted_and_a_quantum_is_full_when_none_is_left(chairs: Caller) -> None:
    await chairs.book(NINE, items=items(chairs=3))
    await chairs.book(NINE + 2 * QUARTER, booking_id="b", items=items(chairs=1))

    counts = (await counters(chairs, "chairs"))[MONDAY]
    busy = await chairs.busy(MONDAY, MONDAY, "chairs")
    await chairs.cancel("b")

    assert counts[35:43] == [0, 3, 3, 4, 4, 1, 1, 0]
    assert sum(counts) == 16
    assert busy == {MONDAY: [38, 39]}
    assert await chairs.busy(MONDAY, MONDAY, "chairs") == {MONDAY: []}
    await clean(chairs)


async def test_counters_are_told_of_pools_only_and_of_days_with_something(
    chairs: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(chairs.organization_id)
    booking = await chairs.book(NINE, items=items("studio-a", chairs=2))

    assert await counters(chairs, "studio-a") == {MONDAY: []}
    assert await counters(chairs, "chairs", MONDAY, TUESDAY) == {
        MONDAY: [0] * 36 + [2] * 4 + [0] * 56,
        TUESDAY: [],
    }
    await chairs.cancel(booking.booking_id)
    assert await counters(chairs, "chairs") == {MONDAY: []}


async def test_a_slot_says_how_many_units_are_free_throughout_it(chairs: Caller) -> None:
    await chairs.book(NINE, items=items(chairs=1))
    await chairs.book(NINE + HOUR, items=items(chairs=3))

    found = await slots(chairs)
    two = await slots(chairs, units=2)

    assert [found[NINE + quarter * QUARTER] for quarter in (-4, -3, 0, 1, 4, 7, 8)] == [
        *(4, 3, 3, 1, 1, 1, 4)
    ]
    assert set(two) == {start for start, free in found.items() if free >= 2}
    assert await slots(chairs, units=5) == {}


async def test_more_than_is_left_is_refused_with_the_quanta(
    chairs: Caller, availability_url: str
) -> None:
    await chairs.book(NINE, items=items(chairs=3))
    before = everything(availability_url, chairs)

    refusal = await chairs.refused_book(NINE + HOUR / 2, items=items(chairs=2))

    assert refusal.reason == "SLOT_UNAVAILABLE"
    assert refusal.metadata == {"resource_id": "chairs", "quanta.2027-03-08": "38,39"}
    assert everything(availability_url, chairs) == before


async def test_of_a_room_nobody_gets_two(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id, "room")

    refusal = await caller.refused_book(NINE, items=items(room=2))

    assert refusal.reason == "SLOT_UNAVAILABLE"
    assert await slots(caller, resource_id="room", units=2) == {}
    assert await units_of(caller, "room") == 1


@pytest.mark.parametrize("seed", range(4))
async def test_every_start_offered_for_so_many_units_can_be_booked_and_no_other(
    caller: Caller, catalog: FakeCatalog, seed: int
) -> None:
    chance = random.Random(seed)
    catalog.offer(
        caller.organization_id,
        "chairs",
        schedule=MORNING,
        flexible_duration=HALF_DAY,
        slot_interval=length(QUARTER),
        buffer_before=length(seed % 2 * QUARTER),
        buffer_after=length(seed // 2 * 10 * timedelta(minutes=1)),
        resource=POOL,
    )
    capacity = chance.randint(2, 5)
    await size(caller, "chairs", capacity)
    for _ in range(12):
        units = chance.randint(1, capacity)
        free = [*await slots(caller, units=units, duration=length(QUARTER))]
        if free:
            lengths = chance.randint(1, 4) * QUARTER
            order = caller.order(chance.choice(free), lengths, items=items(chairs=units))
            await tried(caller, order)

    for units in range(1, capacity + 2):
        duration = chance.randint(1, 6) * QUARTER
        offered = set(await slots(caller, units=units, duration=length(duration)))
        bookable = set()
        for start in (at(7) + quarter * QUARTER for quarter in range(30)):
            order = caller.order(start, duration, items=items(chairs=units))
            if (booking_id := await tried(caller, order)) is not None:
                bookable.add(start)
                await caller.cancel(booking_id)
        assert bookable == offered
        assert await caller.open_dates(
            MONDAY, MONDAY, duration, resource_id="chairs", units=units
        ) == {MONDAY: bool(offered)}
    await clean(caller)


async def tried(caller: Caller, order: Any) -> str | None:
    """Books, or is told that it cannot be; returns the id."""
    try:
        answer = await caller.send("CreateBooking", order)
    except grpc.aio.AioRpcError as error:
        if read_refusal(error).reason not in {"SLOT_UNAVAILABLE", "OUTSIDE_SCHEDULE"}:
            raise
        return None
    return str(answer.booking.booking_id)


async def test_a_pool_has_one_unit_until_it_is_told(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id, "chairs", resource=POOL)

    assert await units_of(caller, "chairs") == 1
    assert (await caller.refused_book(NINE, items=items(chairs=2))).reason == "SLOT_UNAVAILABLE"
    await caller.book(NINE, items=items(chairs=1))
    assert await caller.busy(MONDAY, MONDAY, "chairs") == {MONDAY: [36, 37, 38, 39]}
    await clean(caller)


async def test_another_number_of_units_makes_days_full_or_not_in_its_own_transaction(
    chairs: Caller, availability_url: str
) -> None:
    await chairs.book(NINE, items=items(chairs=2))
    await chairs.book(at(9, days=1), items=items(chairs=4))

    await size(chairs, "chairs", 6)
    raised = await chairs.busy(MONDAY, TUESDAY, "chairs")
    more = await slots(chairs, units=4)
    await size(chairs, "chairs", 4)
    lowered = await chairs.busy(MONDAY, TUESDAY, "chairs")

    assert raised == {MONDAY: [], TUESDAY: []}
    assert NINE in more
    assert lowered == {MONDAY: [], TUESDAY: [36, 37, 38, 39]}
    assert await units_of(chairs, "chairs") == 4
    (version,) = rows(
        availability_url,
        "select version from capacities where organization_id = %s",
        chairs.organization_id,
    )
    assert rows(
        availability_url,
        "select kind, payload -> 'capacities', jsonb_array_length(payload -> 'days') from outbox"
        " where organization_id = %s and feed = %s",
        chairs.organization_id,
        version[0],
    ) == [("capacity", [["chairs", 4]], 1)]
    await clean(chairs)


async def test_fewer_than_are_taken_is_refused_with_the_dates(
    chairs: Caller, availability_url: str
) -> None:
    for day, units in ((0, 3), (1, 2), (3, 4)):
        await chairs.book(at(9, days=day), items=items(chairs=units))
    before = everything(availability_url, chairs)

    refusal = await chairs.refusal_of("SetCapacity", sizing(chairs, "chairs", 2))
    unwritten = everything(availability_url, chairs)
    await chairs.send("SetCapacity", sizing(chairs, "chairs", 4))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IN_USE")
    assert refusal.metadata == {"resource_id": "chairs", "dates": "2027-03-08,2027-03-11"}
    assert unwritten == before


async def test_of_many_dates_the_first_are_told_and_the_others_counted(
    caller: Caller, catalog: FakeCatalog
) -> None:
    month = timedelta(days=31)
    catalog.offer(
        caller.organization_id,
        "chairs",
        resource=POOL,
        duration_options=[length(month)],
        slot_interval=length(HOUR),
    )
    await size(caller, "chairs", 2)
    for number in range(5):
        await caller.book(at(0, days=31 * number), month, items=items(chairs=2))

    refusal = await caller.refusal_of("SetCapacity", sizing(caller, "chairs", 1))

    told = refusal.metadata["dates"].split(",")
    assert told[:2] == ["2027-03-08", "2027-03-09"]
    assert len(told) + int(refusal.metadata["more_dates"]) == 155


async def test_what_is_over_does_not_keep_a_pool_from_shrinking(
    chairs: Caller, serve: Serve, shared_catalog: tuple[FakeCatalog, str]
) -> None:
    await chairs.book(NINE, items=items(chairs=3))
    await chairs.book(NINE + 2 * HOUR, items=items(chairs=2))
    last = NINE + HOUR

    async with serve(shared_catalog[1], present=last - timedelta(microseconds=1)) as server:
        refusal = await server.refusal_of("SetCapacity", sizing(chairs, "chairs", 2))
    async with serve(shared_catalog[1], present=last) as server:
        later = Caller(server.channel, chairs.organization_id)
        await size(later, "chairs", 2)
        await clean(later)
        assert await later.busy(MONDAY, MONDAY, "chairs") == {
            MONDAY: [*range(36, 40), *range(44, 48)]
        }

    assert refusal.metadata["dates"] == "2027-03-08"


async def test_what_has_no_units_to_set_is_refused(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id, "room")
    catalog.offer(caller.organization_id, "chairs", resource=POOL)

    room = await caller.refusal_of("SetCapacity", sizing(caller, "room", 1))
    nothing = await caller.refusal_of("SetCapacity", sizing(caller, "nothing", 1))

    assert (room.reason, room.metadata) == ("NOT_A_POOL", {"resource_id": "room"})
    assert (nothing.reason, nothing.metadata["kind"]) == ("NOT_FOUND", "resource")
    for units in (-1, 0, 10_001):
        refusal = await caller.refusal_of("SetCapacity", sizing(caller, "chairs", units))
        assert refusal.fields == ["units"]
    await size(caller, "chairs", 10_000)
    await caller.book(NINE, items=items(chairs=10_000))
    assert (await counters(caller, "chairs"))[MONDAY][36] == 10_000
    await clean(caller)


async def test_another_server_reads_by_the_new_number_soon(
    chairs: Caller, serve: Serve, shared_catalog: tuple[FakeCatalog, str]
) -> None:
    async with serve(shared_catalog[1]) as server:
        other = Caller(server.channel, chairs.organization_id)
        assert (await units_of(other, "chairs"), len(await slots(other, units=5))) == (4, 0)

        await size(chairs, "chairs", 5)

        async with asyncio.timeout(5):
            while await units_of(other, "chairs") != 5:  # noqa: ASYNC110  # within a second
                await asyncio.sleep(0.05)
        assert len(await slots(other, units=5)) > 0


async def test_check_inventory_and_counters_agree(chairs: Caller) -> None:
    chance = random.Random(7)
    for _ in range(10):
        quarter, units = chance.randrange(16), chance.randint(1, 3)
        await tried(chairs, chairs.order(NINE + quarter * QUARTER, items=items(chairs=units)))
    counts = (await counters(chairs, "chairs"))[MONDAY]

    for units in (1, 2, 4, 5):
        answer = await chairs.send(
            "CheckInventory",
            chairs.question(
                "CheckInventory",
                NINE,
                items=[{"resource_id": "chairs", "units": units}],
                range=interval(at(0), at(0, days=1)),
            ),
        )
        (found,) = answer.items
        assert found.units_free == 4 - max(counts)
        assert [quantum for day in found.conflicts for quantum in day.quanta] == [
            quantum for quantum, count in enumerate(counts) if 4 - count < units
        ]


async def test_a_pool_that_shrinks_and_grows_while_it_is_booked_is_never_overbooked(
    chairs: Caller,
) -> None:
    outcomes: Counter[str] = Counter()

    async def send(method: str, request: Any) -> None:
        try:
            await chairs.send(method, request)
        except grpc.aio.AioRpcError as error:
            outcomes[read_refusal(error).reason] += 1
        else:
            outcomes[method] += 1

    for day in range(6):
        start = at(9, days=day)
        calls = [
            send("CreateBooking", chairs.order(start, items=items(chairs=1 + turn % 2)))
            for turn in range(12)
        ]
        calls += [
            send("SetCapacity", sizing(chairs, "chairs", units)) for units in (2, 6, 3, 9, 1, 5)
        ]
        random.Random(day).shuffle(calls)
        await asyncio.gather(*calls)
        units = await units_of(chairs, "chairs")
        counts = (await counters(chairs, "chairs", start.date(), start.date()))[start.date()]
        assert max(counts, default=0) <= units
        busy = (await chairs.busy(start.date(), start.date(), "chairs"))[start.date()]
        assert busy == [quantum for quantum, count in enumerate(counts) if count >= units]
        await clean(chairs)

    assert set(outcomes) <= {"CreateBooking", "SetCapacity", "SLOT_UNAVAILABLE", "IN_USE"}
    assert min(outcomes["CreateBooking"], outcomes["SetCapacity"]) > 0


async def test_of_many_who_want_one_unit_each_as_many_get_it_as_there_are(chairs: Caller) -> None:
    await size(chairs, "chairs", 7)

    outcomes = await asyncio.gather(
        *(tried(chairs, chairs.order(NINE, items=items(chairs=1))) for _ in range(200))
    )

    assert len({found for found in outcomes if found}) == 7
    assert outcomes.count(None) == 193
    assert (await counters(chairs, "chairs"))[MONDAY][36:40] == [7] * 4
    await clean(chairs)
