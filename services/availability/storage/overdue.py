"""Tells which bookings have ended by themselves and are not written so yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.availability.storage.database import Database

OVERDUE: Final = """
select organization_id, booking_id from bookings
where due_at <= %(now)s order by due_at limit %(limit)s
"""


class PostgresOverdue:
    """The port ``OverdueReader`` over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def overdue(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """As in the port."""
        rows = await self._database.fetch(OVERDUE, {"now": now, "limit": limit})
        return [(organization_id, booking_id) for organization_id, booking_id in rows]
