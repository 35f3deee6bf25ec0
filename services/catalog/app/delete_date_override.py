"""Gives one date its weekday's hours back."""

from __future__ import annotations

from datetime import date

from services.catalog.app.find import existing
from services.catalog.app.port import Change
from services.catalog.domain.failure import Kind, NotFound


async def delete_date_override(change: Change, schedule_id: str, day: date) -> None:
    """Removes the override of a date.

    Raises:
        NotFound: There is no such schedule, or the date has none.
    """
    schedule = await existing(change.schedules, schedule_id)
    if not await change.date_overrides.remove(schedule_id, day):
        raise NotFound(Kind.DATE_OVERRIDE, day.isoformat())
    await change.schedules.put(schedule.changed(schedule.value, change.stamp))
