"""An availability in this process, on a real database, beside a catalog that obeys the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any

import grpc
import pytest
from pydantic import SecretStr

from services.availability.bootstrap import wired
from services.availability.settings import AvailabilitySettings
from shared.runtime.clock import Clock
from shared.runtime.server import started
from tests.clock import ManualClock
from tests.contract.availability.world import NOW, Caller, FakeCatalog, running
from tests.integration.availability.database import migrated_database
from tests.stores import PostgresServer

Serve = Callable[..., AbstractAsyncContextManager[Caller]]


class StillSettings(AvailabilitySettings):
    """Availability on a Monday morning that does not pass, asking the catalog every time."""

    present: datetime = NOW
    management_key: SecretStr = SecretStr("a key that only tests know, 32 long")
    administration: bool = True
    catalog_fresh_seconds: float = 0
    # What is tested is not how busy this machine is.
    catalog_timeout_seconds: float = 10

    def clock(self) -> Clock:
        return ManualClock(self.present)


@pytest.fixture(scope="session")
def availability_url(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database(postgres_server) as url:
        yield url


@asynccontextmanager
async def served(settings: AvailabilitySettings) -> AsyncIterator[Caller]:
    async with (
        started(settings, wired) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield Caller(channel, address=server.address)


@pytest.fixture(scope="session")
async def shared_catalog() -> AsyncIterator[tuple[FakeCatalog, str]]:
    catalog = FakeCatalog()
    async with running(catalog) as address:
        yield catalog, address


@pytest.fixture(scope="session")
async def shared_caller(
    availability_url: str, shared_catalog: tuple[FakeCatalog, str]
) -> AsyncIterator[Caller]:
    settings = StillSettings(
        postgres_url=availability_url, catalog_address=shared_catalog[1], throwaway_data=True
    )
    async with served(settings) as caller:
        yield caller


@pytest.fixture
def catalog(shared_catalog: tuple[FakeCatalog, str]) -> FakeCatalog:
    """The catalog of the server that most tests share: it must not be made to fail."""
    return shared_catalog[0]


@pytest.fixture
def caller(shared_caller: Caller) -> Caller:
    """A caller of an organization of the test's own."""
    return shared_caller.elsewhere()


@pytest.fixture
def serve(availability_url: str) -> Serve:
    """``serve(catalog_address, **settings)``: a server of the test's own."""

    def with_settings(catalog_address: str, **changes: Any) -> AbstractAsyncContextManager[Caller]:
        given = {
            "postgres_url": availability_url,
            "catalog_address": catalog_address,
            "throwaway_data": True,
        }
        return served(StillSettings.model_validate(given | changes))

    return with_settings
