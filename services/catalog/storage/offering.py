"""Reads a resource, an event type, the hours that apply and their link in one statement."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, exists, func, select
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.app.port import DateRange
from services.catalog.domain.failure import Kind, NotFound
from services.catalog.domain.offering import Hours, Offering
from services.catalog.storage import event_type, resource, schedule
from services.catalog.storage.date_override import bounds, load_overrides, overrides_of
from services.catalog.storage.schema import (
    event_types,
    links,
    organizations,
    resources,
    schedules,
)

_default = schedules.alias("default_schedule")


class OfferingReader:
    """One organization's offerings."""

    def __init__(self, connection: AsyncConnection, organization_id: str) -> None:
        self._connection = connection
        self._organization_id = organization_id

    async def read(self, resource_id: str, event_type_id: str, *, since: date) -> Offering:
        """Reads what a booking is judged by, with overrides from a date on.

        Raises:
            NotFound: The resource or the event type is unknown or deleted.
        """
        row = await self._row(resource_id, event_type_id, DateRange(first=since))
        return Offering(
            resource=resource.MAPPER.record(row, resources),
            event_type=event_type.MAPPER.record(row, event_types),
            hours=_hours(row),
            is_linked=row["is_linked"],
            version=row["version"],
        )

    async def hours(
        self, resource_id: str, event_type_id: str, dates: DateRange
    ) -> tuple[Hours | None, str]:
        """Reads the hours that apply to a resource, and its zone.

        Raises:
            NotFound: The resource, or the event type unless "", is unknown or deleted.
        """
        row = await self._row(resource_id, event_type_id, dates)
        return _hours(row), row[resources.c.time_zone]

    async def _row(self, resource_id: str, event_type_id: str, dates: DateRange) -> RowMapping:
        parameters = {
            "organization": self._organization_id,
            "resource": resource_id,
            "event_type": event_type_id,
            **bounds(dates),
        }
        found = await self._connection.execute(_OFFERING, parameters)
        row: RowMapping | None = found.mappings().one_or_none()
        if row is None or row[resources.c.resource_id] is None:
            raise NotFound(Kind.RESOURCE, resource_id)
        if event_type_id and row[event_types.c.event_type_id] is None:
            raise NotFound(Kind.EVENT_TYPE, event_type_id)
        return row


def _hours(row: RowMapping) -> Hours | None:
    if row[schedules.c.schedule_id] is None:
        return None
    return Hours(
        schedule=schedule.MAPPER.record(row, schedules),
        overrides=load_overrides(row["overrides"]),
    )


def _statement() -> Select[Any]:
    """One row for an organization that has changed once; what is missing in it is null."""
    organization = organizations.c.organization_id
    is_linked = exists().where(
        links.c.organization_id == organization,
        links.c.event_type_id == bindparam("event_type"),
        links.c.resource_id == bindparam("resource"),
    )
    default = (
        select(_default.c.schedule_id)
        .where(_default.c.organization_id == organization, _default.c.is_default)
        .scalar_subquery()
    )
    deciding = func.coalesce(event_types.c.schedule_id, resources.c.schedule_id, default)
    wanted_resource = and_(
        resources.c.organization_id == organization,
        resources.c.resource_id == bindparam("resource"),
        resources.c.delete_time.is_(None),
    )
    wanted_event_type = and_(
        event_types.c.organization_id == organization,
        event_types.c.event_type_id == bindparam("event_type"),
        event_types.c.delete_time.is_(None),
    )
    wanted_schedule = and_(
        schedules.c.organization_id == organization, schedules.c.schedule_id == deciding
    )
    return (
        select(
            organizations.c.revision.label("version"),
            is_linked.label("is_linked"),
            overrides_of(schedules).label("overrides"),
            resources,
            event_types,
            schedules,
        )
        .select_from(
            organizations.outerjoin(resources, wanted_resource)
            .outerjoin(event_types, wanted_event_type)
            .outerjoin(schedules, wanted_schedule)
        )
        .where(organization == bindparam("organization"))
    )


# Made once: building it takes longer than running it.
_OFFERING: Final = _statement()
