"""Takes the default from the schedule that has it."""

from __future__ import annotations

from dataclasses import replace

from services.catalog.app.port import Change


async def retire_default(change: Change) -> None:
    """Makes way for another default schedule; nothing happens when there is none.

    The row changes, and so does its etag: whoever read it as the default learns so.
    """
    record = await change.schedules.default()
    if record is not None:
        retired = replace(record.value, is_default=False)
        await change.schedules.put(record.changed(retired, change.stamp))
