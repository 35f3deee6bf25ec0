"""Wires the catalog: the one place that chooses implementations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from holdfast.catalog.v1 import catalog_pb2_grpc
from services.catalog.app.catalog_feed import CatalogFeed
from services.catalog.rpc import servicer
from services.catalog.rpc.codec.watch import encode
from services.catalog.rpc.errors import ERRORS
from services.catalog.settings import CatalogSettings
from services.catalog.storage.engine import HEAD, engine, verify
from services.catalog.storage.log import PostgresLog
from services.catalog.storage.store import PostgresStore
from shared.runtime.background import running
from shared.runtime.migration.upgrade import upgrade
from shared.runtime.server import Service, Servicer

NAME: Final = "catalog"

# Of their own: those who follow catalogs and those who change them must not wait for each other.
# Two for what is read, one for looking, one for who resumes.
_FOLLOWING: Final = 4
_POLL: Final = timedelta(milliseconds=300)
# Who watches a catalog and is cut off comes back soon.
_LINGER: Final = timedelta(seconds=30)

_VERSIONS: Final = Path(__file__).parent / "storage" / "migrations" / "versions"


def migrate(settings: CatalogSettings) -> None:
    """Brings the database to the schema of this code.

    Raises:
        StartRefused: It cannot be reached, or a step failed.
    """
    upgrade(settings.postgres_url, _VERSIONS, head=HEAD)


@asynccontextmanager
async def wired(settings: CatalogSettings) -> AsyncIterator[Service]:
    """Opens the database, yields the service, closes it.

    Raises:
        StartRefused: The database's address is none; it cannot be reached, is not migrated, or
            may lose what it acknowledged.
    """
    connections = _engine(settings, connections=settings.postgres_connections)
    clock = settings.clock()
    log = PostgresLog(_engine(settings, connections=_FOLLOWING), encode)
    feed = CatalogFeed(log, poll=_POLL, linger=_LINGER)
    store = PostgresStore(connections, clock, feed.ring)
    try:
        await verify(connections, throwaway=settings.throwaway_data)
        add = catalog_pb2_grpc.add_CatalogServiceServicer_to_server
        calls = servicer.CatalogServicer(store, clock, feed)
        async with running(feed.run()):
            yield Service(NAME, [Servicer(add, calls, servicer.NAME)], ERRORS, servicer.WRITES)
    finally:
        await log.close()
        await store.close()


def _engine(settings: CatalogSettings, *, connections: int) -> AsyncEngine:
    return engine(
        settings.postgres_url,
        pool_size=connections,
        pool_timeout=settings.pool_timeout(),
        statement_timeout=settings.statement_timeout(),
    )
