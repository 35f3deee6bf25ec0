"""Changes fields of a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.catalog.app.find import live
from services.catalog.app.port import Change
from services.catalog.app.retire_default import retire_default
from services.catalog.domain.record import Record
from services.catalog.domain.schedule import Schedule


async def update_schedule(
    change: Change, schedule_id: str, etag: str, fields: Mapping[str, Any]
) -> Record[Schedule]:
    """Changes a schedule; made the default, it takes the place of the one before.

    Args:
        change: The transaction.
        schedule_id: Which.
        etag: As read; "" for no check.
        fields: New values by the name of their field.

    Raises:
        NotFound: There is none.
        StaleEtag: It changed since.
    """
    record = await live(change.schedules, schedule_id)
    record.require(etag)
    schedule = replace(record.value, **fields)
    if schedule.is_default and not record.value.is_default:
        await retire_default(change)
    changed = record.changed(schedule, change.stamp)
    await change.schedules.put(changed)
    return changed
