"""Resources in their table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, FromClause, exists, or_
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.app.port import Page, ResourceFilter
from services.catalog.domain.entry import EntryName
from services.catalog.domain.failure import Kind
from services.catalog.domain.record import Record
from services.catalog.domain.resource import HoldPolicy, Resource, ResourceType
from services.catalog.storage.record import Mapper, RecordTable
from services.catalog.storage.schema import links, resources


def _load(row: RowMapping, source: FromClause) -> Resource:
    c = source.c
    return Resource(
        resource_id=row[c.resource_id],
        name=row[c.name],
        type=ResourceType(row[c.type]),
        description=row[c.description],
        time_zone=row[c.time_zone],
        pool=row[c.pool],
        standalone=row[c.standalone],
        hold_policy=HoldPolicy(row[c.hold_policy]),
        metadata=row[c.metadata],
        active=row[c.active],
        schedule_id=row[c.schedule_id] or "",
    )


def _dump(resource: Resource) -> Mapping[str, Any]:
    return {
        "resource_id": resource.resource_id,
        "name": resource.name,
        "type": resource.type.value,
        "description": resource.description,
        "time_zone": resource.time_zone,
        "pool": resource.pool,
        "standalone": resource.standalone,
        "hold_policy": resource.hold_policy.value,
        "metadata": dict(resource.metadata),
        "active": resource.active,
        "schedule_id": resource.schedule_id or None,
    }


MAPPER = Mapper(kind=Kind.RESOURCE, table=resources, key="resource_id", load=_load, dump=_dump)


class ResourceTable(RecordTable[Resource]):
    """One organization's resources."""

    def __init__(
        self, connection: AsyncConnection, organization_id: str, touched: set[EntryName]
    ) -> None:
        super().__init__(MAPPER, connection, organization_id, touched)

    async def page(self, wanted: ResourceFilter, page: Page) -> list[Record[Resource]]:
        """Reads a page by id."""
        c = resources.c
        conditions: list[ColumnElement[bool]] = []
        if not wanted.show_deleted:
            conditions.append(c.delete_time.is_(None))
        if wanted.type is not None:
            conditions.append(c.type == wanted.type.value)
        if wanted.active is not None:
            conditions.append(c.active == wanted.active)
        if wanted.text:
            searched = (c.resource_id, c.name, c.description)
            conditions.append(
                or_(*(column.icontains(wanted.text, autoescape=True) for column in searched))
            )
        return await self._page(page, *conditions)

    async def page_of_event_type(self, event_type_id: str, page: Page) -> list[Record[Resource]]:
        """Reads a page by id of those, not deleted, that an event type books."""
        is_linked = exists().where(
            links.c.organization_id == resources.c.organization_id,
            links.c.resource_id == resources.c.resource_id,
            links.c.event_type_id == event_type_id,
        )
        return await self._page(page, resources.c.delete_time.is_(None), is_linked)
