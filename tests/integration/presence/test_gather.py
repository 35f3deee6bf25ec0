"""The wishes of many callers, fulfilled together over a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import pytest
import redis

from services.presence.app.gather import GatheredWishes
from services.presence.domain.hold import HoldKey, HoldTerms, ResourceName, holder_of
from services.presence.domain.wish import Action, Keep, Kept, Leave, Left, Verdict, Wish
from services.presence.storage.hold import RedisHolds
from services.presence.storage.layout import holds_key, partition
from services.presence.storage.server import HoldServer
from shared.runtime import log
from shared.runtime.deadline import begin, time_remaining
from shared.runtime.failure import StoreUnavailable
from shared.slots.quantum import Span
from tests.integration.presence.conftest import EXCLUSIVE, MakeHolds, keep, scripts_run

SPAN = Span(2_000_000, 2_000_004)
NUMBER = partition(ResourceName("org", "room-0"))
TOGETHER = [
    f"room-{n}" for n in range(20_000) if partition(ResourceName("org", f"room-{n}")) == NUMBER
]
APART = next(
    f"room-{n}" for n in range(99) if partition(ResourceName("org", f"room-{n}")) != NUMBER
)


def wish(number: int, room: str, hold_id: str = "") -> Keep:
    key = HoldKey(holder_of("org", f"session-{number}"), room, hold_id)
    return Keep(key, SPAN, Action.ACQUIRE, EXCLUSIVE)


def are_kept(verdicts: Sequence[Verdict]) -> bool:
    return all(isinstance(verdict, Kept) for verdict in verdicts)


async def test_a_lone_caller_is_served_at_once(holds: RedisHolds) -> None:
    assert are_kept(await GatheredWishes(holds).fulfil([wish(1, "room-0")]))


async def test_what_comes_during_a_round_shares_the_next(
    holds: RedisHolds, store: redis.Redis
) -> None:
    gathered = GatheredWishes(holds)
    await keep(holds, wish(0, APART).key, SPAN)  # the script is known
    before = scripts_run(store)

    found = await asyncio.gather(
        *(gathered.fulfil([wish(number, TOGETHER[number])]) for number in range(100))
    )

    assert all(map(are_kept, found))
    assert scripts_run(store) - before == 1


async def test_more_than_200_wishes_of_a_partition_are_split(
    holds: RedisHolds, store: redis.Redis
) -> None:
    await keep(holds, wish(0, APART).key, SPAN)
    before = scripts_run(store)

    verdicts = await holds.fulfil([wish(0, room) for room in TOGETHER[:250]])

    assert are_kept(verdicts)
    assert scripts_run(store) - before == 2


async def test_each_caller_gets_its_own_verdicts_in_its_order(holds: RedisHolds) -> None:
    gathered = GatheredWishes(holds)

    async def come_and_go(number: int) -> list[Verdict]:
        room = TOGETHER[number % 3]
        wishes: list[Wish] = [
            wish(number, room),
            wish(number, APART, "x"),
            Leave(wish(number, room).key),
        ]
        return await gathered.fulfil(wishes)

    found = await asyncio.gather(*(come_and_go(number) for number in range(30)))

    # On one room after the other's leave, and on the room apart only the first of them.
    assert all(isinstance(first, Kept) for first, _, _ in found)
    assert [isinstance(second, Kept) for _, second, _ in found] == [True] + [False] * 29
    assert [third for _, _, third in found] == [Left(was_live=True)] * 30


async def test_one_callers_trouble_is_not_anothers(holds: RedisHolds, store: redis.Redis) -> None:
    gathered = GatheredWishes(holds)
    store.set(holds_key(ResourceName("org", APART)), "no hash")

    sick, sound = await asyncio.gather(
        gathered.fulfil([wish(1, TOGETHER[1]), wish(1, APART)]),
        gathered.fulfil([wish(2, TOGETHER[2])]),
        return_exceptions=True,
    )

    assert isinstance(sick, redis.ResponseError)
    assert isinstance(sound, list)
    assert are_kept(sound)


async def test_a_caller_that_goes_away_takes_nobody_with_it(holds: RedisHolds) -> None:
    gathered = GatheredWishes(holds)
    first, second, third = (
        asyncio.ensure_future(gathered.fulfil([wish(number, TOGETHER[number])]))
        for number in range(3)
    )
    await asyncio.sleep(0)

    first.cancel()
    second.cancel()

    assert are_kept(await third)
    assert first.cancelled()
    assert second.cancelled()


async def test_a_round_is_bounded_by_no_callers_deadline_and_named_after_none(
    server: HoldServer,
) -> None:
    found: list[tuple[str, float]] = []

    class Noting(RedisHolds):
        async def fulfil_each(self, wishes: Sequence[Wish]) -> list[Verdict | Exception]:
            found.append((log.request_id.get(), time_remaining(60)))
            return await super().fulfil_each(wishes)

    gathered = GatheredWishes(Noting(server, HoldTerms(timedelta(seconds=10), 4), log_length=100))
    log.request_id.set(partial(str, "request-first"))
    begin(1)

    await gathered.fulfil([wish(1, "room-0")])

    assert found == [("", 60)]


async def test_everybody_is_told_of_an_outage_and_served_after_it(
    make_holds: MakeHolds, store: redis.Redis, valkey_url: str
) -> None:
    server = HoldServer(valkey_url, connections=1, patience=timedelta(milliseconds=100))
    holds = make_holds(server=server)
    gathered = GatheredWishes(holds)
    store.client_pause(400)

    found = await asyncio.gather(
        *(gathered.fulfil([wish(number, TOGETHER[number])]) for number in range(3)),
        return_exceptions=True,
    )

    assert [type(error) for error in found] == [StoreUnavailable] * 3
    store.client_unpause()
    assert are_kept(await gathered.fulfil([wish(4, TOGETHER[4])]))
    await server.close()


async def test_nothing_asks_nobody(make_holds: MakeHolds) -> None:
    nowhere = HoldServer("redis://127.0.0.1:1", connections=1, patience=timedelta(seconds=1))

    assert await GatheredWishes(make_holds(server=nowhere)).fulfil([]) == []

    with pytest.raises(StoreUnavailable):
        await GatheredWishes(make_holds(server=nowhere)).fulfil([wish(1, "room-0")])
    await nowhere.close()
