"""How connections to PostgreSQL are made: their settings, and what a server must promise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import psycopg

from services.availability.storage import bits
from shared.runtime.failure import StartRefused
from shared.runtime.postgres import DURABILITY, parse_url, require_durability


class Connection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection, and the names of what batches have prepared on it.

    Once it is spoilt, what it has prepared is not known, and nobody may go on with it.
    ``generation`` tells connections from before a loss from those after it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.prepared: set[bytes] = set()
        self.is_spoilt = False
        self.generation = 0


_CONNECT_SECONDS: Final = 2
_LOCK_SHARE: Final = 0.2
# Statements look rows up by key. Plans are made once, perhaps while tables are still empty: they
# must not be the ones that only suit empty tables.
_LOOKUPS_ONLY: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
_DEFAULTS: Final = {
    "connect_timeout": _CONNECT_SECONDS,
    # A peer that vanished is noticed in seconds, not in the hours of the kernel's default.
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "holdfast-availability",
}


def options_for(url: str, statement: timedelta, *, lookups_only: bool) -> dict[str, Any]:
    """Returns the keyword arguments with which a connection is made.

    Args:
        url: A libpq URL; what it says itself wins over our defaults.
        statement: How long the server works on one statement.
        lookups_only: Whether plans may only look rows up by key.

    Raises:
        StartRefused: The URL is none.
    """
    given = parse_url(url)
    session = {
        "default_transaction_isolation": "read\\ committed",
        "jit": "off",
        "statement_timeout": f"{statement // timedelta(milliseconds=1)}",
        # Transactions hold locks for milliseconds: who waits for longer waits for something that
        # is stuck, and others wait behind it.
        "lock_timeout": f"{statement * _LOCK_SHARE // timedelta(milliseconds=1)}",
        # A server that froze in the midst of a transaction must not keep the others from its rows.
        "idle_in_transaction_session_timeout": f"{statement // timedelta(milliseconds=1)}",
        "timezone": "UTC",
    } | (_LOOKUPS_ONLY if lookups_only else {})
    settings = " ".join(f"-c {name}={value}" for name, value in session.items())
    options = f"{settings} {given.pop('options', None) or ''}".rstrip()
    return {
        **_DEFAULTS,
        **given,
        "options": options,
        "autocommit": True,
        "prepare_threshold": 0,
    }


async def configure(connection: Connection, *, throwaway: bool) -> None:
    """Makes a new connection ours.

    Raises:
        StartRefused: The server may lose what it acknowledged, and nobody said that this is
            all right.
    """
    bits.register(connection)
    if not throwaway:
        require_durability(await durability(connection))


async def durability(connection: Connection) -> Mapping[str, str]:
    """Returns the settings, as they hold for this connection, that decide what survives."""
    names = ", ".join(f"current_setting('{name}')" for name in DURABILITY)
    cursor = await connection.execute(f"select {names}", prepare=False)
    row = await cursor.fetchone()
    assert row is not None  # a select without a table has one row
    return dict(zip(DURABILITY, row, strict=True))


async def require_revision(connection: Connection, head: str) -> None:
    """Refuses a schema older than this code; a newer one still serves it.

    Raises:
        StartRefused: The schema is older, or there is none.
    """
    cursor = await connection.execute("select to_regclass('alembic_version')::text", prepare=False)
    row = await cursor.fetchone()
    stored = ""
    if row and row[0]:
        cursor = await connection.execute("select version_num from alembic_version", prepare=False)
        row = await cursor.fetchone()
        stored = row[0] if row else ""
    if stored < head:
        raise StartRefused(
            f"the schema is at revision {stored or 'none'} and must be at {head}:"
            " run python -m services.availability migrate"
        )
