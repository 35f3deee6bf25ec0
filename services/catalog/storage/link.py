"""Links in their table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import ColumnElement, Executable, delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.domain.entry import EntryName
from services.catalog.domain.failure import Kind
from services.catalog.storage.schema import links

_PAIR: Final = (links.c.event_type_id, links.c.resource_id)


class LinkTable:
    """One organization's links."""

    def __init__(
        self, connection: AsyncConnection, organization_id: str, touched: set[EntryName]
    ) -> None:
        self._connection = connection
        self._organization_id = organization_id
        self._touched = touched

    async def set_resources(self, event_type_id: str, resource_ids: Iterable[str]) -> None:
        """Makes these the only ones the event type books."""
        await self._replace("event_type_id", event_type_id, "resource_id", resource_ids)

    async def set_event_types(self, resource_id: str, event_type_ids: Iterable[str]) -> None:
        """Makes these the only ones that book the resource."""
        await self._replace("resource_id", resource_id, "event_type_id", event_type_ids)

    async def add(self, resource_id: str, event_type_id: str) -> None:
        """Links; nothing happens when they are."""
        await self._insert([{"resource_id": resource_id, "event_type_id": event_type_id}])

    async def remove(self, resource_id: str, event_type_id: str) -> None:
        """Unlinks; nothing happens when they are not."""
        await self._remove(
            links.c.resource_id == resource_id, links.c.event_type_id == event_type_id
        )

    async def _replace(self, fixed: str, key: str, listed: str, keys: Iterable[str]) -> None:
        wanted = sorted(keys)
        await self._remove(links.c[fixed] == key, links.c[listed].not_in(wanted))
        if wanted:
            await self._insert([{fixed: key, listed: one} for one in wanted])

    async def _insert(self, rows: list[Mapping[str, str]]) -> None:
        values = [{"organization_id": self._organization_id, **row} for row in rows]
        await self._changed(insert(links).values(values).on_conflict_do_nothing().returning(*_PAIR))

    async def _remove(self, *conditions: ColumnElement[bool]) -> None:
        mine = links.c.organization_id == self._organization_id
        await self._changed(delete(links).where(mine, *conditions).returning(*_PAIR))

    async def _changed(self, statement: Executable) -> None:
        """Runs a statement that returns the links it made or ended."""
        for pair in await self._connection.execute(statement):
            self._touched.add(EntryName(Kind.LINK, *pair))
