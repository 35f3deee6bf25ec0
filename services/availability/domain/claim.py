"""Which bits of which days a booking takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from services.availability.domain.booking import BookingItem
from services.availability.domain.refusal import SlotUnavailable
from shared.slots import bitmap
from shared.slots.quantum import Span, day_date


class DayMask(NamedTuple):
    """Quanta of one resource and UTC day."""

    resource_id: str
    day: int
    bits: int


class DayState(NamedTuple):
    """What is stored of one resource and UTC day; no row is ``FREE``."""

    busy: int
    version: int


FREE = DayState(0, 0)


def day_masks(items: Iterable[BookingItem]) -> list[DayMask]:
    """Returns what the items occupy, in the order in which days are locked: bytewise, by date."""
    found: list[DayMask] = []
    for item in items:
        found += [DayMask(item.resource_id, day, bits) for day, bits in item.occupancy.masks()]
    return sorted(found)


def conflicts(occupancy: Span, days: Mapping[int, DayState]) -> dict[date, list[int]]:
    """Returns the taken quanta of an occupancy by UTC date; dates without any are left out."""
    return {
        day_date(day): bitmap.quanta(taken)
        for day, bits in occupancy.masks()
        if (taken := bits & days.get(day, FREE).busy)
    }


def refusal(taken: Iterable[DayMask]) -> SlotUnavailable:
    """Returns the refusal that names the taken quanta of the first resource in the way."""
    found = sorted(taken)
    first = found[0].resource_id
    return SlotUnavailable(
        first,
        {
            day_date(mask.day): bitmap.quanta(mask.bits)
            for mask in found
            if mask.resource_id == first
        },
    )
