"""What the baselines' stores have in common: a pool of connections, and request keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from services.availability.domain.booking import Booking, Event, Note
from services.availability.domain.request_key import RequestKey
from services.availability.settings import AvailabilitySettings
from services.availability.storage import bits
from services.availability.storage.session import options_for
from shared.runtime.failure import RequestIdReused

Row = tuple[Any, ...]
Pool = AsyncConnectionPool[AsyncConnection[Row]]

_STATEMENT: Final = timedelta(seconds=5)
_ANSWER: Final = """
select content_hash, answer from request_keys
where organization_id = %(org)s and method = %(method)s and request_id = %(request)s
"""


# Steps of a statement; each writes where the step that it reads from has a row.
INSERT_BOOKING: Final[LiteralString] = """
insert into bookings (organization_id, booking_id, kind, state, revision, sequence,
  event_type_id, event_type_title, start_time, end_time, booker_id, booker_name, booker_email,
  location, time_zone, cancel_reason, block_reason, created_at, updated_at, due_at,
  needs_confirmation, token_hash, token_version)
select %(org)s, %(id)s, %(kind)s, %(state)s, %(revision)s, %(sequence)s,
  %(event_type)s, %(title)s, %(start)s, %(end)s, %(booker)s, %(name)s, %(email)s,
  %(location)s, %(zone)s, '', '', %(now)s, %(now)s, %(due)s, %(needs)s, %(token_hash)s, %(token)s
"""
INSERT_HISTORY: Final[LiteralString] = """
insert into booking_history (organization_id, booking_id, revision, event, state, actor, reason,
  created_at, overridden, start_time, end_time)
select %(org)s, %(id)s, %(revision)s, %(event)s, %(state)s, %(actor)s, %(reason)s,
  %(now)s, %(overridden)s, %(start)s, %(end)s
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
async def pool_of(settings: AvailabilitySettings) -> AsyncIterator[Pool]:
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


def booking_parameters(booking: Booking, note: Note) -> dict[str, Any]:
    """What ``BOOKING`` and its history call the columns of a new booking."""
    return {
        "id": booking.booking_id,
        "kind": int(booking.kind),
        "state": int(booking.state),
        "revision": booking.revision,
        "sequence": booking.sequence,
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
        "due": booking.due_at,
        "needs": booking.needs_confirmation,
        "token_hash": booking.token_hash,
        "token": booking.token_version,
        "event": Event.CREATED.value,
        "actor": note.actor,
        "reason": note.reason,
        "overridden": note.is_override,
    }
