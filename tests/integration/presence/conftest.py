"""The hold store over a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import pytest
import redis

from services.presence.domain.hold import HoldTerms
from services.presence.storage.hold import RedisHolds
from services.presence.storage.server import HoldServer

MOST_CONNECTIONS = 8

MakeHolds = Callable[..., RedisHolds]


@pytest.fixture
async def server(valkey_url: str) -> AsyncIterator[HoldServer]:
    server = HoldServer(valkey_url, connections=MOST_CONNECTIONS, patience=timedelta(seconds=5))
    yield server
    await server.close()


@pytest.fixture
def make_holds(server: HoldServer) -> MakeHolds:
    """``make_holds(timeout=…, limit=…)``: the store on terms of the test's own."""

    def make(*, timeout: timedelta = timedelta(seconds=10), limit: int = 4) -> RedisHolds:
        return RedisHolds(server, HoldTerms(timeout, limit))

    return make


@pytest.fixture
def holds(make_holds: MakeHolds) -> RedisHolds:
    return make_holds()


@pytest.fixture
def store(valkey_url: str) -> Iterator[redis.Redis]:
    """The same server, seen from outside."""
    with redis.Redis.from_url(valkey_url) as store:
        yield store
