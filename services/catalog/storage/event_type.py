"""Event types in their table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, exc, exists, or_, select
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.app.port import EventTypeFilter, Page
from services.catalog.domain.entry import EntryName
from services.catalog.domain.event_type import (
    MINUTE,
    ClosedHoursPolicy,
    EventType,
    FlexibleDuration,
)
from services.catalog.domain.failure import Kind, SlugTaken
from services.catalog.domain.record import Record
from services.catalog.storage.record import Mapper, RecordTable, violated
from services.catalog.storage.schema import event_types, links

_SLUG_CONSTRAINT = "event_types_organization_id_slug_key"


def _load(row: RowMapping, source: FromClause) -> EventType:
    c = source.c
    return EventType(
        event_type_id=row[c.event_type_id],
        slug=row[c.slug],
        title=row[c.title],
        description=row[c.description],
        duration_options=tuple(minutes * MINUTE for minutes in row[c.duration_options_minutes]),
        flexible_duration=_load_flexible(row, source),
        slot_interval=_length(row[c.slot_interval_minutes]),
        schedule_id=row[c.schedule_id] or "",
        buffer_before=row[c.buffer_before_minutes] * MINUTE,
        buffer_after=row[c.buffer_after_minutes] * MINUTE,
        minimum_notice=row[c.minimum_notice_minutes] * MINUTE,
        horizon=_length(row[c.horizon_minutes]),
        closed_hours_policy=ClosedHoursPolicy(row[c.closed_hours_policy]),
        locations=tuple(row[c.locations]),
        time_zone_lock=row[c.time_zone_lock],
        requires_confirmation=row[c.requires_confirmation],
        active=row[c.active],
    )


def _load_flexible(row: RowMapping, source: FromClause) -> FlexibleDuration | None:
    c = source.c
    if row[c.flexible_minimum_minutes] is None:
        return None
    return FlexibleDuration(
        minimum=row[c.flexible_minimum_minutes] * MINUTE,
        maximum=row[c.flexible_maximum_minutes] * MINUTE,
        step=row[c.flexible_step_minutes] * MINUTE,
    )


def _dump(event_type: EventType) -> Mapping[str, Any]:
    flexible = event_type.flexible_duration
    return {
        "event_type_id": event_type.event_type_id,
        "slug": event_type.slug,
        "title": event_type.title,
        "description": event_type.description,
        "duration_options_minutes": [_minutes(length) for length in event_type.duration_options],
        "flexible_minimum_minutes": flexible and _minutes(flexible.minimum),
        "flexible_maximum_minutes": flexible and _minutes(flexible.maximum),
        "flexible_step_minutes": flexible and _minutes(flexible.step),
        "slot_interval_minutes": _minutes(event_type.slot_interval),
        "schedule_id": event_type.schedule_id or None,
        "buffer_before_minutes": _minutes(event_type.buffer_before),
        "buffer_after_minutes": _minutes(event_type.buffer_after),
        "minimum_notice_minutes": _minutes(event_type.minimum_notice),
        "horizon_minutes": _minutes(event_type.horizon),
        "closed_hours_policy": event_type.closed_hours_policy.value,
        "locations": list(event_type.locations),
        "time_zone_lock": event_type.time_zone_lock,
        "requires_confirmation": event_type.requires_confirmation,
        "active": event_type.active,
    }


def _minutes(length: timedelta | None) -> int | None:
    return None if length is None else length // MINUTE


def _length(minutes: int | None) -> timedelta | None:
    return None if minutes is None else minutes * MINUTE


MAPPER = Mapper(
    kind=Kind.EVENT_TYPE, table=event_types, key="event_type_id", load=_load, dump=_dump
)


class EventTypeTable(RecordTable[EventType]):
    """One organization's event types."""

    def __init__(
        self, connection: AsyncConnection, organization_id: str, touched: set[EntryName]
    ) -> None:
        super().__init__(MAPPER, connection, organization_id, touched)

    async def add(self, record: Record[EventType]) -> None:
        """Writes a new one.

        Raises:
            IdTaken: Its id was used before.
            SlugTaken: Its slug is another's.
        """
        try:
            await super().add(record)
        except exc.IntegrityError as error:
            raise _as_slug_taken(error, record) from error

    async def put(self, record: Record[EventType]) -> None:
        """Writes one anew that exists.

        Raises:
            SlugTaken: Its slug is another's.
        """
        try:
            await super().put(record)
        except exc.IntegrityError as error:
            raise _as_slug_taken(error, record) from error

    async def page(self, wanted: EventTypeFilter, page: Page) -> list[Record[EventType]]:
        """Reads a page by id."""
        c = event_types.c
        conditions: list[ColumnElement[bool]] = []
        if not wanted.show_deleted:
            conditions.append(c.delete_time.is_(None))
        if wanted.active is not None:
            conditions.append(c.active == wanted.active)
        if wanted.text:
            searched = (c.event_type_id, c.slug, c.title, c.description)
            conditions.append(
                or_(*(column.icontains(wanted.text, autoescape=True) for column in searched))
            )
        return await self._page(page, *conditions)

    async def page_of_resource(self, resource_id: str, page: Page) -> list[Record[EventType]]:
        """Reads a page by id of those, not deleted, that book a resource."""
        is_linked = exists().where(
            links.c.organization_id == event_types.c.organization_id,
            links.c.event_type_id == event_types.c.event_type_id,
            links.c.resource_id == resource_id,
        )
        return await self._page(page, event_types.c.delete_time.is_(None), is_linked)

    async def find_by_slug(self, slug: str) -> Record[EventType] | None:
        """Reads one, deleted or not."""
        return await self._one(event_types.c.slug == slug)

    async def taken(self, slugs: Sequence[str]) -> set[str]:
        """Says which slugs are some event type's, deleted ones included."""
        c = event_types.c
        statement = select(c.slug).where(self._mine, c.slug.in_(slugs))
        return set((await self._connection.execute(statement)).scalars())


def _as_slug_taken(error: exc.IntegrityError, record: Record[EventType]) -> Exception:
    return SlugTaken(record.value.slug) if violated(error) == _SLUG_CONSTRAINT else error
