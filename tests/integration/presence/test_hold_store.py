"""What the store leaves in Redis, and for how long."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from services.presence.domain.ending import EndReason
from services.presence.domain.hold import HoldKey, HoldRule, ResourceName, ResourceRule, holder_of
from services.presence.domain.refusal import HoldTooLong, SlotHeld
from services.presence.domain.taken import SettledTime
from services.presence.domain.wish import Action, Keep, Leave, Wish
from services.presence.storage.hold import RedisHolds
from services.presence.storage.layout import PARTITIONS, holds_key
from services.presence.storage.log import RedisHoldLog
from services.presence.storage.reading import RedisHoldReader
from services.presence.storage.script import Script, ScriptCall
from services.presence.storage.server import HoldServer
from shared.runtime.failure import StoreUnavailable
from shared.slots.quantum import Span
from tests.integration.presence.conftest import (
    ADVISORY,
    EXCLUSIVE,
    MOST_CONNECTIONS,
    POOL,
    MakeHolds,
    MakeLog,
    keep,
    scripts_run,
    until,
)

LONG_AFTER = datetime(2100, 1, 1, tzinfo=UTC)
SHORT = timedelta(milliseconds=50)
SPAN = Span(2_000_000, 2_000_004)
HOLDER = holder_of("org", "a-session-of-22-letters")
RIVAL = holder_of("org", "another-session-of-many")
OURS = HoldKey(HOLDER, "studio-a", "")
THEIRS = HoldKey(RIVAL, "studio-a", "")


async def test_nothing_of_a_hold_is_left_after_it_but_what_is_told_of_it(
    make_holds: MakeHolds, make_log: MakeLog, store: redis.Redis
) -> None:
    await keep(make_holds(timeout=SHORT), OURS, SPAN)

    async def only_the_log_is_left() -> bool:
        await make_log(timeout=SHORT).sweep()
        return {key.rpartition(b":")[2] for key in store.scan_iter()} == {b"head", b"log"}

    await until(only_the_log_is_left)


async def test_a_hold_outlives_a_shorter_one_beside_it(
    make_holds: MakeHolds, make_log: MakeLog
) -> None:
    long, short = make_holds(timeout=timedelta(minutes=5)), make_holds(timeout=SHORT)
    await keep(long, OURS, SPAN)
    await keep(short, HoldKey(HOLDER, "studio-a", "second"), SPAN)

    async def one_is_left() -> bool:
        await make_log(timeout=SHORT).sweep()
        return len(await long.live("org", ["studio-a"], SPAN)) == 1

    await until(one_is_left)
    (left,) = await long.live("org", ["studio-a"], SPAN)
    assert left.hold_id == ""
    assert await long.release_all(HOLDER) == 1


async def test_dead_holds_go_when_another_is_acquired(
    make_holds: MakeHolds, store: redis.Redis
) -> None:
    short = make_holds(timeout=SHORT)
    for number in range(5):
        await keep(short, HoldKey(holder_of("org", f"s{number}"), "studio-a", ""), SPAN, ADVISORY)

    async def all_are_dead() -> bool:
        return not await short.live("org", ["studio-a"], SPAN)

    await until(all_are_dead)
    assert int(str(store.hlen(holds_key(ResourceName("org", "studio-a"))))) >= 1

    await keep(make_holds(), OURS, SPAN, ADVISORY)

    assert store.hkeys(holds_key(ResourceName("org", "studio-a"))) == [HOLDER.holder_id.encode()]


async def test_a_dead_hold_is_not_renewed(make_holds: MakeHolds) -> None:
    short = make_holds(timeout=SHORT)
    await keep(short, OURS, SPAN, EXCLUSIVE)

    async def is_dead() -> bool:
        return not await short.live("org", ["studio-a"], SPAN)

    await until(is_dead)

    assert await keep(short, OURS, SPAN, None) is None


async def test_a_holder_that_wanders_leaves_no_trail(
    make_holds: MakeHolds, store: redis.Redis
) -> None:
    short = make_holds(timeout=timedelta(milliseconds=5))
    for number in range(2_000):
        await keep(short, HoldKey(HOLDER, f"room-{number}", ""), SPAN, EXCLUSIVE)

    trail = sum(int(str(store.zcard(key))) for key in store.scan_iter(match="*:holder:*"))
    assert trail < 1_000


@pytest.mark.parametrize("hold_id", ["", "second"])
async def test_a_release_leaves_no_field(
    holds: RedisHolds, store: redis.Redis, hold_id: str
) -> None:
    await keep(holds, HoldKey(HOLDER, "studio-a", hold_id), SPAN, EXCLUSIVE)

    await holds.release(HOLDER, "studio-a", hold_id)

    assert not store.exists(holds_key(ResourceName("org", "studio-a")))


async def test_every_call_touches_the_keys_of_one_partition(
    holds: RedisHolds,
    make_holds: MakeHolds,
    log: RedisHoldLog,
    server: HoldServer,
    valkey_url: str,
) -> None:
    rooms = [f"room-{number}" for number in range(200)]
    names = [ResourceName("org", room) for room in rooms]
    many, again = (
        [Keep(HoldKey(RIVAL, room, "late"), Span(100, 104), action, ADVISORY) for room in rooms]
        for action in (Action.RENEW, Action.ACQUIRE)
    )
    leaving: list[Wish] = [Leave(HoldKey(RIVAL, room, "late")) for room in rooms]
    await make_holds(timeout=SHORT).fulfil(many)
    with redis.Redis.from_url(valkey_url) as watcher, watcher.monitor() as monitor:
        for room in rooms:
            await keep(holds, HoldKey(HOLDER, room, ""), SPAN, EXCLUSIVE)
        await keep(holds, HoldKey(HOLDER, "room-0", ""), SPAN, None)
        with pytest.raises(SlotHeld):
            await keep(holds, HoldKey(RIVAL, "room-0", ""), SPAN, EXCLUSIVE)
        await holds.live("org", rooms, SPAN)
        await log.snapshot(names[:100])
        await log.since(dict.fromkeys(names, 0))
        await log.sweep()
        await holds.fulfil(many)
        await holds.fulfil(leaving)
        await holds.fulfil(many)
        await holds.fulfil(again)
        await holds.settle(
            [settled(name, rule) for name in names for rule in (HoldRule.POOL, HoldRule.EXCLUSIVE)]
        )
        await holds.fulfil(many)
        await RedisHoldReader(server).read(names)
        await RedisHoldReader(server).count("org", rooms, "")
        await holds.release(HOLDER, "room-0", None)
        await holds.release_all(HOLDER)
        with redis.Redis.from_url(valkey_url) as last:
            last.echo("end")
        calls = list(_calls(monitor))

    tags = [set(re.findall(r"\{(.*?)\}", " ".join(call))) for call in calls]
    assert len(calls) > 200 + 3
    assert [call for call, found in zip(calls, tags, strict=True) if len(found) != 1] == []
    assert len(set().union(*tags)) == PARTITIONS
    kinds = {key.split(":")[2] for call in calls for key in call}
    assert kinds == {"head", "due", "log", "holds", "ended", "settled", "holder"}


@pytest.mark.parametrize("quanta", [1, 96, 31 * 96])
async def test_one_run_of_a_script_serves_any_span(
    holds: RedisHolds, store: redis.Redis, quanta: int
) -> None:
    span = Span(SPAN.first, SPAN.first + quanta)
    await keep(holds, OURS, SPAN)  # the script is known

    for _ in ("swapped", "renewed"):
        before = scripts_run(store)
        await keep(holds, OURS, span)
        assert scripts_run(store) - before == 1


async def test_a_hold_longer_than_any_booking_is_refused_but_one_that_is_there_goes_on(
    holds: RedisHolds,
) -> None:
    short = ResourceRule(HoldRule.EXCLUSIVE, 3)
    await keep(holds, OURS, SPAN)

    with pytest.raises(HoldTooLong) as caught:
        await keep(holds, OURS, Span(SPAN.first, SPAN.first + 5), short)

    assert caught.value.metadata == {"limit_minutes": "45"}
    assert await keep(holds, OURS, SPAN, short)
    assert await keep(holds, OURS, Span(SPAN.first, SPAN.first + 3), short)


async def test_without_a_longest_booking_31_days_are_the_limit(holds: RedisHolds) -> None:
    days = 31 * 96
    await keep(holds, OURS, Span(0, days))

    with pytest.raises(HoldTooLong):
        await keep(holds, THEIRS, Span(0, days + 1), POOL)


async def test_scripts_are_sent_again_in_one_round_trip_when_forgotten(
    server: HoldServer, store: redis.Redis
) -> None:
    script = Script("return tonumber(ARGV[1])", "0" * 40)
    store.script_flush()

    answers = await server.run_all([ScriptCall(script, [], [number]) for number in range(5)])

    assert answers == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("calls", [1, 2])
async def test_a_bug_in_a_script_is_not_taken_for_an_outage(server: HoldServer, calls: int) -> None:
    call = ScriptCall(Script("return nothing.at.all", "0" * 40), [], [])

    with pytest.raises(redis.ResponseError):
        await (server.run(call) if calls == 1 else server.run_all([call] * calls))


@pytest.mark.parametrize("word", ["OOM", "READONLY", "MISCONF", "BUSY"])
async def test_trouble_inside_a_script_is_an_outage(server: HoldServer, word: str) -> None:
    script = Script(f"return redis.error_reply('{word} told to')", "0" * 40)

    with pytest.raises(StoreUnavailable):
        await server.run(ScriptCall(script, [], []))


async def test_callers_that_go_away_cost_no_connections(
    server: HoldServer, store: redis.Redis
) -> None:
    slow = Script("local n = 0 for i = 1, 1000000 do n = n + i end return n", "0" * 40)
    before = _connections_made(store)

    for _ in range(3 * MOST_CONNECTIONS):
        call = asyncio.ensure_future(server.run(ScriptCall(slow, [], [])))
        await asyncio.sleep(0.001)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert call.cancelled()

    assert _connections_made(store) - before <= MOST_CONNECTIONS


async def test_hundreds_of_holds_on_one_resource_are_judged_together(holds: RedisHolds) -> None:
    for number in range(300):
        key = HoldKey(holder_of("org", f"s{number}"), "studio-a", "")
        await keep(holds, key, Span(number * 2, number * 2 + 1), EXCLUSIVE)

    with pytest.raises(SlotHeld) as caught:
        await keep(holds, OURS, Span(0, 600), EXCLUSIVE)
    await keep(holds, THEIRS, Span(599, 600), EXCLUSIVE)

    assert sum(bitmap.bit_count() for bitmap in caught.value.held.values()) == 300
    assert len(await holds.live("org", ["studio-a"], Span(0, 600))) == 301


async def test_settlements_are_split_and_each_step_reads_a_resource_once(
    holds: RedisHolds, store: redis.Redis
) -> None:
    await keep(holds, OURS, SPAN, POOL)
    await keep(holds, THEIRS, SPAN, POOL)
    studio = OURS.resource
    await holds.settle([settled(studio, HoldRule.ADVISORY)])  # the script is known
    before, read = scripts_run(store), _readings(store)

    ended = await holds.settle(
        [
            replace(settled(studio, rule), span=SPAN)
            for _ in range(125)
            for rule in (HoldRule.POOL, HoldRule.EXCLUSIVE)
        ]
    )

    assert ended == 2
    assert scripts_run(store) - before == 2
    assert _readings(store) - read == 2


def settled(name: ResourceName, rule: HoldRule) -> SettledTime:
    return SettledTime(name, RIVAL, Span(0, 200), 1, LONG_AFTER, EndReason.BOOKED, rule)


def _readings(store: redis.Redis) -> int:
    stats: Any = store.info("commandstats")
    return int(stats["cmdstat_hgetall"]["calls"])


def _connections_made(store: redis.Redis) -> int:
    facts: Any = store.info("stats")
    return int(facts["total_connections_received"])


def _calls(monitor: Any) -> list[list[str]]:
    """The keys of each command, those of a script's own commands with the script's."""
    calls: list[list[str]] = []
    for event in monitor.listen():
        command = event["command"]
        if command.startswith("ECHO"):
            return calls
        keys = re.findall(r"holdfast:\S+", command)
        if event["client_type"] == "lua" and keys:
            calls[-1] += keys
        elif command.startswith(("EVAL", "ZRANGE", "HGETALL")):
            calls.append(keys)
    return calls
