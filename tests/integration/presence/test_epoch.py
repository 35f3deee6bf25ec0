"""Where the store may have lost writes, an epoch ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from services.presence.domain.change import Position
from services.presence.domain.hold import HoldKey, HoldTerms, ResourceName, holder_of
from services.presence.storage.hold import RedisHolds
from services.presence.storage.layout import head_key, log_key
from services.presence.storage.log import RedisHoldLog
from services.presence.storage.server import HoldServer
from shared.embedded.valkey import EmbeddedValkey
from shared.slots.quantum import Span
from tests.integration.presence.conftest import keep

SPAN, ELSEWHERE = Span(2_000_000, 2_000_004), Span(2_000_100, 2_000_104)
STUDIO = ResourceName("org", "studio-a")
OURS = HoldKey(holder_of("org", "a-session-of-22-letters"), "studio-a", "")


@asynccontextmanager
async def stored(url: str) -> AsyncIterator[tuple[RedisHolds, RedisHoldLog]]:
    server = HoldServer(url, connections=4, patience=timedelta(seconds=5))
    terms = HoldTerms(timedelta(seconds=10), 4)
    yield (
        RedisHolds(server, terms, log_length=10_000),
        RedisHoldLog(server, terms, log_length=10_000),
    )
    await server.close()


async def position(log: RedisHoldLog) -> Position:
    return (await log.positions([log.scope(STUDIO)]))[log.scope(STUDIO)]


async def test_an_epoch_goes_on_while_nothing_is_lost(holds: RedisHolds, log: RedisHoldLog) -> None:
    await keep(holds, OURS, SPAN)
    first = await position(log)

    await keep(holds, OURS, ELSEWHERE)

    assert await position(log) == Position(first.epoch, first.revision + 1)


async def test_a_store_started_anew_without_its_data_has_another_epoch(tmp_path: Path) -> None:
    with EmbeddedValkey.start(tmp_path) as valkey:
        async with stored(valkey.url) as (holds, log):
            await keep(holds, OURS, SPAN)
            before = await position(log)
    with EmbeddedValkey.start(tmp_path) as valkey:
        async with stored(valkey.url) as (holds, log):
            lost = await position(log)
            await keep(holds, OURS, SPAN)
            after = await position(log)

    assert lost == Position(0, 0)
    assert after.epoch > before.epoch
    assert after.revision == 1


async def test_a_store_emptied_while_it_runs_has_another_epoch(
    holds: RedisHolds, log: RedisHoldLog, store: redis.Redis
) -> None:
    await keep(holds, OURS, SPAN)
    before = await position(log)

    store.flushall()
    await keep(holds, OURS, SPAN)

    assert (await position(log)).epoch > before.epoch


@pytest.mark.parametrize("fact", ["run", "replid"])
async def test_another_server_with_this_ones_data_has_another_epoch(
    holds: RedisHolds, log: RedisHoldLog, store: redis.Redis, fact: str
) -> None:
    await keep(holds, OURS, SPAN)
    before = await position(log)
    # As a server finds it that was started with another's file, or took another's place.
    store.hset(head_key(log.scope(STUDIO)), fact, "0" * 40)

    await keep(holds, OURS, ELSEWHERE)

    after = await position(log)
    assert after.epoch > before.epoch
    assert after.revision == before.revision + 1
    # What the other one logged is not to be read on as if nothing was between.
    assert store.xlen(log_key(log.scope(STUDIO))) == 1
    assert (await log.since({STUDIO: 0}))[STUDIO].changes is None


async def test_an_epoch_never_goes_back_with_the_stores_clock(
    holds: RedisHolds, log: RedisHoldLog, store: redis.Redis
) -> None:
    await keep(holds, OURS, SPAN)
    future = 2**52
    head = head_key(log.scope(STUDIO))
    store.hset(head, mapping={"epoch": future, "run": "0" * 40})

    await keep(holds, OURS, ELSEWHERE)

    assert (await position(log)).epoch == future + 1


async def test_a_snapshot_begins_an_epoch(log: RedisHoldLog) -> None:
    snapshot = (await log.snapshot([STUDIO]))[STUDIO]

    assert snapshot.epoch > 0
    assert await position(log) == Position(snapshot.epoch, 0)


async def test_a_snapshot_of_the_same_server_goes_on_with_its_epoch(log: RedisHoldLog) -> None:
    first = (await log.snapshot([STUDIO]))[STUDIO]

    assert (await log.snapshot([STUDIO]))[STUDIO] == first


async def test_a_renewal_does_not_ask_which_server_it_is(
    holds: RedisHolds, store: redis.Redis
) -> None:
    await keep(holds, OURS, SPAN)
    store.config_resetstat()

    for _ in range(10):
        await keep(holds, OURS, SPAN, None)

    stats = store.info("commandstats")
    assert isinstance(stats, dict)
    assert stats["cmdstat_hset"]["calls"] == 10
    assert "cmdstat_info" not in stats
    assert "cmdstat_xadd" not in stats
