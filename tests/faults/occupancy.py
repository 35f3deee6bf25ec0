"""Units taken at each quarter hour, added up one booking at a time.

Counts of a day are one wide integer, 16 bits for each quantum: written to be obviously right,
and on purpose not the counters of the service, whose faults it is to find.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from tests.faults.tables import DayKey, ItemRow


class Occupancy:
    """Who takes what."""

    def __init__(self) -> None:
        self._days: dict[DayKey, int] = {}
        self._taken: dict[str, list[tuple[DayKey, int]]] = {}

    def take(self, booking_id: str, items: Iterable[ItemRow]) -> set[DayKey]:
        """Counts a booking, in place of whatever it took; returns the days it touches now."""
        self.release(booking_id)
        taken = self._taken[booking_id] = [
            (key, _spread(mask) * item.units) for item in items for key, mask in days_of(item)
        ]
        for key, wide in taken:
            self._days[key] = self._days.get(key, 0) + wide
        return {key for key, _ in taken}

    def release(self, booking_id: str) -> set[DayKey]:
        """Takes a booking's own time back; returns the days it touched."""
        taken = self._taken.pop(booking_id, [])
        for key, wide in taken:
            self._days[key] -= wide
        return {key for key, _ in taken}

    def counts(self, key: DayKey, without: str = "") -> Sequence[int]:
        """The units taken at each quantum of a day, one booking's left out."""
        wide = self._days.get(key, 0)
        for other, own in self._taken.get(without, ()):
            if other == key:
                wide -= own
        return memoryview(wide.to_bytes(2 * 96, "little")).cast("H")

    def total(self, key: DayKey) -> int:
        """All counts of a day as one integer, to compare."""
        return self._days.get(key, 0)

    def days(self) -> Iterable[DayKey]:
        """The days that anything was ever taken of."""
        return self._days.keys()


def days_of(item: ItemRow) -> Iterable[tuple[DayKey, int]]:
    """The days that an item touches, and its quanta of each as bits."""
    for day in range(item.first // 96, (item.stop - 1) // 96 + 1):
        low, high = max(item.first - 96 * day, 0), min(item.stop - 96 * day, 96)
        yield (item.resource_id, day), (1 << high) - (1 << low)


def bits(flags: Iterable[bool]) -> int:
    """A bitmap whose bit q is flag q."""
    return sum(1 << place for place, flag in enumerate(flags) if flag)


@lru_cache(maxsize=4096)
def _spread(mask: int) -> int:
    # A hexadecimal digit is four bits: four of them make a cell.
    return int(f"{mask:b}".replace("0", "0" * 4).replace("1", "0001"), 16)
