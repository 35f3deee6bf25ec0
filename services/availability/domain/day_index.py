"""Days of many resources of one organization, packed for search."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from services.availability.domain.claim import DayKey, DayState, short, units_free
from services.availability.domain.counter import EVERY_QUANTUM
from services.availability.domain.free_search import BYTES_PER_DAY
from shared.slots.quantum import QUANTA_PER_DAY, Span

_BLOCK_DAYS: Final = 32
_ROW: Final = _BLOCK_DAYS * BYTES_PER_DAY
_ONE_UNIT: Final = 1


class Gap(NamedTuple):
    """Days of resources that are not known.

    Attributes:
        resource_ids: Which, in the order of their slots, without one between left out.
        pool_ids: Those that are pools.
        days: UTC day numbers.
    """

    resource_ids: Sequence[str]
    pool_ids: Sequence[str]
    days: range


@dataclass(slots=True)
class _Block:
    """Some days in a row of every resource.

    Attributes:
        busy: A row a slot, 12 bytes a day, little-endian.
        counted: The days of pools of which something is taken, by slot.
        used_at: When somebody last searched it.
    """

    busy: bytearray
    counted: defaultdict[int, dict[int, DayState]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    used_at: float = 0.0

    def put(self, slot: int, day: int, state: DayState, *, is_pool: bool) -> None:
        offset = slot * _ROW + day % _BLOCK_DAYS * BYTES_PER_DAY
        self.busy[offset : offset + BYTES_PER_DAY] = state.busy.to_bytes(BYTES_PER_DAY, "little")
        if is_pool:
            self.counted[slot][day] = state


class DayIndex:
    """The days that were searched, and how many units there are of pools.

    Resources have slots, numbered as they come. A day is known of the first so many slots: what
    changes on others is not taken in before they are filled.
    """

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._slots: dict[str, int] = {}
        self._pools: set[int] = set()
        self._capacities: dict[int, int] = {}
        self._blocks: dict[int, _Block] = {}
        self._known: dict[int, int] = {}

    @property
    def size(self) -> int:
        """Bytes of bitmaps in memory."""
        return len(self._blocks) * len(self._ids) * _ROW

    def enter(self, resource_ids: Sequence[str], pools: AbstractSet[str]) -> list[int]:
        """Returns the slots of resources, some of which are pools."""
        slots = self._slots
        try:
            return [slots[resource_id] for resource_id in resource_ids]
        except KeyError:
            for resource_id in resource_ids:
                if resource_id not in slots:
                    slot = slots[resource_id] = len(slots)
                    self._ids.append(resource_id)
                    if resource_id in pools:
                        self._pools.add(slot)
        return [slots[resource_id] for resource_id in resource_ids]

    def gaps(self, slots: Sequence[int], days: range, most_days: int) -> Iterator[Gap]:
        """Yields what must be filled, in this order, before the slots can be viewed.

        Args:
            slots: Of the resources that are searched.
            days: UTC day numbers.
            most_days: Of one gap, over all its resources; at least those of one resource.
        """
        top = max(slots, default=-1) + 1
        known = [self._known.get(day, 0) for day in days]
        missing = [day for day, count in zip(days, known, strict=True) if count < top]
        if not missing:
            return
        step = max(1, most_days // len(missing))
        for first in range(min(known), top, step):
            numbers = range(first, min(first + step, top))
            yield Gap(
                [self._ids[slot] for slot in numbers],
                [self._ids[slot] for slot in numbers if slot in self._pools],
                range(missing[0], missing[-1] + 1),
            )

    def size_with(self, days: range) -> int:
        """Returns how many bytes days of every resource take."""
        return len(_blocks_of(days)) * len(self._ids) * _ROW

    def fill(
        self,
        gap: Gap,
        days: Iterable[tuple[DayKey, DayState]],
        capacities: Iterable[tuple[str, int]],
        now: float,
    ) -> bool:
        """Takes in what is stored of a gap; days never booked are left out.

        What is known already stays as it is: what is stored may be ahead of it.

        Returns:
            Whether it was taken in: not where something before it has been forgotten meanwhile.
        """
        first = self._slots[gap.resource_ids[0]]
        top = self._slots[gap.resource_ids[-1]] + 1
        if any(self._known.get(day, 0) < first for day in gap.days):
            return False
        for number in _blocks_of(gap.days):
            block = self._blocks.setdefault(number, _Block(bytearray()))
            block.busy.extend(bytes(max(0, top * _ROW - len(block.busy))))
            block.used_at = now
        for (resource_id, day), state in days:
            slot = self._slots[resource_id]
            if slot >= self._known.get(day, 0):
                self._put(slot, day, state)
        for resource_id, units in capacities:
            self._capacities.setdefault(self._slots[resource_id], units)
        for day in gap.days:
            self._known[day] = max(top, self._known.get(day, 0))
        return True

    def change(
        self, days: Iterable[tuple[str, int, DayState]], capacities: Iterable[tuple[str, int]]
    ) -> None:
        """Takes in what a transaction did, of what is known."""
        for resource_id, day, state in days:
            slot = self._slots.get(resource_id)
            if slot is not None and slot < self._known.get(day, 0):
                self._put(slot, day, state)
        for resource_id, units in capacities:
            slot = self._slots.get(resource_id)
            if slot is not None:
                self._capacities[slot] = units

    def view(self, days: range, now: float) -> View:
        """Returns days that have no gap; they may be forgotten meanwhile."""
        blocks = [self._blocks[number] for number in _blocks_of(days)]
        for block in blocks:
            block.used_at = now
        return View(days, blocks, self._pools, self._capacities)

    def oldest(self) -> float:
        """Returns when the block that was searched longest ago was; infinite without any."""
        return min((block.used_at for block in self._blocks.values()), default=float("inf"))

    def forget(self, used_at: float) -> None:
        """Forgets what nobody searched after a moment."""
        for number, block in list(self._blocks.items()):
            if block.used_at <= used_at:
                del self._blocks[number]
                for day in range(number * _BLOCK_DAYS, (number + 1) * _BLOCK_DAYS):
                    self._known.pop(day, None)

    def _put(self, slot: int, day: int, state: DayState) -> None:
        is_pool = slot in self._pools
        self._blocks[day // _BLOCK_DAYS].put(slot, day, state, is_pool=is_pool)


@dataclass(frozen=True, slots=True)
class View:
    """Some days of an index, for one search; changes go on to be seen."""

    days: range
    _blocks: Sequence[_Block]
    _pools: set[int]
    _capacities: Mapping[int, int]

    def capacity(self, slot: int) -> int:
        """Returns how many units there are."""
        return self._capacities.get(slot, _ONE_UNIT)

    def lanes(self, slots: Sequence[int]) -> Iterator[bytearray]:
        """Yields the quanta of the days that have no unit left, in pieces, slot by slot."""
        pieces = list(self._pieces())
        if len(pieces) == 1:
            ((busy, start, stop),) = pieces
            return (busy[slot * _ROW + start : slot * _ROW + stop] for slot in slots)
        return (
            busy[slot * _ROW + start : slot * _ROW + stop]
            for slot in slots
            for busy, start, stop in pieces
        )

    def short(self, slot: int, units: int) -> int:
        """Returns the quanta of the days, end to end, that have fewer units left."""
        if units == _ONE_UNIT:
            return int.from_bytes(b"".join(self.lanes([slot])), "little")
        capacity = self.capacity(slot)
        if slot not in self._pools or units > capacity:
            return (1 << (len(self.days) * QUANTA_PER_DAY)) - 1
        found = 0
        counted = self._counted(slot)
        for day, state in counted.items():
            if day in self.days:
                shift = (day - self.days.start) * QUANTA_PER_DAY
                found |= (short(state, capacity, units) & EVERY_QUANTUM) << shift
        return found

    def units_free(self, slot: int, occupancies: Iterable[Span]) -> list[int]:
        """Returns the units that are free throughout occupancies within the days."""
        if slot not in self._pools:
            return [_ONE_UNIT for _ in occupancies]
        capacity, counted = self.capacity(slot), self._counted(slot)
        return [units_free(occupancy, counted, capacity) for occupancy in occupancies]

    def _counted(self, slot: int) -> Mapping[int, DayState]:
        found: dict[int, DayState] = {}
        for block in self._blocks:
            found.update(block.counted.get(slot, {}))
        return found

    def _pieces(self) -> Iterator[tuple[bytearray, int, int]]:
        left = self.days
        for block in self._blocks:
            start = left.start % _BLOCK_DAYS
            count = min(_BLOCK_DAYS - start, len(left))
            yield block.busy, start * BYTES_PER_DAY, (start + count) * BYTES_PER_DAY
            left = range(left.start + count, left.stop)


def _blocks_of(days: range) -> range:
    return range(days[0] // _BLOCK_DAYS, days[-1] // _BLOCK_DAYS + 1)
