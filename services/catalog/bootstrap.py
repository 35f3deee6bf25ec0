"""Wires the catalog: the one place that chooses implementations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from holdfast.catalog.v1 import catalog_pb2_grpc
from services.catalog.rpc import servicer
from services.catalog.rpc.errors import ERRORS
from services.catalog.settings import CatalogSettings
from services.catalog.storage.engine import HEAD, engine, verify
from services.catalog.storage.store import PostgresStore
from shared.runtime.migration.upgrade import upgrade
from shared.runtime.server import Service, Servicer

NAME: Final = "catalog"

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
    connections = engine(
        settings.postgres_url,
        pool_size=settings.postgres_connections,
        pool_timeout=settings.pool_timeout(),
        statement_timeout=settings.statement_timeout(),
    )
    clock = settings.clock()
    store = PostgresStore(connections, clock)
    try:
        await verify(connections, throwaway=settings.throwaway_data)
        add = catalog_pb2_grpc.add_CatalogServiceServicer_to_server
        calls = servicer.CatalogServicer(store, clock)
        yield Service(NAME, [Servicer(add, calls, servicer.NAME)], ERRORS, servicer.WRITES)
    finally:
        await store.close()
