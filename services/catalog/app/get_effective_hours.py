"""Computes opening hours as instants."""

from __future__ import annotations

from datetime import date

from services.catalog.app.port import DateRange, View
from services.catalog.domain.failure import Kind, NotFound
from services.catalog.domain.offering import EffectiveHours, effective_hours


async def hours_of_schedule(
    view: View, schedule_id: str, first: date, last: date
) -> EffectiveHours:
    """Computes the hours of a schedule on civil dates, both inclusive.

    Raises:
        NotFound: There is no such schedule.
    """
    hours = await view.schedules.hours(schedule_id, DateRange(first=first, last=last))
    if hours is None:
        raise NotFound(Kind.SCHEDULE, schedule_id)
    return effective_hours(hours, hours.schedule.value.time_zone, first, last)


async def hours_of_resource(
    view: View, resource_id: str, event_type_id: str, first: date, last: date
) -> EffectiveHours:
    """Computes the hours that apply to a resource, under an event type unless that is "".

    Raises:
        NotFound: The resource or the event type is unknown or deleted.
    """
    hours, zone = await view.offerings.hours(
        resource_id, event_type_id, DateRange(first=first, last=last)
    )
    return effective_hours(hours, zone, first, last)
