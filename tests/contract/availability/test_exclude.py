"""Slots for a booking that is to be moved: its own time counts as free, and nobody else's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest

from tests.contract.availability.engine import (
    HALF_DAY,
    MONDAY,
    NINE,
    QUARTER,
    at,
    clean,
    items,
    move,
    size,
)
from tests.contract.availability.world import (
    HOUR,
    Caller,
    FakeCatalog,
    length,
    read_refusal,
    weekly,
)

REFUSED = {"SLOT_UNAVAILABLE", "OUTSIDE_SCHEDULE", "NOT_OFFERED_START"}


def offer(catalog: FakeCatalog, caller: Caller, **rules: Any) -> None:
    catalog.offer(caller.organization_id, **({"slot_interval": length(QUARTER)} | rules))


async def movable_among(caller: Caller, starts: Sequence[datetime]) -> list[datetime]:
    """The starts to which booking b can be moved; it is left at the last of them."""
    found = []
    for start in starts:
        try:
            await move(caller, "b", start)
        except grpc.aio.AioRpcError as error:
            if read_refusal(error).reason not in REFUSED:
                raise
        else:
            found.append(start)
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_slots_without_a_booking_are_those_to_which_it_can_be_moved(
    caller: Caller, catalog: FakeCatalog, seed: int
) -> None:
    chance = random.Random(seed)
    is_pool = seed % 2 == 1
    rules: dict[str, Any] = {
        "schedule": weekly("UTC", {1: [(480, 720), (780, 960)]}),
        "flexible_duration": HALF_DAY,
        "buffer_before": length(seed // 2 * QUARTER),
        "buffer_after": length(seed * timedelta(minutes=10)),
        "resource": {"pool": is_pool},
    }
    offer(catalog, caller, **rules)
    if is_pool:
        await size(caller, "studio-a", 3)
    wanted = {"units": 2} if is_pool else {}
    duration = chance.randint(2, 5) * QUARTER
    free = await caller.starts(MONDAY, duration, **wanted)
    own = items(**{"studio-a": wanted.get("units", 1)})
    await caller.book(chance.choice(free), duration, booking_id="b", items=own)
    for _ in range(3):
        others = await caller.starts(MONDAY, 2 * QUARTER)
        if others:
            await caller.book(chance.choice(others), 2 * QUARTER)

    asked = {"exclude_booking_id": "b", **wanted}
    offered = await caller.starts(MONDAY, duration, **asked)
    without = await caller.starts(MONDAY, duration, **wanted)
    movable = await movable_among(caller, [at(7) + turn * QUARTER for turn in range(40)])

    assert movable == offered
    assert set(without) < set(offered)
    assert await caller.open_dates(MONDAY, MONDAY, duration, **asked) == {MONDAY: True}
    await clean(caller)


async def test_a_booking_that_takes_nothing_or_is_not_there_leaves_slots_as_they_are(
    caller: Caller, catalog: FakeCatalog
) -> None:
    offer(catalog, caller)
    await caller.book(NINE, booking_id="ended")
    await caller.cancel("ended")
    await caller.book(NINE, booking_id="b")
    plain = await caller.starts(MONDAY)

    for name in ("ended", "nobody"):
        assert await caller.starts(MONDAY, exclude_booking_id=name) == plain
    assert NINE not in plain
    assert NINE in await caller.starts(MONDAY, exclude_booking_id="b")


@pytest.mark.parametrize("seed", range(3))
async def test_so_it_is_with_bookings_over_days(
    caller: Caller, catalog: FakeCatalog, seed: int
) -> None:
    chance = random.Random(seed)
    long = timedelta(hours=chance.randint(20, 50))
    offer(
        catalog,
        caller,
        duration_options=[length(2 * HOUR), length(long)],
        slot_interval=length(2 * HOUR),
        buffer_after=length(seed * HOUR),
    )
    await caller.book(at(8, days=3), long, booking_id="b")
    for _ in range(4):
        free = [
            start
            for day in range(8)
            for start in await caller.starts(MONDAY + timedelta(days=day), 2 * HOUR)
        ]
        await caller.book(chance.choice(free), 2 * HOUR)
    days = [MONDAY + timedelta(days=day) for day in range(7)]

    offered = [await caller.starts(day, long, exclude_booking_id="b") for day in days]
    month = await caller.open_dates(days[0], days[-1], long, exclude_booking_id="b")
    movable = await movable_among(caller, [at(0) + turn * HOUR for turn in range(7 * 24)])

    assert movable == [start for starts in offered for start in starts]
    assert list(month.values()) == [bool(starts) for starts in offered]
    await clean(caller)


async def test_of_a_bundle_only_what_it_takes_of_the_resource_asked_for_counts_as_free(
    caller: Caller, catalog: FakeCatalog
) -> None:
    for name in ("studio-a", "studio-b", "studio-c"):
        catalog.offer(caller.organization_id, name)
    await caller.book(NINE, booking_id="b", items=items("studio-a", "studio-b"))
    await caller.book(NINE, items=items("studio-c"))

    found = {
        name: NINE in await caller.starts(MONDAY, resource_id=name, exclude_booking_id="b")
        for name in ("studio-a", "studio-b", "studio-c")
    }

    assert found == {"studio-a": True, "studio-b": True, "studio-c": False}


async def test_a_booking_of_another_organization_frees_nothing(
    caller: Caller, catalog: FakeCatalog
) -> None:
    other = caller.elsewhere()
    for one in (caller, other):
        offer(catalog, one)
    await caller.book(NINE, booking_id="ours")
    await other.book(NINE, booking_id="theirs")

    assert NINE not in await caller.starts(MONDAY, exclude_booking_id="theirs")
