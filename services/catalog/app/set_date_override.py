"""Sets the hours of one date."""

from __future__ import annotations

from services.catalog.app.find import existing
from services.catalog.app.port import Change
from services.catalog.domain.failure import TooManyOverrides
from services.catalog.domain.schedule import MAX_OVERRIDES, DateOverride


async def set_date_override(change: Change, schedule_id: str, override: DateOverride) -> None:
    """Sets the hours of a date, in place of an override it may have.

    Raises:
        NotFound: There is no such schedule.
        TooManyOverrides: It has as many as it may, for other dates.
    """
    schedule = await existing(change.schedules, schedule_id)
    others = await change.date_overrides.count(schedule_id, without=override.date)
    if others >= MAX_OVERRIDES:
        raise TooManyOverrides(schedule_id, MAX_OVERRIDES)
    await change.date_overrides.put(schedule_id, override)
    await change.schedules.put(schedule.changed(schedule.value, change.stamp))
