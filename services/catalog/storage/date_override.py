"""Date overrides in their table, and beside a schedule in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, FromClause, ScalarSelect, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.app.port import DateRange
from services.catalog.domain.entry import EntryName
from services.catalog.domain.failure import Kind
from services.catalog.domain.schedule import DateOverride, TimeWindow
from services.catalog.storage.schema import date_overrides


def overrides_of(schedule: FromClause) -> ScalarSelect[Any]:
    """Selects a schedule's overrides as one JSON value, for ``load_overrides``.

    The dates are parameters of the statement: see ``bounds``.
    """
    c = date_overrides.c
    entry = func.jsonb_build_array(c.date, c.unavailable, c.windows, c.note)
    return (
        select(func.jsonb_agg(aggregate_order_by(entry, c.date), type_=JSONB))
        .where(
            c.organization_id == schedule.c.organization_id,
            c.schedule_id == schedule.c.schedule_id,
            c.date.between(bindparam("first_date"), bindparam("last_date")),
        )
        .correlate(schedule)
        .scalar_subquery()
    )


def bounds(dates: DateRange) -> Mapping[str, date]:
    """Says which dates ``overrides_of`` selects."""
    return {"first_date": dates.first, "last_date": dates.last}


def load_overrides(value: Sequence[Sequence[Any]] | None) -> tuple[DateOverride, ...]:
    """Reads what ``overrides_of`` selected, by date."""
    return tuple(
        load_override(date.fromisoformat(day), unavailable, windows, note)
        for day, unavailable, windows, note in value or ()
    )


class DateOverrideTable:
    """Overrides of one organization's schedules."""

    def __init__(
        self, connection: AsyncConnection, organization_id: str, touched: set[EntryName]
    ) -> None:
        self._connection = connection
        self._organization_id = organization_id
        self._touched = touched

    async def count(self, schedule_id: str, *, without: date) -> int:
        """Counts a schedule's overrides of other dates."""
        statement = select(func.count()).where(
            *self._of(schedule_id), date_overrides.c.date != without
        )
        return (await self._connection.execute(statement)).scalar_one()

    async def put(self, schedule_id: str, override: DateOverride) -> None:
        """Writes one in place of what its date may have."""
        hours = {
            "unavailable": override.unavailable,
            "windows": [list(window) for window in override.windows],
            "note": override.note,
        }
        statement = insert(date_overrides).values(
            organization_id=self._organization_id,
            schedule_id=schedule_id,
            date=override.date,
            **hours,
        )
        await self._connection.execute(
            statement.on_conflict_do_update(constraint=date_overrides.primary_key, set_=hours)
        )
        self._touch(schedule_id, override.date)

    async def remove(self, schedule_id: str, day: date) -> bool:
        """Removes one; says whether there was one."""
        statement = delete(date_overrides).where(
            *self._of(schedule_id), date_overrides.c.date == day
        )
        is_removed = (await self._connection.execute(statement)).rowcount > 0
        if is_removed:
            self._touch(schedule_id, day)
        return is_removed

    async def remove_all(self, schedule_id: str) -> None:
        """Removes those of every date."""
        statement = delete(date_overrides).where(*self._of(schedule_id))
        removed = await self._connection.execute(statement.returning(date_overrides.c.date))
        for day in removed.scalars():
            self._touch(schedule_id, day)

    async def page(
        self, schedule_id: str, dates: DateRange, *, after: date | None, limit: int
    ) -> list[DateOverride]:
        """Reads a page by date."""
        c = date_overrides.c
        statement = (
            select(c.date, c.unavailable, c.windows, c.note)
            .where(*self._of(schedule_id), c.date.between(dates.first, dates.last))
            .order_by(c.date)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(c.date > after)
        return [load_override(*row) for row in await self._connection.execute(statement)]

    def _touch(self, schedule_id: str, day: date) -> None:
        self._touched.add(EntryName(Kind.DATE_OVERRIDE, schedule_id, day.isoformat()))

    def _of(self, schedule_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        c = date_overrides.c
        return c.organization_id == self._organization_id, c.schedule_id == schedule_id


def load_override(day: date, unavailable: Any, windows: Sequence[Any], note: str) -> DateOverride:
    """Reads the columns of a row that are not its key, and its date."""
    return DateOverride(
        date=day,
        unavailable=bool(unavailable),
        windows=tuple(TimeWindow(*window) for window in windows),
        note=note,
    )
