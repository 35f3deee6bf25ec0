"""Reads catalogs for those who follow them: as a whole, or what changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Select, Table, select, text, tuple_
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.catalog.app.port import Delta, Encode, Touched
from services.catalog.domain.entry import Entry, EntryName
from services.catalog.domain.failure import Kind
from services.catalog.storage import event_type, resource, schedule
from services.catalog.storage.date_override import load_override
from services.catalog.storage.failure import at_most_twice
from services.catalog.storage.record import Mapper
from services.catalog.storage.schema import changes, date_overrides, links
from shared.runtime.resume import Position
from shared.runtime.unbroken import Unbroken

# Rows read and encoded without a pause, and keys asked for at a time.
_TOGETHER: Final = 500
_PATIENCE_SECONDS: Final = 5

# The server's start stands for its epoch: whatever lost commits (a failover, a restored backup,
# a crash without fsync) was followed by one.
_EPOCH: Final = "(extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint"
_POSITIONS: Final = text(
    f"select a.id, {_EPOCH}, coalesce(o.revision, 0) from unnest(cast(:ids as text[])) as a (id) "  # noqa: S608  # no input
    "left join organizations o on o.organization_id = a.id"
)


class PostgresLog:
    """The port ``CatalogLog``. Each reading is of one moment, of the newest commits."""

    def __init__(self, engine: AsyncEngine, encode: Encode) -> None:
        """Connects when it is first used; the engine is its own from then on."""
        self._engine = engine
        self._alone = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._moment = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._encode = encode
        # The database's own timeouts bound it.
        self._unbroken = Unbroken()

    async def positions(self, organization_ids: Sequence[str]) -> Mapping[str, Position]:
        """As in the port."""

        async def attempt() -> Mapping[str, Position]:
            async with self._alone.connect() as connection:
                return await _positions(connection, organization_ids)

        return await self._unbroken(at_most_twice(attempt))

    async def state(self, organization_id: str) -> tuple[Position, dict[EntryName, bytes]]:
        """As in the port."""

        async def attempt() -> tuple[Position, dict[EntryName, bytes]]:
            async with self._moment.connect() as connection:
                position = (await _positions(connection, [organization_id]))[organization_id]
                reader = _Reader(connection, organization_id, self._encode)
                return position, await reader.everything()

        return await self._unbroken(at_most_twice(attempt))

    async def since(self, organization_id: str, revision: int) -> Delta:
        """As in the port."""

        async def attempt() -> Delta:
            async with self._moment.connect() as connection:
                touched = await _touched(connection, organization_id, revision)
                if touched.names is None:
                    return Delta(touched.position, None)
                reader = _Reader(connection, organization_id, self._encode)
                return Delta(touched.position, await reader.named(touched.names))

        return await self._unbroken(at_most_twice(attempt))

    async def touched(self, organization_id: str, revision: int) -> Touched:
        """As in the port."""

        async def attempt() -> Touched:
            async with self._moment.connect() as connection:
                return await _touched(connection, organization_id, revision)

        return await self._unbroken(at_most_twice(attempt))

    async def close(self) -> None:
        """Waits for what is running, then closes every connection."""
        await self._unbroken.finish(_PATIENCE_SECONDS)
        await self._engine.dispose()


async def _positions(
    connection: AsyncConnection, organization_ids: Sequence[str]
) -> dict[str, Position]:
    rows = await connection.execute(_POSITIONS, {"ids": list(organization_ids)})
    return {key: Position(epoch, revision) for key, epoch, revision in rows}


async def _touched(connection: AsyncConnection, organization_id: str, revision: int) -> Touched:
    position = (await _positions(connection, [organization_id]))[organization_id]
    if position.revision < revision:
        return Touched(position, None)
    statement = select(changes.c.entries).where(
        changes.c.organization_id == organization_id, changes.c.revision > revision
    )
    found = (await connection.execute(statement)).scalars().all()
    if len(found) != position.revision - revision:
        return Touched(position, None)  # forgotten, or made by a release that keeps no log
    names = {EntryName(Kind(kind), *keys) for entries in found for kind, *keys in entries}
    return Touched(position, names)


class _Reader:
    """Reads entries of one organization that are not deleted, encoded."""

    def __init__(self, connection: AsyncConnection, organization_id: str, encode: Encode) -> None:
        self._connection = connection
        self._organization_id = organization_id
        self._encode = encode

    async def everything(self) -> dict[EntryName, bytes]:
        """Reads all of them."""
        found: dict[EntryName, bytes] = {}
        for rows in _ROWS.values():
            await self._read(found, rows, self._all(rows))
        return found

    async def named(self, names: Iterable[EntryName]) -> dict[EntryName, bytes | None]:
        """Reads some; None for those that there are not, or no longer."""
        by_kind: defaultdict[Kind, list[EntryName]] = defaultdict(list)
        for name in sorted(names):
            by_kind[name.kind].append(name)
        found: dict[EntryName, bytes] = {}
        for kind, asked in by_kind.items():
            rows = _ROWS[kind]
            for begin in range(0, len(asked), _TOGETHER):
                keys = [rows.key(name) for name in asked[begin : begin + _TOGETHER]]
                wanted = tuple_(*(rows.table.c[column] for column in rows.columns)).in_(keys)
                await self._read(found, rows, self._all(rows).where(wanted))
        return {name: found.get(name) for asked in by_kind.values() for name in asked}

    def _all(self, rows: _Rows) -> Select[Any]:
        table = rows.table
        statement = select(table).where(table.c.organization_id == self._organization_id)
        if "delete_time" in table.c:
            return statement.where(table.c.delete_time.is_(None))
        return statement

    async def _read(
        self, found: dict[EntryName, bytes], rows: _Rows, statement: Select[Any]
    ) -> None:
        async with self._connection.stream(statement) as result:
            async for together in result.mappings().partitions(_TOGETHER):
                for row in together:
                    name, entry = rows.load(row)
                    found[name] = self._encode(self._organization_id, name, entry)


@dataclass(frozen=True)
class _Rows:
    """The rows that entries of one kind are.

    Attributes:
        table: Where.
        columns: That make up the name.
        key: Their values, of a name.
        load: Reads an entry.
    """

    table: Table
    columns: Sequence[str]
    key: Callable[[EntryName], tuple[Any, ...]]
    load: Callable[[RowMapping], tuple[EntryName, Entry]]


def _records(mapper: Mapper[Any]) -> _Rows:
    table = mapper.table

    def load(row: RowMapping) -> tuple[EntryName, Entry]:
        return EntryName(mapper.kind, row[table.c[mapper.key]]), mapper.record(row, table)

    return _Rows(table, [mapper.key], lambda name: (name.key,), load)


def _load_override(row: RowMapping) -> tuple[EntryName, Entry]:
    c = date_overrides.c
    override = load_override(row[c.date], row[c.unavailable], row[c.windows], row[c.note])
    name = EntryName(Kind.DATE_OVERRIDE, row[c.schedule_id], override.date.isoformat())
    return name, override


def _load_link(row: RowMapping) -> tuple[EntryName, Entry]:
    return EntryName(Kind.LINK, row[links.c.event_type_id], row[links.c.resource_id]), None


_ROWS: Final[Mapping[Kind, _Rows]] = {
    **{each.kind: _records(each) for each in (schedule.MAPPER, resource.MAPPER, event_type.MAPPER)},
    Kind.DATE_OVERRIDE: _Rows(
        date_overrides,
        ["schedule_id", "date"],
        lambda name: (name.key, date.fromisoformat(name.second)),
        _load_override,
    ),
    Kind.LINK: _Rows(
        links,
        ["event_type_id", "resource_id"],
        lambda name: (name.key, name.second),
        _load_link,
    ),
}
