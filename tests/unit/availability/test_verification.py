"""Days computed from bookings as they stream by, against a plain count of every quantum."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from hypothesis import given
from hypothesis import strategies as st

from services.availability.app.port import OccupyingItem
from services.availability.app.verify import Verify
from services.availability.domain.verification import (
    DayKey,
    Difference,
    OccupancySweep,
    Occupied,
    difference,
)
from shared.slots.quantum import Span

Item = tuple[str, Span]
SPANS = st.tuples(st.integers(0, 6 * 96), st.integers(1, 3 * 96)).map(
    lambda pair: Span(pair[0], pair[0] + pair[1])
)
ITEMS = st.lists(st.tuples(st.sampled_from("ab"), SPANS), max_size=12).map(
    lambda items: sorted(items, key=lambda item: (item[0], item[1].first))
)
STORED = st.dictionaries(
    st.tuples(st.sampled_from("ab"), st.integers(0, 9)).map(lambda key: DayKey(*key)),
    st.integers(0, (1 << 96) - 1),
    max_size=8,
)


def swept(items: list[Item]) -> list[Occupied]:
    sweep = OccupancySweep()
    found = [day for item in items for day in sweep.add(*item)]
    return found + list(sweep.finish())


def counted(items: list[Item]) -> dict[DayKey, tuple[int, int]]:
    """Union and overlap of each day, counted quantum by quantum."""
    taken = Counter(
        (name, quantum) for name, span in items for quantum in range(span.first, span.stop)
    )
    days: dict[DayKey, tuple[int, int]] = {}
    for (name, quantum), times in taken.items():
        key = DayKey(name, quantum // 96)
        union, overlap = days.get(key, (0, 0))
        bit = 1 << quantum % 96
        days[key] = union | bit, overlap | (bit if times > 1 else 0)
    return days


@given(ITEMS)
def test_a_sweep_counts_what_counting_counts(items: list[Item]) -> None:
    found = swept(items)

    assert {day.key: (day.union, day.overlap) for day in found} == counted(items)


@given(ITEMS)
def test_a_sweep_yields_days_in_the_order_of_the_store_each_once(items: list[Item]) -> None:
    keys = [day.key for day in swept(items)]

    assert keys == sorted(set(keys))


def test_a_sweep_lets_go_of_days_that_are_done() -> None:
    sweep = OccupancySweep()

    first = list(sweep.add("a", Span(0, 2 * 96)))
    second = list(sweep.add("a", Span(96, 97)))
    third = list(sweep.add("b", Span(0, 1)))

    assert [day.key for day in first] == []
    assert [day.key for day in second] == [DayKey("a", 0)]
    assert [(day.key, day.overlap) for day in third] == [(DayKey("a", 1), 1)]


def test_a_day_as_it_should_be_is_no_difference() -> None:
    assert difference(DayKey("a", 1), 0b110, 0b110, 0) is None
    assert difference(DayKey("a", 1), 0b110, 0b011, 0) == Difference(
        DayKey("a", 1), surplus=0b100, missing=0b001, overlap=0
    )
    assert difference(DayKey("a", 1), 0b1, 0b1, 0b1) == Difference(DayKey("a", 1), 0, 0, 0b1)


class Inventory:
    """An inventory that is what a test says."""

    def __init__(self, stored: dict[DayKey, int], items: list[Item]) -> None:
        self._stored = stored
        self._items = items

    @asynccontextmanager
    async def snapshot(self, organization_id: str, resource_id: str) -> AsyncIterator[Inventory]:
        yield self

    async def days(self) -> AsyncGenerator[tuple[DayKey, int]]:
        for key in sorted(self._stored):
            yield key, self._stored[key]

    async def items(self) -> AsyncGenerator[OccupyingItem]:
        for name, span in self._items:
            yield OccupyingItem(name, span, is_first=True)


@given(STORED, ITEMS)
async def test_exactly_the_days_that_differ_are_found(
    stored: dict[DayKey, int], items: list[Item]
) -> None:
    occupied = counted(items)
    keys = sorted(stored.keys() | occupied.keys())
    expected = [difference(key, stored.get(key, 0), *occupied.get(key, (0, 0))) for key in keys]

    found = await Verify(Inventory(stored, items))("org", "")

    assert found.differences == [one for one in expected if one is not None]
    assert found.difference_count == len(found.differences)
    assert found.days_checked == len(keys)
    assert found.bookings_checked == len(items)
