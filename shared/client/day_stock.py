"""How many units of a resource its bookings leave free, quarter hour by quarter hour. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from shared.client.day_merge import OfferedSlots, Stock
from shared.client.days_fold import UNTOUCHED, DayKey, DaysState
from shared.slots.quantum import QUANTA_PER_DAY, Span, day_date, day_number


class DayStock(NamedTuple):
    """What bookings leave.

    Attributes:
        capacity: How many units there are; None while it cannot be told.
        stock: What there is to merge with holds.
        taken: Quanta with fewer units free than are wanted, by days newer than the starts: a
            bitmap as ``OfferedSlots.mask`` makes.
    """

    capacity: int | None
    stock: Stock
    taken: int


def day_stock(
    slots: OfferedSlots,
    resource_id: str,
    versions: Mapping[DayKey, int],
    days: DaysState,
    known_capacity: int | None,
) -> DayStock:
    """Returns what the bookings of the days leave.

    Args:
        slots: The starts offered.
        resource_id: Whose.
        versions: Of the days that the starts were computed from.
        days: As they are now.
        known_capacity: As it was last found: newer days alone do not tell it.
    """
    found = _capacity(slots, resource_id, versions, days)
    capacity = known_capacity if found is None else found
    has_counters = any(state.units_taken for state in days.days.values())
    free: int | Mapping[int, int] | None = capacity
    if capacity is not None and has_counters:
        free = _free(slots, resource_id, days, capacity)
    is_pool = has_counters or (capacity or 0) > 1
    return DayStock(capacity, Stock(free, is_pool=is_pool), _taken(slots, versions, days, capacity))


def _capacity(
    slots: OfferedSlots, resource_id: str, versions: Mapping[DayKey, int], days: DaysState
) -> int | None:
    """Returns how many units there are, where a start was computed from the days as they are."""
    for span, slot in zip(slots.occupancies, slots.available, strict=True):
        most = 0
        for number, _ in span.masks():
            key = DayKey(resource_id, day_date(number))
            state = days.days.get(key)
            if state is None or state.version != versions.get(key):
                break
            if state.units_taken:
                base = number * QUANTA_PER_DAY
                first, stop = max(span.first - base, 0), min(span.stop - base, QUANTA_PER_DAY)
                most = max(most, *state.units_taken[first:stop])
        else:
            return slot.units_free + most
    return None


def _free(
    slots: OfferedSlots, resource_id: str, days: DaysState, capacity: int
) -> Mapping[int, int]:
    """Returns the free units of each quantum that a start may take."""
    free = dict.fromkeys(range(slots.base, slots.stop), capacity)
    if free:
        for number, _ in Span(slots.base, slots.stop).masks():
            base = number * QUANTA_PER_DAY
            taken = days.of(resource_id, day_date(number)).units_taken
            free.update((base + index, capacity - units) for index, units in enumerate(taken))
    return free


def _taken(
    slots: OfferedSlots,
    versions: Mapping[DayKey, int],
    days: DaysState,
    capacity: int | None,
) -> int:
    """Returns what was booked since the starts were asked for, until they are asked again."""
    taken = 0
    for key, version in versions.items():
        state = days.days.get(key, UNTOUCHED)
        # An answer may be ahead of the watch: then the watch is the one that is out of date.
        if state.version <= version:
            continue
        busy = state.busy
        if capacity is not None:
            for index, units in enumerate(state.units_taken):
                busy |= (capacity - units < slots.wanted) << index
        shift = day_number(key.date) * QUANTA_PER_DAY - slots.base
        taken |= busy << shift if shift >= 0 else busy >> -shift
    return taken
