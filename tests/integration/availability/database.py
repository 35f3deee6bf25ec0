"""A migrated database, and what is in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from services.availability.bootstrap import migrate
from services.availability.settings import AvailabilitySettings
from services.availability.storage.database import Database
from services.availability.storage.migration import HEAD
from shared.embedded.database import drop_database
from tests import stores

TABLES = (
    "days",
    "capacities",
    "bookings",
    "booking_items",
    "booking_history",
    "request_keys",
    "feeds",
    "outbox",
)


@contextmanager
def migrated_database(server: stores.PostgresServer) -> Iterator[str]:
    """The address of a database at the head revision."""
    name = stores.fresh_database(server)
    url = server.url(name)
    migrate(settings_for(url))
    try:
        yield url
    finally:
        drop_database(server.url("postgres"), name)


def settings_for(url: str, **changes: Any) -> AvailabilitySettings:
    """Settings on a throw-away database, with a catalog that nobody asks."""
    given = {
        "postgres_url": url,
        "catalog_address": "127.0.0.1:1",
        "management_key": "a key that only tests know, 32 long",
        "throwaway_data": True,
    }
    return AvailabilitySettings.model_validate(given | changes)


@asynccontextmanager
async def opened(
    url: str, *, connections: int = 8, statement: timedelta = timedelta(seconds=10)
) -> AsyncIterator[Database]:
    """A store over the database."""
    database = Database(url, connections=connections, statement=statement, throwaway=True)
    await database.open(head=HEAD)
    try:
        yield database
    finally:
        await database.close()


def dump(url: str, organization_id: str = "") -> dict[str, list[str]]:
    """Every row of an organization, or of all, by table."""
    statement = sql.SQL("select t::text from {} t where %s in ('', organization_id) order by 1")
    with psycopg.connect(url, autocommit=True) as connection:
        return {
            table: [
                row[0]
                for row in connection.execute(
                    statement.format(sql.Identifier(table)), (organization_id,)
                )
            ]
            for table in TABLES
        }


def rows(url: str, statement: LiteralString, *parameters: Any) -> list[tuple[Any, ...]]:
    """What a statement finds."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


async def waiting_for_a_lock(url: str) -> None:
    """Returns once some transaction of the database waits for another one."""
    async with asyncio.timeout(10):
        while not rows(  # noqa: ASYNC110  # the server tells nobody that it waits
            url,
            "select 1 from pg_stat_activity"
            " where wait_event_type = 'Lock' and datname = current_database()",
        ):
            await asyncio.sleep(0.01)
