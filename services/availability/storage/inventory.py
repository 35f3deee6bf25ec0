"""Streams an organization's whole inventory out of one snapshot, for verification."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString

from services.availability.domain.booking import OCCUPYING
from services.availability.domain.claim import DayKey, DayState
from services.availability.domain.day_bytes import planes_from_bytes
from services.availability.domain.verification import OccupyingItem, StoredDay
from services.availability.storage.database import Database
from services.availability.storage.session import Connection
from shared.slots.quantum import Span, day_number

_ROWS_A_FETCH: Final = 2_000
# Each holds a connection of its own and sorts the organization's items.
_AT_ONCE: Final = 2

_DAYS: Final = """
select d.resource_id, d.day, d.busy, d.version, d.taken, c.units
from days d left join capacities c using (organization_id, resource_id)
where d.organization_id = %(org)s and (%(resource)s = '' or d.resource_id = %(resource)s)
order by d.resource_id, d.day
"""

_ITEMS: Final = """
select i.resource_id, i.first_quantum, i.stop_quantum, i.units, i.pool,
  i.ordinal = 1 or %(resource)s <> ''
from booking_items i join bookings b using (organization_id, booking_id)
where i.organization_id = %(org)s and (%(resource)s = '' or i.resource_id = %(resource)s)
  and b.state = any(%(states)s)
order by i.resource_id, i.first_quantum
"""


class PostgresInventory:
    """The port ``InventoryReader`` over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def snapshot(
        self, organization_id: str, resource_id: str
    ) -> AsyncIterator[PostgresInventorySnapshot]:
        """As in the port."""
        async with self._turns, self._database.snapshot() as connection:
            yield PostgresInventorySnapshot(
                connection,
                {
                    "org": organization_id,
                    "resource": resource_id,
                    "states": [int(state) for state in OCCUPYING],
                },
            )


class PostgresInventorySnapshot:
    """The port ``InventorySnapshot``; the server keeps the rows, here are some at a time."""

    def __init__(self, connection: Connection, parameters: dict[str, Any]) -> None:
        self._connection = connection
        self._parameters = parameters

    async def days(self) -> AsyncGenerator[StoredDay]:
        """As in the port."""
        stream = self._stream("verified_days", _DAYS)
        async for resource_id, day, busy, version, taken, capacity in stream:
            state = DayState(busy, version, planes_from_bytes(taken))
            yield StoredDay(DayKey(resource_id, day_number(day)), state, capacity)

    async def items(self) -> AsyncGenerator[OccupyingItem]:
        """As in the port."""
        stream = self._stream("verified_items", _ITEMS)
        async for resource_id, first, stop, units, is_pool, is_first in stream:
            yield OccupyingItem(resource_id, Span(first, stop), units, is_pool, is_first)

    async def _stream(self, name: str, statement: LiteralString) -> AsyncGenerator[tuple[Any, ...]]:
        async with self._connection.cursor(name, binary=True) as cursor:
            cursor.itersize = _ROWS_A_FETCH
            await cursor.execute(statement, self._parameters)
            async for found in cursor:
                yield found
