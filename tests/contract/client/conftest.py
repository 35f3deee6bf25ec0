"""Presence and availability in this process, on real stores, beside a catalog that obeys."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from services.availability import bootstrap as availability
from services.presence import bootstrap as presence
from services.presence.settings import PresenceSettings
from shared.client.address import Address
from shared.client.client import Client
from shared.runtime.server import started
from tests.contract.availability.conftest import StillSettings
from tests.contract.availability.world import FakeCatalog, length, running
from tests.contract.client.world import HOUR
from tests.integration.availability.database import migrated_database
from tests.stores import PostgresServer

ServePresence = Callable[..., AbstractAsyncContextManager[str]]
ServeAvailability = Callable[..., AbstractAsyncContextManager[str]]
LENGTHS = (HOUR, 2 * HOUR, 5 * HOUR)


class CountingClient(Client):
    """Counts the unary calls that it makes and that were answered, by the name of the request."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.made: list[str] = []
        self.answered: list[str] = []

    async def call(self, method: Any, request: Any) -> Any:
        name = type(request).__name__.removesuffix("Request")
        self.made.append(name)
        answer = await super().call(method, request)
        self.answered.append(name)
        return answer


@dataclass(frozen=True)
class House:
    """Where the services listen, and who asks."""

    presence: str
    availability: str
    organization_id: str

    def client(self, **settings: Any) -> CountingClient:
        """One more program of the same organization."""
        places = {"presence": self.presence, "availability": self.availability}
        places |= settings.pop("places", {})
        addresses = {name: Address(place, "the test") for name, place in places.items()}
        return CountingClient(addresses, self.organization_id, **settings)


@pytest.fixture(scope="session")
async def fake_catalog() -> AsyncIterator[tuple[FakeCatalog, str]]:
    catalog = FakeCatalog()
    async with running(catalog) as address:
        yield catalog, address


@pytest.fixture(scope="session")
def client_database(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database(postgres_server) as url:
        yield url


@pytest.fixture
def organization_id(fake_catalog: tuple[FakeCatalog, str]) -> str:
    """An organization with two studios, open around the clock in UTC."""
    name = f"org-{uuid.uuid4().hex}"
    for resource_id in ("studio-a", "studio-b"):
        fake_catalog[0].offer(
            name, resource_id, duration_options=[length(each) for each in LENGTHS]
        )
    return name


@pytest.fixture
def serve_presence(valkey_url: str, fake_catalog: tuple[FakeCatalog, str]) -> ServePresence:
    """``serve_presence(**settings)``: yields its address."""

    @asynccontextmanager
    async def served(**changes: Any) -> AsyncIterator[str]:
        settings = {
            "redis_url": valkey_url,
            "catalog_address": fake_catalog[1],
            "catalog_timeout_seconds": 10,
            "hold_timeout_seconds": 4,
            "drain_seconds": 0.2,
        } | changes
        async with started(PresenceSettings.model_validate(settings), presence.wired) as server:
            yield server.address

    return served


@pytest.fixture
def serve_availability(
    client_database: str, fake_catalog: tuple[FakeCatalog, str]
) -> ServeAvailability:
    """``serve_availability(**settings)``: yields its address."""

    @asynccontextmanager
    async def served(**changes: Any) -> AsyncIterator[str]:
        settings = {
            "postgres_url": client_database,
            "catalog_address": fake_catalog[1],
            "throwaway_data": True,
            "drain_seconds": 0.2,
        } | changes
        async with started(StillSettings.model_validate(settings), availability.wired) as server:
            yield server.address

    return served


@pytest.fixture
async def house(
    serve_presence: ServePresence, serve_availability: ServeAvailability, organization_id: str
) -> AsyncIterator[House]:
    async with (
        serve_presence() as holds,
        serve_availability(presence_address=holds) as days,
    ):
        yield House(holds, days, organization_id)


@pytest.fixture
async def ann(house: House) -> AsyncIterator[CountingClient]:
    async with house.client() as client:
        yield client


@pytest.fixture
async def ben(house: House) -> AsyncIterator[CountingClient]:
    async with house.client() as client:
        yield client
