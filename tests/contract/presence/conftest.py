"""A presence in this process, on a real store, beside a catalog that obeys the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import pytest
import redis.asyncio

from services.presence.bootstrap import wired
from services.presence.settings import PresenceSettings
from shared.runtime.server import started
from tests.contract.presence.catalog import Catalog, running_catalog
from tests.contract.presence.client import Client

PATIENT_SECONDS = 10

Serve = Callable[..., AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def served(settings: PresenceSettings) -> AsyncIterator[Client]:
    async with (
        started(settings, wired) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        yield Client(channel, address=running.address)


@pytest.fixture
async def catalog() -> Catalog:
    return Catalog()


@pytest.fixture
async def catalog_address(catalog: Catalog) -> AsyncIterator[str]:
    async with running_catalog(catalog) as address:
        yield address


@pytest.fixture
def serve(valkey_url: str, catalog_address: str) -> Serve:
    """``serve(**settings)``: a presence with settings of the test's own.

    It waits for others longer than by default: tests that are about something else must not
    meet an outage, or a resource that counts as exclusive, because the machine is busy.
    """

    def with_settings(**changes: Any) -> AbstractAsyncContextManager[Client]:
        settings = {
            "redis_url": valkey_url,
            "catalog_address": catalog_address,
            "catalog_timeout_seconds": PATIENT_SECONDS,
            "redis_timeout_seconds": PATIENT_SECONDS,
            "watch_patience_seconds": PATIENT_SECONDS,
        } | changes
        return served(PresenceSettings.model_validate(settings))

    return with_settings


@pytest.fixture
async def store(valkey_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """The same store, seen from outside."""
    async with redis.asyncio.Redis.from_url(valkey_url) as store:
        yield store


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[Client]:
    async with serve() as client:
        yield client
