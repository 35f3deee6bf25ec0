"""Holds and changes that a server of the version before wrote, while both are running."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from services.presence.domain.ending import EndReason
from services.presence.domain.hold import HoldKey, HoldRule, LiveHold, ResourceName, holder_of
from services.presence.domain.taken import SettledTime
from services.presence.domain.wish import Action, Ended, Keep, Kept
from services.presence.storage.hold import RedisHolds
from services.presence.storage.layout import (
    holder_key,
    holds_key,
    log_key,
    partition,
    partition_keys,
)
from services.presence.storage.log import RedisHoldLog
from services.presence.storage.reading import RedisHoldReader
from services.presence.storage.server import HoldServer
from services.presence.storage.tail import RedisLogTail
from shared.slots.quantum import Span
from tests.integration.presence.conftest import EXCLUSIVE, POOL, keep

SPAN = Span(2_000_000, 2_000_004)
HOLDER = holder_of("org", "a-session-of-22-letters")
RIVAL = holder_of("org", "another-session-of-many")
OURS = HoldKey(HOLDER, "studio-a", "")
STUDIO = ResourceName("org", "studio-a")
NUMBER = partition(STUDIO)
FOR_EVER = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000


def write_as_before(store: redis.Redis, *, seconds_left: float = 8, key: HoldKey = OURS) -> None:
    """Writes a hold, and its acquisition, as the version before this one did."""
    now = now_of(store)
    expiry = now + seconds_left * SECOND
    field = key.holder.holder_id + key.hold_id
    _, due, log = partition_keys(NUMBER)
    store.hset(holds_key(STUDIO), field, struct.pack(">IIdB", SPAN.first, SPAN.stop, expiry, 0))
    store.zadd(due, {f"org/studio-a\n{field}": int(expiry - 4 * SECOND)})
    store.zadd(holder_key(NUMBER, key.holder), {"studio-a": int(expiry)})
    change = struct.pack(">IIIIdBBB", 0, 0, SPAN.first, SPAN.stop, expiry, 0, 0, len(field))
    fields: dict[Any, Any] = {
        "epoch": 7,
        "name": "org/studio-a",
        "changes": change + field.encode(),
    }
    store.xadd(log, fields, id="1-0")


def now_of(store: redis.Redis) -> int:
    time: Any = store.time()
    seconds, rest = time
    return int(seconds) * SECOND + int(rest)


def assert_is_as_before(hold: LiveHold) -> None:
    assert (hold.span, hold.units, hold.acquired_at) == (SPAN, 1, FOR_EVER)


async def test_such_a_hold_is_seen_by_every_reading(
    holds: RedisHolds, log: RedisHoldLog, server: HoldServer, store: redis.Redis
) -> None:
    write_as_before(store)
    reader = RedisHoldReader(server)

    (live,) = await holds.live("org", ["studio-a"], SPAN)
    (read,) = (await reader.read([STUDIO])).holds[STUDIO]
    (told,) = (await log.snapshot([STUDIO]))[STUDIO].holds

    for hold in (live, read, told):
        assert_is_as_before(hold)
    assert await reader.count("org", ["studio-a"], "") == (1, 1)
    assert await reader.count("org", ["studio-a"], "session") == (0, 0)


async def test_a_renewal_goes_on_with_it_and_it_stays_the_oldest(
    holds: RedisHolds, store: redis.Redis
) -> None:
    write_as_before(store)

    assert await keep(holds, OURS, SPAN, None) is not None
    await keep(holds, HoldKey(RIVAL, "studio-a", ""), SPAN, POOL)
    (ahead,) = await holds.fulfil([Keep(OURS, SPAN, Action.RENEW, POOL)])

    first, second = sorted(await holds.live("org", ["studio-a"], SPAN), key=lambda h: h.acquired_at)
    assert_is_as_before(first)
    assert second.acquired_at > FOR_EVER
    assert isinstance(ahead, Kept)
    assert ahead.units_ahead == 0


async def test_it_is_in_the_way_and_its_swap_is_an_acquisition(
    holds: RedisHolds, store: redis.Redis
) -> None:
    write_as_before(store)
    wider = Span(SPAN.first, SPAN.stop + 4)

    await keep(holds, OURS, wider, EXCLUSIVE)

    (hold,) = await holds.live("org", ["studio-a"], SPAN)
    assert hold.span == wider
    assert hold.acquired_at > FOR_EVER


async def test_a_booking_ends_it(holds: RedisHolds, store: redis.Redis) -> None:
    write_as_before(store)
    committed = FOR_EVER + timedelta(microseconds=now_of(store))
    settled = SettledTime(STUDIO, None, SPAN, 1, committed, EndReason.BOOKED, HoldRule.EXCLUSIVE)

    assert await holds.settle([settled]) == 1

    renewal = Keep(OURS, SPAN, Action.RENEW, EXCLUSIVE)
    assert await holds.fulfil([renewal]) == [Ended(EndReason.BOOKED)]


async def test_an_end_that_the_version_before_wrote_is_understood(
    holds: RedisHolds, store: redis.Redis
) -> None:
    ended = f"{partition_keys(NUMBER)[0].removesuffix('head')}ended:org/studio-a/{HOLDER.holder_id}"
    store.set(ended, 1)

    renewal = Keep(OURS, SPAN, Action.RENEW, EXCLUSIVE)
    assert await holds.fulfil([renewal]) == [Ended(EndReason.LEFT)]
    assert await keep(holds, OURS, SPAN) is not None


async def test_the_sweep_marks_it_and_ends_it(
    holds: RedisHolds, log: RedisHoldLog, store: redis.Redis
) -> None:
    write_as_before(store, seconds_left=1)
    await log.sweep()
    (marked,) = await holds.live("org", ["studio-a"], SPAN)
    assert marked.is_overdue
    assert_is_as_before(marked)

    write_as_before_gone = HoldKey(RIVAL, "studio-a", "")
    store.delete(log_key(NUMBER))
    write_as_before(store, seconds_left=-1, key=write_as_before_gone)
    store.zadd(partition_keys(NUMBER)[1], {f"org/studio-a\n{RIVAL.holder_id}": 1})
    await log.sweep()

    assert [h.holder_id for h in await holds.live("org", ["studio-a"], SPAN)] == [HOLDER.holder_id]


async def test_its_change_in_the_log_is_read(
    log: RedisHoldLog, store: redis.Redis, valkey_url: str
) -> None:
    write_as_before(store)
    store.hset(partition_keys(NUMBER)[0], mapping={"epoch": 7, "revision": 1})

    (change,) = (await log.since({STUDIO: 0}))[STUDIO].changes or ()
    tail = RedisLogTail(valkey_url, patience=timedelta(seconds=5), wait=timedelta(milliseconds=10))
    ((_, entry),) = await tail.read({NUMBER: 0})
    await tail.close()

    assert list(entry.changes) == [change]
    assert change.after is not None
    assert_is_as_before(change.after)


@pytest.mark.parametrize("units", [1, 3])
async def test_the_version_before_reads_what_is_written_now(
    holds: RedisHolds, store: redis.Redis, units: int
) -> None:
    """It unpacks the beginning of a hold, and takes an entry's fields by name or place."""
    await holds.fulfil([Keep(OURS, SPAN, Action.ACQUIRE, POOL, units, "session")])

    value: Any = store.hget(holds_key(STUDIO), HOLDER.holder_id)
    entries: Any = store.xrange(log_key(NUMBER))
    ((_, fields),) = entries

    assert struct.unpack_from(">IIdB", value)[:2] == (SPAN.first, SPAN.stop)
    assert list(fields)[:3] == [b"epoch", b"name", b"changes"]
    assert len(fields[b"changes"]) == struct.calcsize(">IIIIdBBB") + len(HOLDER.holder_id)
