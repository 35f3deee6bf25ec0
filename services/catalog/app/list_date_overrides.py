"""Lists the overrides of a schedule."""

from __future__ import annotations

from datetime import date

from services.catalog.app.find import existing
from services.catalog.app.port import DateRange, View
from services.catalog.domain.schedule import DateOverride


async def list_date_overrides(
    view: View, schedule_id: str, dates: DateRange, *, after: date | None, limit: int
) -> list[DateOverride]:
    """Reads at most ``limit`` overrides within ``dates``, after a date, ascending.

    Raises:
        NotFound: There is no such schedule.
    """
    await existing(view.schedules, schedule_id)
    return await view.date_overrides.page(schedule_id, dates, after=after, limit=limit)
