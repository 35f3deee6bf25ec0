"""A migrated database of the catalog, and stores over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

from services.catalog.bootstrap import migrate
from services.catalog.settings import CatalogSettings
from services.catalog.storage.engine import engine
from services.catalog.storage.store import PostgresStore
from shared.embedded.database import drop_database
from shared.runtime.clock import Clock
from tests import stores


@contextmanager
def migrated_database(server: stores.PostgresServer) -> Iterator[str]:
    """The address of a database with the catalog's tables."""
    name = stores.fresh_database(server)
    url = server.url(name)
    migrate(CatalogSettings(postgres_url=url))
    try:
        yield url
    finally:
        drop_database(server.url("postgres"), name)


@asynccontextmanager
async def opened(
    url: str,
    clock: Clock | None = None,
    *,
    pool_size: int = 4,
    pool_timeout: timedelta = timedelta(seconds=10),
    statement_timeout: timedelta = timedelta(seconds=10),
) -> AsyncIterator[PostgresStore]:
    """A store over the database."""
    connections = engine(
        url,
        pool_size=pool_size,
        pool_timeout=pool_timeout,
        statement_timeout=statement_timeout,
    )
    store = PostgresStore(connections, clock or Clock())
    try:
        yield store
    finally:
        await store.close()
