"""What tables of records have in common: reading, adding and changing one row by its id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from psycopg import errors
from sqlalchemy import ColumnElement, FromClause, Select, Table, and_, exc, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.app.port import Page
from services.catalog.domain.entry import EntryName
from services.catalog.domain.failure import IdTaken, Kind
from services.catalog.domain.record import Record

T = TypeVar("T")

_HISTORY = ("create_time", "update_time", "delete_time", "revision")


@dataclass(frozen=True)
class Mapper(Generic[T]):
    """How one kind of value is stored.

    Attributes:
        kind: What it is.
        table: Where.
        key: The column of its id.
        load: Reads a value from a row, given the columns it was selected by.
        dump: Says the columns of a value.
    """

    kind: Kind
    table: Table
    key: str
    load: Callable[[RowMapping, FromClause], T]
    dump: Callable[[T], Mapping[str, Any]]

    def record(self, row: RowMapping, source: FromClause) -> Record[T]:
        """Reads a record, from the table or an alias of it."""
        history: dict[str, Any] = {
            name: row[source.c[name]] for name in _HISTORY if name in source.c
        }
        deleted: datetime | None = history.pop("delete_time", None)
        return Record(value=self.load(row, source), delete_time=deleted, **history)

    def values(self, record: Record[T]) -> dict[str, Any]:
        """Says the columns of a record, without the organization."""
        history = {name: getattr(record, name) for name in _HISTORY if name in self.table.c}
        return {**self.dump(record.value), **history}


class RecordTable(Generic[T]):
    """One organization's rows of one kind."""

    def __init__(
        self,
        mapper: Mapper[T],
        connection: AsyncConnection,
        organization_id: str,
        touched: set[EntryName],
    ) -> None:
        self._mapper = mapper
        self._table = mapper.table
        self._key = mapper.table.c[mapper.key]
        self._connection = connection
        self._organization_id = organization_id
        self._touched = touched
        self._mine = mapper.table.c.organization_id == organization_id

    @property
    def kind(self) -> Kind:
        """What they are."""
        return self._mapper.kind

    async def find(self, key: str) -> Record[T] | None:
        """Reads one, deleted or not."""
        return await self._one(self._key == key)

    async def add(self, record: Record[T]) -> None:
        """Writes a new one.

        Raises:
            IdTaken: Its id was used before.
        """
        values = self._mapper.values(record)
        statement = insert(self._table).values(organization_id=self._organization_id, **values)
        try:
            await self._connection.execute(statement)
            self._touch(values[self._mapper.key])
        except exc.IntegrityError as error:
            if violated(error) == self._table.primary_key.name:
                raise IdTaken(self.kind, values[self._mapper.key]) from error
            raise

    async def put(self, record: Record[T]) -> None:
        """Writes one anew that exists."""
        values = self._mapper.values(record)
        key = values.pop(self._mapper.key)
        statement = update(self._table).where(self._mine, self._key == key)
        await self._connection.execute(statement.values(values))
        self._touch(key)

    async def missing(self, keys: Sequence[str]) -> list[str]:
        """Says which ids are unknown or deleted, ascending."""
        statement = select(self._key).where(
            self._mine, self._key.in_(keys), self._table.c.delete_time.is_(None)
        )
        found = set((await self._connection.execute(statement)).scalars())
        return sorted(set(keys) - found)

    def _touch(self, key: str) -> None:
        self._touched.add(EntryName(self.kind, key))

    async def _one(self, condition: ColumnElement[bool]) -> Record[T] | None:
        statement = select(self._table).where(self._mine, condition)
        row = (await self._connection.execute(statement)).mappings().one_or_none()
        return None if row is None else self._mapper.record(row, self._table)

    async def _page(self, page: Page, *conditions: ColumnElement[bool]) -> list[Record[T]]:
        return await self._records(
            select(self._table)
            .where(and_(self._mine, self._key > page.after, *conditions))
            .order_by(self._key)
            .limit(page.limit)
        )

    async def _records(self, statement: Select[Any]) -> list[Record[T]]:
        rows = (await self._connection.execute(statement)).mappings()
        return [self._mapper.record(row, self._table) for row in rows]


def violated(error: exc.IntegrityError) -> str | None:
    """Names the unique constraint that a statement ran into, if it was one."""
    cause = error.orig
    return cause.diag.constraint_name if isinstance(cause, errors.UniqueViolation) else None
