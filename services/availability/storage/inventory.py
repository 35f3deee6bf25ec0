"""Streams an organization's whole inventory out of one snapshot, for verification."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString

from services.availability.app.port import OccupyingItem
from services.availability.domain.booking import OCCUPYING
from services.availability.domain.verification import DayKey
from services.availability.storage.database import Database
from services.availability.storage.session import Connection
from shared.slots.quantum import Span, day_number

_ROWS_A_FETCH: Final = 2_000
# Each holds a connection of its own and sorts the organization's items.
_AT_ONCE: Final = 2

_DAYS: Final = """
select resource_id, day, busy from days
where organization_id = %(org)s and (%(resource)s = '' or resource_id = %(resource)s)
order by resource_id, day
"""

_ITEMS: Final = """
select i.resource_id, i.first_quantum, i.stop_quantum, i.ordinal = 1 or %(resource)s <> ''
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

    async def days(self) -> AsyncGenerator[tuple[DayKey, int]]:
        """As in the port."""
        async for resource_id, day, busy in self._stream("verified_days", _DAYS):
            yield DayKey(resource_id, day_number(day)), busy

    async def items(self) -> AsyncGenerator[OccupyingItem]:
        """As in the port."""
        async for resource_id, first, stop, is_first in self._stream("verified_items", _ITEMS):
            yield OccupyingItem(resource_id, Span(first, stop), is_first)

    async def _stream(self, name: str, statement: LiteralString) -> AsyncGenerator[tuple[Any, ...]]:
        async with self._connection.cursor(name, binary=True) as cursor:
            cursor.itersize = _ROWS_A_FETCH
            await cursor.execute(statement, self._parameters)
            async for found in cursor:
                yield found
