"""What the baselines' stores have in common: a pool of connections, and request keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from services.availability.app.port import RequestKey
from services.availability.domain.booking import Booking
from services.availability.storage import bits
from services.availability.storage.session import options_for
from shared.runtime.failure import RequestIdReused
from tests.load.baseline import BaselineSettings

Row = tuple[Any, ...]
Pool = AsyncConnectionPool[AsyncConnection[Row]]

_STATEMENT: Final = timedelta(seconds=5)
_ANSWER: Final = """
select content_hash, answer from request_keys
where organization_id = %(org)s and method = %(method)s and request_id = %(request)s
"""


class BaselineStore:
    """One statement, one round trip, one transaction, over connections that are always open."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def answer(self, key: RequestKey) -> bytes | None:
        """Returns the answer that the key was given before.

        Raises:
            RequestIdReused: To other content.
        """
        rows = await self.fetch(_ANSWER, key_parameters(key))
        return remembered(key, *rows[0]) if rows else None

    async def fetch(self, statement: LiteralString, parameters: Mapping[str, Any]) -> list[Row]:
        """Runs a statement, which is prepared, and returns its rows."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement, parameters, binary=True)
            return await cursor.fetchall()


@asynccontextmanager
async def pool_of(settings: BaselineSettings) -> AsyncIterator[Pool]:
    """Opens connections that are made as the service's are."""

    async def configure(connection: AsyncConnection[Row]) -> None:
        bits.register(connection)

    async with AsyncConnectionPool(
        kwargs=options_for(settings.postgres_url, _STATEMENT, lookups_only=True),
        min_size=settings.postgres_connections,
        max_size=settings.postgres_connections,
        configure=configure,
        open=False,
    ) as pool:
        await pool.wait()
        yield pool


def compact(statement: LiteralString) -> LiteralString:
    """Returns it on one line: the driver remembers how it read at most 4,096 characters."""
    return " ".join(statement.split())


def remembered(key: RequestKey, content_hash: bytes, answer: bytes) -> bytes:
    """Returns the answer that a key was given.

    Raises:
        RequestIdReused: It stands for other content.
    """
    if content_hash != key.content_hash:
        raise RequestIdReused
    return answer


def key_parameters(key: RequestKey) -> dict[str, Any]:
    """What statements call a key's parts."""
    return {
        "org": key.organization_id,
        "method": key.method,
        "request": key.request_id,
        "hash": key.content_hash,
    }


def booking_parameters(booking: Booking) -> dict[str, Any]:
    """What statements call a new booking's columns."""
    return {
        "id": booking.booking_id,
        "state": int(booking.state),
        "revision": booking.revision,
        "event_type": booking.event_type_id,
        "title": booking.event_type_title,
        "start": booking.start,
        "end": booking.end,
        "booker": booking.booker.booker_id,
        "name": booking.booker.name,
        "email": booking.booker.email,
        "location": booking.location,
        "zone": booking.time_zone,
        "now": booking.created_at,
    }
