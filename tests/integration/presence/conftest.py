"""The hold store over a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis

from services.presence.domain.hold import HoldKey, HoldRule, HoldTerms, ResourceRule
from services.presence.domain.wish import Action, Keep, Kept, Refused, Unjudged
from services.presence.storage.hold import RedisHolds
from services.presence.storage.log import RedisHoldLog
from services.presence.storage.server import HoldServer
from shared.slots.quantum import Span

MOST_CONNECTIONS = 8

EXCLUSIVE = ResourceRule(HoldRule.EXCLUSIVE, None)
POOL = ResourceRule(HoldRule.POOL, None)
ADVISORY = ResourceRule(HoldRule.ADVISORY, None)

MakeHolds = Callable[..., RedisHolds]
MakeLog = Callable[..., RedisHoldLog]

_TIMEOUT = timedelta(seconds=10)
_LOG_LENGTH = 10_000
_ALWAYS = Span(0, 4_000_000)


async def keep(
    holds: RedisHolds,
    key: HoldKey,
    span: Span,
    rule: ResourceRule | None = EXCLUSIVE,
    action: Action = Action.ACQUIRE,
) -> datetime | None:
    """Wishes for one hold; raises its refusal, returns None when there was nothing to judge by."""
    (verdict,) = await holds.fulfil([Keep(key, span, action, rule)])
    if isinstance(verdict, Refused):
        raise verdict.refusal
    if isinstance(verdict, Unjudged):
        return None
    assert isinstance(verdict, Kept)
    return verdict.expires_at


def scripts_run(store: redis.Redis) -> int:
    """How many scripts the server has run."""
    stats: Any = store.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    """Asks again and again until the answer is yes."""
    async with asyncio.timeout(10):
        while not await fact():  # noqa: ASYNC110  # time passes in the store, without an event
            await asyncio.sleep(0.005)


async def until_dead(holds: RedisHolds, *resource_ids: str, span: Span = _ALWAYS) -> None:
    """Waits until nobody holds any of the span."""

    async def nobody_holds() -> bool:
        return not await holds.live("org", resource_ids or ["studio-a"], span)

    await until(nobody_holds)


@pytest.fixture
async def server(valkey_url: str) -> AsyncIterator[HoldServer]:
    server = HoldServer(valkey_url, connections=MOST_CONNECTIONS, patience=timedelta(seconds=5))
    yield server
    await server.close()


@pytest.fixture
def make_holds(server: HoldServer) -> MakeHolds:
    """``make_holds(timeout=…, limit=…)``: the store on terms of the test's own."""

    def make(
        *,
        timeout: timedelta = _TIMEOUT,
        limit: int = 4,
        log_length: int = _LOG_LENGTH,
        server: HoldServer = server,
    ) -> RedisHolds:
        return RedisHolds(server, HoldTerms(timeout, limit), log_length=log_length)

    return make


@pytest.fixture
def make_log(server: HoldServer) -> MakeLog:
    """``make_log(timeout=…)``: the log of the same store, and its sweep."""

    def make(*, timeout: timedelta = _TIMEOUT) -> RedisHoldLog:
        return RedisHoldLog(server, HoldTerms(timeout, 4), log_length=_LOG_LENGTH)

    return make


@pytest.fixture
def log(make_log: MakeLog) -> RedisHoldLog:
    return make_log()


@pytest.fixture
def holds(make_holds: MakeHolds) -> RedisHolds:
    return make_holds()


@pytest.fixture
def store(valkey_url: str) -> Iterator[redis.Redis]:
    """The same server, seen from outside."""
    with redis.Redis.from_url(valkey_url) as store:
        yield store
