"""A catalog in this process, on a real database; each test has an organization of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import grpc
import pytest

from services.catalog.bootstrap import wired
from services.catalog.settings import CatalogSettings
from shared.runtime.clock import Clock
from shared.runtime.server import started
from tests.clock import ManualClock
from tests.contract.catalog.caller import Caller
from tests.integration.catalog.database import migrated_database
from tests.stores import PostgresServer

NOW = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)


class StillSettings(CatalogSettings):
    """The catalog on a Monday morning that does not pass."""

    def clock(self) -> Clock:
        return ManualClock(NOW)


@pytest.fixture(scope="session")
def catalog_url(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
async def catalog_channel(catalog_url: str) -> AsyncIterator[grpc.aio.Channel]:
    settings = StillSettings(
        postgres_url=catalog_url, throwaway_data=True, postgres_pool_timeout_seconds=30
    )
    async with (
        started(settings, wired) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        yield channel


@pytest.fixture
def catalog(catalog_channel: grpc.aio.Channel) -> Caller:
    return Caller(catalog_channel)
