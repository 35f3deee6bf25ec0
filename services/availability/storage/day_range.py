"""Reads the days of many resources in a range of dates, to be searched in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.availability.app.organization_index import StoredRange
from services.availability.domain.claim import DayKey, DayState
from services.availability.domain.day_bytes import planes_from_bytes
from services.availability.storage.database import Database
from shared.slots.quantum import day_date

# The feed number is of the same snapshot as the days, and there where no day is.
OF_RANGE: Final = """
select coalesce(f.number, 0), d.resource_id, d.day - date '1970-01-01', d.busy, d.version, d.taken
from (select 1) one left join feeds f on f.organization_id = %(org)s
  left join days d on d.organization_id = %(org)s and d.resource_id = any(%(resources)s)
    and d.day between %(first)s and %(last)s
"""

CAPACITIES: Final = """
select coalesce(f.number, 0), c.resource_id, c.units
from (select 1) one left join feeds f on f.organization_id = %(org)s
  left join capacities c on c.organization_id = %(org)s and c.resource_id = any(%(resources)s)
"""


class PostgresRange:
    """The port ``RangeReader`` over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def days(
        self, organization_id: str, resource_ids: Sequence[str], days: range
    ) -> StoredRange[tuple[DayKey, DayState]]:
        """As in the port."""
        rows = await self._database.fetch(
            OF_RANGE,
            {
                "org": organization_id,
                "resources": list(resource_ids),
                "first": day_date(days[0]),
                "last": day_date(days[-1]),
            },
        )
        # Not a list: of so many objects at once, the collector would go through all there are.
        found = (
            (DayKey(resource_id, day), DayState(busy, version, planes_from_bytes(taken)))
            for _, resource_id, day, busy, version, taken in rows
            if resource_id is not None
        )
        return StoredRange(rows[0][0], found)

    async def capacities(
        self, organization_id: str, resource_ids: Sequence[str]
    ) -> StoredRange[tuple[str, int]]:
        """As in the port."""
        rows = await self._database.fetch(
            CAPACITIES, {"org": organization_id, "resources": list(resource_ids)}
        )
        return StoredRange(
            rows[0][0],
            [(resource_id, units) for _, resource_id, units in rows if resource_id is not None],
        )
