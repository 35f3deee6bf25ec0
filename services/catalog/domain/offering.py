"""What a booking of a resource under an event type is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from services.catalog.domain.event_type import EventType
from services.catalog.domain.record import Record
from services.catalog.domain.resource import Resource
from services.catalog.domain.schedule import DateOverride, Schedule, opening_hours
from shared.slots import schedule as hours
from shared.slots.opening import open_intervals


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """A schedule with overrides of some dates."""

    schedule: Record[Schedule]
    overrides: tuple[DateOverride, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """A resource, an event type, the hours that apply and whether they are linked.

    Attributes:
        hours: None where neither names a schedule and the organization has no default.
        version: The organization's revision at the moment of reading.
    """

    resource: Record[Resource]
    event_type: Record[EventType]
    hours: Hours | None
    is_linked: bool
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveHours:
    """Opening hours as instants: ascending, half-open, merged where they touch."""

    time_zone: str
    open: tuple[tuple[datetime, datetime], ...]


def effective_hours(
    applying: Hours | None, zone_name: str, first: date, last: date
) -> EffectiveHours:
    """Computes the hours of civil dates, both inclusive.

    Args:
        applying: None means 09:00 to 17:00 every day in ``zone_name``.
        zone_name: IANA name; not read where a schedule applies.
        first: First date in the schedule's zone.
        last: Last one.
    """
    if applying is None:
        schedule = hours.default_schedule(zone_name)
    else:
        zone_name = applying.schedule.value.time_zone
        schedule = opening_hours(applying.schedule.value, applying.overrides)
    return EffectiveHours(time_zone=zone_name, open=tuple(open_intervals(schedule, first, last)))
