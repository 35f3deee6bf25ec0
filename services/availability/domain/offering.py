"""What may be booked under which rules, and whether one start is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

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
from shared.runtime.failure import InvalidFields, Violation
from shared.slots import refusal as rule
from shared.slots.engine import check
from shared.slots.quantum import Span
from shared.slots.rule import BookingRules
from shared.slots.schedule import Schedule


class OfferingName(NamedTuple):
    """An event type over a resource."""

    organization_id: str
    resource_id: str
    event_type_id: str


class ResourceFacts(NamedTuple):
    """A resource, event types aside.

    ``resource_type`` is a lower-case word of the catalog's, such as room.
    """

    resource_id: str
    resource_type: str
    pool: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """A resource and an event type, as the catalog had them at one moment.

    Attributes:
        pool: Whether the resource stands for interchangeable units.
        resource_type: A lower-case word of the catalog's, such as room.
        needs_confirmation: Whether bookings wait until somebody confirms them.
    """

    name: OfferingName
    resource_active: bool
    standalone: bool
    event_type_active: bool
    linked: bool
    title: str
    locations: tuple[str, ...]
    zone_lock: ZoneInfo | None
    schedule: Schedule
    rules: BookingRules
    pool: bool = False
    resource_type: str = ""
    needs_confirmation: bool = False

    @property
    def is_active(self) -> bool:
        """Whether both are."""
        return self.resource_active and self.event_type_active

    def viewed_in(self, zone: ZoneInfo | None) -> ZoneInfo:
        """Returns the zone in which dates are read: locked, else the viewer's, else its own."""
        return self.zone_lock or zone or self.schedule.zone

    def require_link(self) -> None:
        """Refuses what the event type does not book.

        Raises:
            NotLinked: The event type does not book the resource.
        """
        if not self.linked:
            raise NotLinked(self.name.event_type_id, self.name.resource_id)

    def admit(self, start: datetime, duration: timedelta, location: str, now: datetime) -> Span:
        """Returns the occupancy of a booking that every rule but the inventory allows.

        Raises:
            Inactive: The resource or the event type is not active.
            NotLinked: The event type does not book the resource.
            NotStandalone: The resource is an add-on.
            InvalidFields: The location is not one of the event type's.
            DurationNotOffered: This length is not offered.
            OutsideSchedule: It does not lie in opening hours.
            NotOfferedStart: Nothing starts then.
            TooSoon: The start is past, or within the notice.
            TooFar: The start lies beyond the horizon.
        """
        self._require_bookable()
        self._require_location(location)
        try:
            return check(self.schedule, self.rules, start, duration, now)
        except rule.DurationNotOffered:
            raise self.length_refusal() from None
        except rule.OutsideSchedule:
            raise OutsideSchedule from None
        except rule.NotOfferedStart:
            raise NotOfferedStart from None
        except rule.TooSoon as refusal:
            raise TooSoon(refusal.earliest) from None
        except rule.TooFar as refusal:
            raise TooFar(refusal.latest) from None

    def length_refusal(self) -> DurationNotOffered:
        """Returns the refusal of a length, naming those on offer."""
        flexible = self.rules.flexible
        if flexible is None:
            return DurationNotOffered(", ".join(map(_minutes, self.rules.durations)))
        return DurationNotOffered(
            f"{_minutes(flexible.minimum)} to {_minutes(flexible.maximum)}"
            f" in steps of {_minutes(flexible.step)}"
        )

    def _require_bookable(self) -> None:
        if not self.resource_active:
            raise Inactive(Kind.RESOURCE, self.name.resource_id)
        if not self.event_type_active:
            raise Inactive(Kind.EVENT_TYPE, self.name.event_type_id)
        self.require_link()
        if not self.standalone:
            raise NotStandalone(self.name.resource_id)

    def _require_location(self, location: str) -> None:
        if location in self.locations or not (location or self.locations):
            return
        known = "one of the event type's" if self.locations else "empty: the event type names none"
        raise InvalidFields([Violation("location", f"must be {known}")])


class SlotQuery(NamedTuple):
    """Local dates, both inclusive, of which the free starts are asked."""

    name: OfferingName
    first: date
    last: date
    duration: timedelta
    zone: ZoneInfo | None


def _minutes(length: timedelta) -> str:
    return f"{length / timedelta(minutes=1):g}m"
