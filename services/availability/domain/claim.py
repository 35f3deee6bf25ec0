"""Which quanta of which days a booking takes, and whether they are free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Final, NamedTuple

from services.availability.domain import counter
from services.availability.domain.booking import BookingItem
from services.availability.domain.counter import Planes
from services.availability.domain.refusal import SlotUnavailable
from shared.slots import bitmap
from shared.slots.quantum import Span, day_date


class DayKey(NamedTuple):
    """One resource and UTC day; sorts in the order in which days are locked."""

    resource_id: str
    day: int


class DayState(NamedTuple):
    """What is stored of one resource and UTC day; no row is ``FREE``.

    Attributes:
        busy: The quanta of which no unit is left.
        version: The feed number of the last change.
        taken: Of a pool, units taken at each quantum. Of another resource empty: of one unit
            ``busy`` says it.
    """

    busy: int
    version: int
    taken: Planes = ()

    @property
    def counted(self) -> Planes:
        """Units taken at each quantum, of whichever resource."""
        return self.taken or ((self.busy,) if self.busy else ())


FREE: Final = DayState(0, 0)


class Taken(NamedTuple):
    """Quanta of a day that have too few units left."""

    key: DayKey
    quanta: int


def touched(items: Iterable[BookingItem]) -> set[DayKey]:
    """Returns the days that items occupy."""
    return {key for _, key, _ in _parts(items)}


class Inventory:
    """Days and capacities as they are while they are locked; claims are decided against it.

    Attributes:
        changed: The days that are not what they were, to be written.
    """

    def __init__(self, days: Mapping[DayKey, DayState], capacities: Mapping[str, int]) -> None:
        """Begins.

        Args:
            days: Every day that claims may touch, locked.
            capacities: Units of each pool among them, whose days are counted.
        """
        self._days = dict(days)
        self._capacities = dict(capacities)
        self.changed: set[DayKey] = set()

    def has(self, keys: Iterable[DayKey]) -> bool:
        """Tells whether it knows all of the days."""
        return all(key in self._days for key in keys)

    def has_uncounted(self, keys: Iterable[DayKey]) -> bool:
        """Tells whether a day has a counter, but its resource no capacity that is locked."""
        return any(
            self._days[key].taken and key.resource_id not in self._capacities for key in keys
        )

    def state(self, key: DayKey) -> DayState:
        """Returns a day as it is now."""
        return self._days[key]

    def capacity(self, resource_id: str) -> int:
        """Returns how many units there are."""
        return self._capacities.get(resource_id, 1)

    def in_the_way(self, items: Iterable[BookingItem]) -> list[Taken]:
        """Returns what has too few units left for items."""
        return [
            Taken(key, quanta)
            for item, key, mask in _parts(items)
            if (quanta := mask & short(self._days[key], self.capacity(key.resource_id), item.units))
        ]

    def take(self, items: Iterable[BookingItem]) -> None:
        """Counts items that nothing is in the way of."""
        self._put_all(
            self._counted(item, key, counter.add(self._days[key].counted, mask, item.units))
            if self._is_counted(item)
            else (key, self._days[key]._replace(busy=self._days[key].busy | mask))
            for item, key, mask in _parts(items)
        )

    def release(self, items: Iterable[BookingItem]) -> None:
        """Gives back what items took, and nothing else.

        What is not counted any more (a day that was lost, say) stays so: VerifyInventory finds
        the difference, and a booking can be cancelled all the same.
        """
        self._put_all(
            self._counted(item, key, counter.subtract(self._days[key].counted, mask, item.units))
            if self._is_counted(item)
            else (key, self._days[key]._replace(busy=self._days[key].busy & ~mask))
            for item, key, mask in _parts(items)
        )

    def resize(self, resource_id: str, units: int) -> None:
        """Makes a pool have another number of units, and its known days full where they are."""
        self._capacities[resource_id] = units
        for key, state in list(self._days.items()):
            if key.resource_id == resource_id:
                self.count_anew(key, state.counted)

    def count_anew(self, key: DayKey, planes: Planes) -> None:
        """Sets a pool's counts of a day, whatever they were."""
        busy = counter.reaching(planes, self.capacity(key.resource_id))
        self._put_all([(key, self._days[key]._replace(busy=busy, taken=planes))])

    def mark_anew(self, key: DayKey, busy: int) -> None:
        """Sets the bitmap of a day of another resource, whatever it was."""
        self._put_all([(key, self._days[key]._replace(busy=busy, taken=()))])

    def _is_counted(self, item: BookingItem) -> bool:
        # What was booked of a pool before there were counters says nothing of one.
        return item.is_pool or item.resource_id in self._capacities

    def _counted(self, item: BookingItem, key: DayKey, planes: Planes) -> tuple[DayKey, DayState]:
        busy = counter.reaching(planes, self.capacity(item.resource_id))
        return key, self._days[key]._replace(busy=busy, taken=planes)

    def _put_all(self, states: Iterable[tuple[DayKey, DayState]]) -> None:
        for key, state in states:
            if state != self._days[key]:
                self._days[key] = state
                self.changed.add(key)


def _parts(items: Iterable[BookingItem]) -> Iterator[tuple[BookingItem, DayKey, int]]:
    for item in items:
        for day, mask in item.occupancy.masks():
            yield item, DayKey(item.resource_id, day), mask


def short(state: DayState, capacity: int, units: int) -> int:
    """Returns the quanta of a day at which fewer than ``units`` of ``capacity`` are left."""
    if units == 1:
        return state.busy
    return counter.short_of(state.counted, capacity, units)


def conflicts(
    occupancy: Span, days: Mapping[int, DayState], capacity: int = 1, units: int = 1
) -> dict[date, list[int]]:
    """Returns an occupancy's quanta with too few units by UTC date; dates without are left out."""
    return {
        day_date(day): bitmap.quanta(taken)
        for day, bits in occupancy.masks()
        if (taken := bits & short(days.get(day, FREE), capacity, units))
    }


def units_free(occupancy: Span, days: Mapping[int, DayState], capacity: int) -> int:
    """Returns how many units are free throughout an occupancy."""
    taken = max(counter.most(days.get(day, FREE).counted, mask) for day, mask in occupancy.masks())
    return max(0, capacity - taken)


def refusal(taken: Iterable[Taken]) -> SlotUnavailable:
    """Returns the refusal that names the taken quanta of the first resource in the way."""
    found = sorted(taken)
    first = found[0].key.resource_id
    return SlotUnavailable(
        first,
        {
            day_date(key.day): bitmap.quanta(quanta)
            for key, quanta in found
            if key.resource_id == first
        },
    )
