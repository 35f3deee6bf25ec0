"""Reads rows that must exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from services.catalog.app.port import Records, Schedules, View
from services.catalog.domain.event_type import EventType
from services.catalog.domain.failure import Kind, NoDefaultSchedule, NotFound
from services.catalog.domain.record import Record
from services.catalog.domain.schedule import Schedule

T = TypeVar("T")


class Referable(Protocol):
    """Rows that others refer to."""

    @property
    def kind(self) -> Kind:
        """What they are."""

    async def missing(self, keys: Sequence[str]) -> list[str]:
        """Says which ids are unknown or deleted."""


async def existing(records: Records[T], key: str) -> Record[T]:
    """Reads a row, deleted or not.

    Raises:
        NotFound: There never was one.
    """
    record = await records.find(key)
    if record is None:
        raise NotFound(records.kind, key)
    return record


async def live(records: Records[T], key: str) -> Record[T]:
    """Reads a row that is not deleted.

    Raises:
        NotFound: It is, or there never was one.
    """
    record = await existing(records, key)
    if record.is_deleted:
        raise NotFound(records.kind, key)
    return record


async def require(records: Referable, keys: Sequence[str]) -> None:
    """Checks that rows exist and are not deleted.

    Raises:
        NotFound: For the first that does not or is.
    """
    missing = await records.missing(keys)
    if missing:
        raise NotFound(records.kind, missing[0])


async def require_schedule(view: View, schedule_id: str) -> None:
    """Checks that the schedule a row names exists; naming none is fine.

    Raises:
        NotFound: It does not.
    """
    if schedule_id:
        await existing(view.schedules, schedule_id)


async def default_schedule(schedules: Schedules) -> Record[Schedule]:
    """Reads the organization's default schedule.

    Raises:
        NoDefaultSchedule: There is none.
    """
    record = await schedules.default()
    if record is None:
        raise NoDefaultSchedule
    return record


async def event_type_by_slug(view: View, slug: str) -> Record[EventType]:
    """Reads an event type that is not deleted.

    Raises:
        NotFound: None has this slug.
    """
    record = await view.event_types.find_by_slug(slug)
    if record is None or record.is_deleted:
        raise NotFound(Kind.EVENT_TYPE, slug)
    return record
