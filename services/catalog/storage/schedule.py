"""Schedules in their table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import FromClause, delete, literal, select, union_all
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.app.port import DateRange, Page
from services.catalog.domain.entry import EntryName
from services.catalog.domain.failure import Kind
from services.catalog.domain.offering import Hours
from services.catalog.domain.record import Record
from services.catalog.domain.schedule import Schedule, TimeWindow, WeeklyWindow
from services.catalog.storage import event_type, resource
from services.catalog.storage.date_override import (
    DateOverrideTable,
    bounds,
    load_overrides,
    overrides_of,
)
from services.catalog.storage.record import Mapper, RecordTable
from services.catalog.storage.schema import schedules


def _load(row: RowMapping, source: FromClause) -> Schedule:
    c = source.c
    return Schedule(
        schedule_id=row[c.schedule_id],
        name=row[c.name],
        time_zone=row[c.time_zone],
        windows=tuple(
            WeeklyWindow(day, TimeWindow(start, end)) for day, start, end in row[c.windows]
        ),
        is_default=row[c.is_default],
    )


def _dump(schedule: Schedule) -> Mapping[str, Any]:
    return {
        "schedule_id": schedule.schedule_id,
        "name": schedule.name,
        "time_zone": schedule.time_zone,
        "windows": [[entry.day, *entry.window] for entry in schedule.windows],
        "is_default": schedule.is_default,
    }


MAPPER = Mapper(kind=Kind.SCHEDULE, table=schedules, key="schedule_id", load=_load, dump=_dump)


class ScheduleTable(RecordTable[Schedule]):
    """One organization's schedules."""

    def __init__(
        self, connection: AsyncConnection, organization_id: str, touched: set[EntryName]
    ) -> None:
        super().__init__(MAPPER, connection, organization_id, touched)

    async def page(self, page: Page) -> list[Record[Schedule]]:
        """Reads a page by id."""
        return await self._page(page)

    async def default(self) -> Record[Schedule] | None:
        """Reads the default."""
        return await self._one(schedules.c.is_default)

    async def users(self, schedule_id: str, limit: int) -> list[str]:
        """Names rows, deleted ones included, that use it."""
        statement = union_all(
            *(
                select(literal(mapper.kind.value), mapper.table.c[mapper.key])
                .where(
                    mapper.table.c.organization_id == self._organization_id,
                    mapper.table.c.schedule_id == schedule_id,
                )
                .order_by(mapper.table.c[mapper.key])
                .limit(limit)
                for mapper in (resource.MAPPER, event_type.MAPPER)
            )
        ).limit(limit)
        rows = await self._connection.execute(statement)
        return [f"{kind}:{key}" for kind, key in rows]

    async def remove(self, schedule_id: str) -> None:
        """Removes one with its overrides."""
        # First, and by name: whoever follows the catalog is told of each.
        overrides = DateOverrideTable(self._connection, self._organization_id, self._touched)
        await overrides.remove_all(schedule_id)
        statement = delete(schedules).where(self._mine, schedules.c.schedule_id == schedule_id)
        await self._connection.execute(statement)
        self._touch(schedule_id)

    async def hours(self, schedule_id: str, dates: DateRange) -> Hours | None:
        """Reads one with its overrides of some dates, from one moment."""
        statement = select(schedules, overrides_of(schedules).label("overrides")).where(
            self._mine, schedules.c.schedule_id == schedule_id
        )
        found = await self._connection.execute(statement, bounds(dates))
        row = found.mappings().one_or_none()
        if row is None:
            return None
        return Hours(
            schedule=MAPPER.record(row, schedules), overrides=load_overrides(row["overrides"])
        )
