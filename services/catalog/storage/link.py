"""Links in their table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.storage.schema import links


class LinkTable:
    """One organization's links."""

    def __init__(self, connection: AsyncConnection, organization_id: str) -> None:
        self._connection = connection
        self._organization_id = organization_id

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
        await self._connection.execute(
            delete(links).where(
                links.c.organization_id == self._organization_id,
                links.c.resource_id == resource_id,
                links.c.event_type_id == event_type_id,
            )
        )

    async def _replace(self, fixed: str, key: str, listed: str, keys: Iterable[str]) -> None:
        wanted = sorted(keys)
        await self._connection.execute(
            delete(links).where(
                links.c.organization_id == self._organization_id,
                links.c[fixed] == key,
                links.c[listed].not_in(wanted),
            )
        )
        if wanted:
            await self._insert([{fixed: key, listed: one} for one in wanted])

    async def _insert(self, rows: list[Mapping[str, str]]) -> None:
        values = [{"organization_id": self._organization_id, **row} for row in rows]
        await self._connection.execute(insert(links).values(values).on_conflict_do_nothing())
