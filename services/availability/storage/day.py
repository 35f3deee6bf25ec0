"""Reads stored days by key: one row a day, whatever the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.availability.domain.claim import DayState
from services.availability.storage.database import Database
from shared.slots.quantum import day_date, day_number

OF_RESOURCE: Final = """
select day, busy, version from days
where organization_id = %(org)s and resource_id = %(resource)s
  and day between %(first)s and %(last)s
"""

OF_RESOURCES: Final = """
select resource_id, day, busy, version from days
where organization_id = %(org)s and resource_id = any(%(resources)s)
  and day between %(first)s and %(last)s
"""

# Days may lie centuries apart, and a resource may have rows of all between.
SCATTERED: Final = """
select resource_id, day, busy, version from days
where organization_id = %(org)s and resource_id = any(%(resources)s)
  and day = any(%(days)s::date[])
"""


class PostgresDays:
    """The port ``DayReader`` over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_resource(
        self, organization_id: str, resource_id: str, days: range
    ) -> Mapping[int, DayState]:
        """As in the port."""
        if not days:
            return {}
        rows = await self._database.fetch(
            OF_RESOURCE, {"org": organization_id, "resource": resource_id} | _bounds(days)
        )
        return {day_number(day): DayState(busy, version) for day, busy, version in rows}

    async def of_resources(
        self, organization_id: str, resource_ids: Sequence[str], days: Sequence[int]
    ) -> Mapping[str, Mapping[int, DayState]]:
        """As in the port."""
        named = {"org": organization_id, "resources": list(resource_ids)}
        if days[-1] - days[0] < len(days):
            rows = await self._database.fetch(OF_RESOURCES, named | _bounds(days))
        else:
            rows = await self._database.fetch(SCATTERED, named | {"days": [*map(day_date, days)]})
        found: dict[str, dict[int, DayState]] = {name: {} for name in resource_ids}
        for resource_id, day, busy, version in rows:
            found[resource_id][day_number(day)] = DayState(busy, version)
        return found


def _bounds(days: Sequence[int]) -> dict[str, Any]:
    return {"first": day_date(days[0]), "last": day_date(days[-1])}
