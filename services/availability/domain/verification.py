"""Compares stored days with the union of the bookings that occupy them, as both stream by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from shared.slots.quantum import QUANTA_PER_DAY, Span


class DayKey(NamedTuple):
    """One resource and UTC day; sorts as the store does."""

    resource_id: str
    day: int


class Occupied(NamedTuple):
    """What bookings take of one day: quanta of any of them, quanta of more than one."""

    key: DayKey
    union: int
    overlap: int


class Difference(NamedTuple):
    """A day whose bitmap is not the union of its bookings, as bitmaps."""

    key: DayKey
    surplus: int
    missing: int
    overlap: int


class OccupancySweep:
    """Turns items, sorted by resource and first quantum, into days, sorted likewise.

    Holds no more days at a time than the longest item touches.
    """

    def __init__(self) -> None:
        self._resource_id = ""
        self._open: dict[int, tuple[int, int]] = {}

    def add(self, resource_id: str, occupancy: Span) -> Iterator[Occupied]:
        """Takes the next item; yields the days that no later item can touch."""
        if resource_id != self._resource_id:
            yield from self.finish()
            self._resource_id = resource_id
        yield from self._closed(before=occupancy.first // QUANTA_PER_DAY)
        for day, bits in occupancy.masks():
            union, overlap = self._open.get(day, (0, 0))
            self._open[day] = union | bits, overlap | union & bits

    def finish(self) -> Iterator[Occupied]:
        """Yields the days that are left."""
        yield from self._closed(before=None)

    def _closed(self, before: int | None) -> Iterator[Occupied]:
        # Items come by their first quantum, so days were opened in ascending order.
        for day in list(self._open):
            if before is not None and day >= before:
                return
            union, overlap = self._open.pop(day)
            yield Occupied(DayKey(self._resource_id, day), union, overlap)


def difference(key: DayKey, busy: int, union: int, overlap: int) -> Difference | None:
    """Returns how a day's stored bitmap differs from its bookings, or nothing."""
    if busy == union and not overlap:
        return None
    return Difference(key, busy & ~union, union & ~busy, overlap)
