"""Removes a schedule for good."""

from __future__ import annotations

from services.catalog.app.find import existing
from services.catalog.app.port import Change
from services.catalog.domain.failure import ScheduleInUse

_USERS_NAMED = 10


async def delete_schedule(change: Change, schedule_id: str, etag: str) -> None:
    """Removes a schedule with its overrides; its id is free again.

    Raises:
        NotFound: There is none.
        StaleEtag: It changed since ``etag`` was read; "" asks for no check.
        ScheduleInUse: A row, perhaps a deleted one, uses it, or it is the default.
    """
    record = await existing(change.schedules, schedule_id)
    record.require(etag)
    users = await change.schedules.users(schedule_id, _USERS_NAMED)
    if record.value.is_default:
        users = ["default", *users]
    if users:
        raise ScheduleInUse(schedule_id, users)
    await change.schedules.remove(schedule_id)
