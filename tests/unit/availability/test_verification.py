"""Days computed from bookings as they stream by, against a plain count of every quantum."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.availability.app.verify import Verify
from services.availability.domain import counter
from services.availability.domain.claim import DayKey, DayState
from services.availability.domain.verification import (
    Difference,
    OccupancySweep,
    Occupied,
    OccupyingItem,
    StoredDay,
    difference,
)
from shared.slots.quantum import Span, instant
from tests.clock import ManualClock

NOW = 3 * 96 + 40
POOL = "p"
DAY = DayKey("a", 3)
POOL_DAY = DayKey(POOL, 3)

SPANS = st.tuples(st.integers(0, 6 * 96), st.integers(1, 3 * 96)).map(
    lambda pair: Span(pair[0], pair[0] + pair[1])
)


def item(name: str, span: Span, units: int = 1) -> OccupyingItem:
    is_pool = name.startswith(POOL)
    return OccupyingItem(name, span, units if is_pool else 1, is_pool, is_first=True)


ITEMS = st.lists(
    st.builds(item, st.sampled_from(["a", "b", POOL]), SPANS, st.integers(1, 9)), max_size=12
).map(lambda items: sorted(items, key=lambda one: (one.resource_id, one.occupancy.first)))


class Stored(NamedTuple):
    """What a store might have of a day, right or wrong."""

    busy: int
    taken: tuple[int, ...]


BITMAPS = st.integers(0, (1 << 96) - 1)
STORED = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b", POOL]), st.integers(0, 9)).map(lambda key: DayKey(*key)),
    st.builds(Stored, BITMAPS, st.lists(BITMAPS, max_size=3).map(lambda planes: (*planes, 1))),
    max_size=8,
)


def swept(items: list[OccupyingItem]) -> list[Occupied]:
    sweep = OccupancySweep()
    found = [day for one in items for day in sweep.add(one)]
    return found + list(sweep.finish())


def counted(items: list[OccupyingItem]) -> dict[DayKey, list[int]]:
    """Units at each quantum of each day, counted one by one."""
    taken: Counter[tuple[str, int]] = Counter()
    for one in items:
        for quantum in range(one.occupancy.first, one.occupancy.stop):
            taken[one.resource_id, quantum] += one.units
    days: dict[DayKey, list[int]] = {}
    for (name, quantum), units in taken.items():
        days.setdefault(DayKey(name, quantum // 96), [0] * 96)[quantum % 96] = units
    return days


@given(ITEMS)
def test_a_sweep_counts_what_counting_counts(items: list[OccupyingItem]) -> None:
    found = swept(items)

    assert {day.key: counter.counts(day.planes) for day in found} == counted(items)
    assert all(day.is_pool == (day.key.resource_id == POOL) for day in found)


@given(ITEMS)
def test_a_sweep_yields_days_in_the_order_of_the_store_each_once(
    items: list[OccupyingItem],
) -> None:
    keys = [day.key for day in swept(items)]

    assert keys == sorted(set(keys))


def test_a_sweep_lets_go_of_days_that_are_done() -> None:
    sweep = OccupancySweep()

    first = list(sweep.add(item("a", Span(0, 2 * 96))))
    second = list(sweep.add(item("a", Span(96, 97))))
    third = list(sweep.add(item("b", Span(0, 1))))

    assert [day.key for day in first] == []
    assert [day.key for day in second] == [DayKey("a", 0)]
    assert [(day.key, counter.counts(day.planes)[0]) for day in third] == [(DayKey("a", 1), 2)]


def told(
    stored: StoredDay | None, planes: tuple[int, ...] | None, key: DayKey = DAY
) -> Difference | None:
    """How a day differs from planes of units taken; None for no bookings at all."""
    taken = None if planes is None else Occupied(key, planes, is_pool=key == POOL_DAY)
    return difference(stored, taken, NOW)


def room(busy: int) -> StoredDay:
    return StoredDay(DAY, DayState(busy, 1), None)


def pool(busy: int, *taken: int, capacity: int | None = 2) -> StoredDay:
    return StoredDay(POOL_DAY, DayState(busy, 1, taken), capacity)


LATE = 1 << 41  # not over
EARLY = 1 << 39  # over when NOW runs
ALL = (1 << 96) - 1


@pytest.mark.parametrize(
    ("stored", "planes"),
    [
        (room(0b110), (0b110,)),
        (room(0), None),
        (pool(0, 0b11), (0b11,)),
        (pool(0b10, 0b01, 0b10), (0b01, 0b10)),
        (pool(0), ()),
        (pool(0b1, 0b1, capacity=None), (0b1,)),
        (pool(ALL, capacity=0), None),
        (pool(EARLY, EARLY, EARLY), (EARLY, EARLY)),
    ],
    ids=[
        "a room",
        "a room that was booked once",
        "a pool with room left",
        "a pool that is full where two are taken",
        "a pool of which nothing is taken",
        "a pool whose units nobody set",
        "a pool without units",
        "a pool that shrank below what had been taken before",
    ],
)
def test_a_day_as_it_should_be_is_no_difference(
    stored: StoredDay, planes: tuple[int, ...] | None
) -> None:
    assert told(stored, planes, stored.key) is None


@pytest.mark.parametrize(
    ("stored", "planes", "expected"),
    [
        (room(0b110), (0b011,), Difference(DAY, 0b100, 0b001, 0, 0b101)),
        (room(0b1), (0, 0b1), Difference(DAY, 0, 0, 0b1, 0b1)),
        (room(EARLY), (0, EARLY), Difference(DAY, 0, 0, EARLY, EARLY)),
        (None, (0b1,), Difference(DAY, 0, 0b1, 0, 0b1)),
        (room(0b1), None, Difference(DAY, 0b1, 0, 0, 0b1)),
        (pool(0b1, 0b1), (0b1,), Difference(POOL_DAY, 0b1, 0, 0, 0)),
        (pool(0, 0, 0b1), (0, 0b1), Difference(POOL_DAY, 0, 0b1, 0, 0)),
        (pool(0, 0b1), (0b10,), Difference(POOL_DAY, 0, 0, 0, 0b11)),
        (pool(LATE, LATE, LATE), (LATE, LATE), Difference(POOL_DAY, 0, 0, LATE, 0)),
        (pool(0, capacity=0), None, Difference(POOL_DAY, 0, ALL, 0, 0)),
        (pool(0, 0b1), None, Difference(POOL_DAY, 0, 0, 0, 0b1)),
    ],
    ids=[
        "bits too many and too few",
        "a room booked twice",
        "a room booked twice long ago",
        "a day without a row",
        "a day without bookings",
        "marked as full though a unit is left",
        "full but not marked",
        "miscounted",
        "more taken than there are",
        "without units but not marked",
        "counted though nothing is booked",
    ],
)
def test_what_differs_is_told_in_kind(
    stored: StoredDay | None, planes: tuple[int, ...] | None, expected: Difference
) -> None:
    assert told(stored, planes, expected.key) == expected


class Inventory:
    """An inventory that is what a test says."""

    def __init__(self, stored: Mapping[DayKey, StoredDay], items: list[OccupyingItem]) -> None:
        self._stored = stored
        self._items = items

    @asynccontextmanager
    async def snapshot(self, organization_id: str, resource_id: str) -> AsyncIterator[Inventory]:
        yield self

    async def days(self) -> AsyncGenerator[StoredDay]:
        for key in sorted(self._stored):
            yield self._stored[key]

    async def items(self) -> AsyncGenerator[OccupyingItem]:
        for one in self._items:
            yield one


def by_hand(key: DayKey, stored: StoredDay | None, units: list[int]) -> Difference | None:
    """A difference, found quantum by quantum."""
    is_pool = key.resource_id == POOL
    state = stored.state if stored else DayState(0, 0)
    capacity = 4 if is_pool and stored else 1
    counts = counter.counts(state.taken if is_pool else (state.busy,))
    figures = [0, 0, 0, 0]
    for quantum in range(96):
        is_busy = bool(state.busy >> quantum & 1)
        is_full = units[quantum] >= capacity
        is_over = is_pool and (key.day, quantum) < (NOW // 96, NOW % 96)
        facts = (
            is_busy and not is_full,
            is_full and not is_busy,
            units[quantum] > capacity and not is_over,
            counts[quantum] != units[quantum],
        )
        for place, fact in enumerate(facts):
            figures[place] |= fact << quantum
    return Difference(key, *figures) if any(figures) else None


@given(STORED, ITEMS)
async def test_exactly_the_days_that_differ_are_found(
    stored: dict[DayKey, Stored], items: list[OccupyingItem]
) -> None:
    days = {
        key: StoredDay(
            key,
            DayState(one.busy, 1, one.taken if key.resource_id == POOL else ()),
            4 if key.resource_id == POOL else None,
        )
        for key, one in stored.items()
    }
    occupied = counted(items)
    keys = sorted(days.keys() | occupied.keys())
    expected = [by_hand(key, days.get(key), occupied.get(key, [0] * 96)) for key in keys]

    found = await Verify(Inventory(days, items), ManualClock(instant(NOW)))("org", "")

    assert found.differences == [one for one in expected if one is not None]
    assert found.difference_count == len(found.differences)
    assert found.days_checked == len(keys)
    assert found.bookings_checked == len(items)
