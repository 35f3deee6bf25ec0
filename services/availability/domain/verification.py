"""Compares stored days with the bookings that occupy them, as both stream by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from services.availability.domain import counter
from services.availability.domain.claim import FREE, DayKey, DayState
from services.availability.domain.counter import Planes
from shared.slots.quantum import QUANTA_PER_DAY, Span


class OccupyingItem(NamedTuple):
    """An item of a booking or block that takes its time.

    ``is_first`` is true of one item of each booking, so that bookings can be counted.
    """

    resource_id: str
    occupancy: Span
    units: int
    is_pool: bool
    is_first: bool


class StoredDay(NamedTuple):
    """A day as it is stored; ``capacity`` is that of its pool, None where none was ever set."""

    key: DayKey
    state: DayState
    capacity: int | None


class Occupied(NamedTuple):
    """What bookings take of one day: units at each quantum, and whether of a pool."""

    key: DayKey
    planes: Planes
    is_pool: bool


class Difference(NamedTuple):
    """A day that is not what its bookings make of it, as bitmaps.

    Attributes:
        key: The day.
        surplus: Marked as full, though a unit is left.
        missing: Full, though not marked.
        overlap: More units are taken than there are.
        miscounted: The counter differs from the units taken.
    """

    key: DayKey
    surplus: int
    missing: int
    overlap: int
    miscounted: int


class OccupancySweep:
    """Turns items, sorted by resource and first quantum, into days, sorted likewise.

    Holds no more days at a time than the longest item touches.
    """

    def __init__(self) -> None:
        self._resource_id = ""
        self._is_pool = False
        self._open: dict[int, Planes] = {}

    def add(self, item: OccupyingItem) -> Iterator[Occupied]:
        """Takes the next item; yields the days that no later item can touch."""
        if item.resource_id != self._resource_id:
            yield from self.finish()
            self._resource_id = item.resource_id
            self._is_pool = item.is_pool
        yield from self._closed(before=item.occupancy.first // QUANTA_PER_DAY)
        for day, mask in item.occupancy.masks():
            self._open[day] = counter.add(self._open.get(day, ()), mask, item.units)

    def finish(self) -> Iterator[Occupied]:
        """Yields the days that are left."""
        yield from self._closed(before=None)

    def _closed(self, before: int | None) -> Iterator[Occupied]:
        # Items come by their first quantum, so days were opened in ascending order.
        for day in list(self._open):
            if before is not None and day >= before:
                return
            yield Occupied(DayKey(self._resource_id, day), self._open.pop(day), self._is_pool)


def difference(stored: StoredDay | None, taken: Occupied | None, now: int) -> Difference | None:
    """Returns how a day differs from its bookings, or nothing.

    Args:
        stored: The day; None where no row is stored.
        taken: What bookings take of the same day; None where they take nothing.
        now: The quantum that runs. A pool may have shrunk below what was taken of it before.
    """
    found = stored or taken
    assert found is not None  # a day that neither stores nor books is not compared
    key = found.key
    state = stored.state if stored else FREE
    planes = taken.planes if taken else ()
    is_pool = _is_pool(stored, taken)
    capacity = 1
    if is_pool and stored and stored.capacity is not None:
        capacity = stored.capacity
    full = counter.reaching(planes, capacity)
    differing = Difference(
        key,
        surplus=state.busy & ~full,
        missing=full & ~state.busy,
        overlap=counter.reaching(planes, capacity + 1) & ~(_over(key.day, now) if is_pool else 0),
        miscounted=counter.differing(planes, state.taken if is_pool else (state.busy,)),
    )
    return differing if any(differing[1:]) else None


def _is_pool(stored: StoredDay | None, taken: Occupied | None) -> bool:
    if taken is not None and taken.is_pool:
        return True
    return stored is not None and (stored.capacity is not None or bool(stored.state.taken))


def _over(day: int, now: int) -> int:
    """Returns the quanta of a day that have ended when quantum ``now`` runs."""
    return (1 << min(max(now - day * QUANTA_PER_DAY, 0), QUANTA_PER_DAY)) - 1
