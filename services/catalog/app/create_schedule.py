"""Creates a schedule."""

from __future__ import annotations

from dataclasses import replace

from services.catalog.app.port import Change
from services.catalog.app.retire_default import retire_default
from services.catalog.domain.record import Record
from services.catalog.domain.schedule import Schedule
from shared.runtime.identity import uuid7


async def create_schedule(change: Change, schedule: Schedule) -> Record[Schedule]:
    """Creates a schedule; as the default it takes the place of the one before.

    Raises:
        IdTaken: Another schedule has the id.
    """
    if not schedule.schedule_id:
        schedule = replace(schedule, schedule_id=uuid7(change.stamp.time))
    if schedule.is_default:
        await retire_default(change)
    record = Record.new(schedule, change.stamp)
    await change.schedules.add(record)
    return record
