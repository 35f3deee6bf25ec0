"""What may be booked under which rules, and whether one start is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.availability.domain.refusal import DurationNotOffered, NotLinked
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

    def length_refusal(self) -> DurationNotOffered:
        """Returns the refusal of a length, naming those on offer."""
        flexible = self.rules.flexible
        if flexible is None:
            return DurationNotOffered(", ".join(map(_minutes, self.rules.durations)))
        return DurationNotOffered(
            f"{_minutes(flexible.minimum)} to {_minutes(flexible.maximum)}"
            f" in steps of {_minutes(flexible.step)}"
        )


class SlotQuery(NamedTuple):
    """Local dates, both inclusive, of which the free starts are asked.

    ``moving`` names a booking whose own time counts as free; empty for none.
    """

    name: OfferingName
    first: date
    last: date
    duration: timedelta
    zone: ZoneInfo | None
    units: int = 1
    moving: str = ""


def _minutes(length: timedelta) -> str:
    return f"{length / timedelta(minutes=1):g}m"
