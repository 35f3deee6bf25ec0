"""Whether every rule but the inventory allows a booking, of one resource or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple

from services.availability.domain.booking import BookingItem
from services.availability.domain.claim import touched
from services.availability.domain.offering import Offering
from services.availability.domain.refusal import (
    DurationNotOffered,
    Inactive,
    Kind,
    NotLinked,
    NotOfferedStart,
    NotStandalone,
    OutsideSchedule,
    TooFar,
    TooSoon,
)
from shared.runtime.failure import Failure, InvalidFields, Violation
from shared.slots import refusal as rule
from shared.slots.engine import check
from shared.slots.quantum import DateOutOfRange, Span

MOST_DAYS: Final = 320
"""Days of resources that one call may touch."""

# When several rules refuse, or one rule refuses several items, the lowest is told.
_RANK: Final[Mapping[type[Failure], int]] = MappingProxyType(
    {
        Inactive: 0,
        NotLinked: 1,
        NotStandalone: 2,
        InvalidFields: 3,
        DurationNotOffered: 4,
        OutsideSchedule: 5,
        NotOfferedStart: 6,
        TooSoon: 7,
        TooFar: 8,
    }
)


class Wanted(NamedTuple):
    """When and where a booking is to be.

    Attributes:
        location: One of the event type's; None for the one that a booking has and keeps.
        is_override: Whether an administrator books against the rules of the schedule: lengths,
            hours, starts, notice and horizon. Activity, links and add-ons hold even then.
    """

    start: datetime
    duration: timedelta
    location: str | None
    is_override: bool = False


def admit(
    offerings: Sequence[Offering], units: Sequence[int], wanted: Wanted, now: datetime
) -> tuple[BookingItem, ...]:
    """Returns the items of a booking that every rule but the inventory allows.

    Args:
        offerings: What each item is to be booked under; all of one event type.
        units: How many of each.
        wanted: When and where.
        now: The clock's reading.

    Raises:
        Inactive: A resource or the event type is not active.
        NotLinked: The event type does not book a resource.
        NotStandalone: There are only add-ons.
        InvalidFields: The location is not one of the event type's, or the start lies outside
            the calendar.
        DurationNotOffered: This length is not offered.
        OutsideSchedule: It does not lie in opening hours.
        NotOfferedStart: Nothing starts then.
        TooSoon: The start is past, or within the notice.
        TooFar: The start lies beyond the horizon.
    """
    refusals: list[Failure] = []
    items = []
    for offering, count in zip(offerings, units, strict=True):
        try:
            _require_bookable(offering)
            _require_location(offering, wanted.location)
            occupancy = _occupancy(offering, wanted, now)
        except tuple(_RANK) as refusal:
            refusals.append(refusal)
        else:
            items.append(BookingItem(offering.name.resource_id, count, occupancy, offering.pool))
    if not any(offering.standalone for offering in offerings):
        refusals.append(NotStandalone(offerings[0].name.resource_id))
    if refusals:
        raise min(refusals, key=lambda refusal: _RANK[type(refusal)])
    if len(touched(items)) > MOST_DAYS:
        raise InvalidFields([Violation("items", f"must not occupy more than {MOST_DAYS} days")])
    return tuple(items)


def _require_bookable(offering: Offering) -> None:
    if not offering.resource_active:
        raise Inactive(Kind.RESOURCE, offering.name.resource_id)
    if not offering.event_type_active:
        raise Inactive(Kind.EVENT_TYPE, offering.name.event_type_id)
    offering.require_link()


def _require_location(offering: Offering, location: str | None) -> None:
    known = offering.locations
    if location is None or location in known or not (location or known):
        return
    must = "one of the event type's" if known else "empty: the event type names none"
    raise InvalidFields([Violation("location", f"must be {must}")])


def _occupancy(offering: Offering, wanted: Wanted, now: datetime) -> Span:
    start, duration = wanted.start, wanted.duration
    try:
        if wanted.is_override:
            return offering.rules.occupancy(start, duration)
        return check(offering.schedule, offering.rules, start, duration, now)
    except rule.DurationNotOffered:
        raise offering.length_refusal() from None
    except rule.OutsideSchedule:
        raise OutsideSchedule from None
    except rule.NotOfferedStart:
        raise NotOfferedStart from None
    except rule.TooSoon as refusal:
        raise TooSoon(refusal.earliest) from None
    except rule.TooFar as refusal:
        raise TooFar(refusal.latest) from None
    except DateOutOfRange:
        raise InvalidFields([Violation("start_time", "is outside the calendar")]) from None
