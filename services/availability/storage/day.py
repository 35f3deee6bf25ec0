"""Reads stored days by key: one row a day, whatever the history."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from services.availability.domain.claim import DayState
from services.availability.domain.day_bytes import planes_from_bytes
from services.availability.storage.database import Database
from shared.slots.quantum import day_date, day_number

OF_RESOURCE: Final = """
select day, busy, version, taken from days
where organization_id = %(org)s and resource_id = %(resource)s
  and day between %(first)s and %(last)s
"""

OF_RESOURCES: Final = """
select resource_id, day, busy, version, taken from days
where organization_id = %(org)s and resource_id = any(%(resources)s)
  and day between %(first)s and %(last)s
"""

# Days may lie centuries apart, and a resource may have rows of all between.
SCATTERED: Final = """
select resource_id, day, busy, version, taken from days
where organization_id = %(org)s and resource_id = any(%(resources)s)
  and day = any(%(days)s::date[])
"""

CAPACITIES: Final = """
select resource_id, units from capacities
where organization_id = %(org)s and resource_id = any(%(resources)s)
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
        return {day_number(day): _state(*state) for day, *state in rows}

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
        for resource_id, day, *state in rows:
            found[resource_id][day_number(day)] = _state(*state)
        return found

    async def capacities(
        self, organization_id: str, resource_ids: Collection[str]
    ) -> Mapping[str, int]:
        """As in the port."""
        named = {"org": organization_id, "resources": list(resource_ids)}
        stored: dict[str, int] = dict(await self._database.fetch(CAPACITIES, named))
        return {name: stored.get(name, 1) for name in resource_ids}


def _state(busy: int, version: int, taken: bytes) -> DayState:
    return DayState(busy, version, planes_from_bytes(taken))


def _bounds(days: Sequence[int]) -> dict[str, Any]:
    return {"first": day_date(days[0]), "last": day_date(days[-1])}
