"""Snapshot and changes, folded, are what GetDatePresence says, whoever does what where."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

import pytest
import redis.asyncio

from holdfast.presence.v1 import holder_pb2
from services.presence.storage.layout import PARTITIONS, log_key
from services.presence.storage.packed import hold_changes
from tests.contract.presence.client import DAY, HOUR, START, Client, new_session
from tests.contract.presence.conftest import Serve
from tests.contract.presence.streams import Holding, Watching

QUARTER = timedelta(minutes=15)
ROOMS = ("room-0", "room-1", "room-2")
DATES = (DAY, DAY + timedelta(days=1))
WALKERS, STEPS, WATCHERS = 6, 120, 8


@pytest.fixture
async def pair(serve: Serve) -> AsyncIterator[tuple[Client, Client]]:
    """Two servers on one store, both asked for one organization; holds of a moment.

    They forget at once what nobody watches, so that watches begin and end at all moments.
    """
    settings = {
        "hold_timeout_seconds": 0.4, "sweep_interval_seconds": 0.05, "watch_linger_seconds": 0,
    }  # fmt: skip
    async with serve(**settings) as one, serve(**settings) as other:
        yield one, Client(other.channel, one.organization_id)


class Walker:
    """A session that holds, renews, swaps, leaves, and now and then just goes away."""

    def __init__(self, seed: str, pair: tuple[Client, Client], rooms: list[str]) -> None:
        self.rooms = rooms
        self.chance = random.Random(seed)
        self.pair = pair
        self.session = new_session()
        self.stream: Holding | None = None
        self.done: Counter[str] = Counter()

    @property
    def client(self) -> Client:
        return self.chance.choice(self.pair)

    async def walk(self) -> None:
        acts = [self.beat, self.leave, self.turn, self.go_away, self.pause]
        for _ in range(STEPS):
            await self.chance.choices(acts, [6, 1, 4, 0.3, 0.7])[0]()
        if self.stream is not None:
            self.stream.call.cancel()

    async def beat(self) -> None:
        start, length = self.span()
        room, hold_id = self.chance.choice(self.rooms), self.chance.choice(("", "b"))
        outcome = await self.client.outcome(
            self.session, room, hold_id=hold_id, start=start, length=length
        )
        self.done[outcome] += 1

    async def leave(self) -> None:
        self.done["left"] += await self.client.leave(
            self.session, self.chance.choice(["", *self.rooms])
        )

    async def turn(self) -> None:
        if self.stream is None:
            self.stream = self.client.hold(self.session)
        rooms = self.chance.sample(self.rooms, self.chance.randrange(3))
        leave = tuple(self.chance.sample(self.rooms, self.chance.randrange(2)))
        found = await self.stream.say({room: self.span() for room in rooms}, leave)
        self.done.update(found.values())

    async def go_away(self) -> None:
        if self.stream is not None and self.chance.random() < 0.5:
            await self.stream.half_close()
            self.done["half-closed"] += 1
        elif self.stream is not None:
            self.stream.call.cancel()
            self.done["cancelled"] += 1
        self.stream = None

    async def pause(self) -> None:
        await asyncio.sleep(self.chance.uniform(0, 0.5))

    def span(self) -> tuple[datetime, timedelta]:
        start = START + self.chance.randrange(-8, 60) * QUARTER
        return start, self.chance.randint(1, 8) * QUARTER


async def follow(
    seed: str, pair: tuple[Client, Client], all_rooms: list[str], stop: asyncio.Event
) -> Watching:
    """Watches, resumes now and then on either server, and returns the last watch."""
    chance = random.Random(seed)
    rooms = tuple(chance.sample(all_rooms, chance.randint(1, 3)))
    dates = tuple(chance.sample(DATES, chance.randint(1, 2)))
    watch = chance.choice(pair).watch(*rooms, dates=dates)
    while not stop.is_set():
        await watch.read()
        shown_twice(watch)
        if chance.random() < 0.1:
            watch.cancel()
            following = chance.choice(pair).watch(*rooms, dates=dates, token=watch.token)
            following.follow(watch)
            watch = following
    while [*_shown(watch)] != _held(await pair[0].holds(*sorted(rooms), dates=dates)):
        await watch.read()
    watch.cancel()
    return watch


def shown_twice(watch: Watching) -> None:
    """Fails where two sessions are shown to hold one quarter hour."""
    for holds in watch.holds.values():
        for one, other in combinations(holds.values(), 2):
            apart = (
                one.end_time.seconds <= other.start_time.seconds
                or other.end_time.seconds <= one.start_time.seconds
            )
            assert apart or one.holder_id == other.holder_id


def _shown(watch: Watching) -> list[tuple[object, ...]]:
    return _held([hold for holds in watch.holds.values() for hold in holds.values()])


def _held(holds: list[holder_pb2.Hold]) -> list[tuple[object, ...]]:
    """Holds without their expiry, which renewals move without a word."""
    return sorted(
        (h.resource_id, h.holder_id, h.hold_id, h.start_time.seconds, h.end_time.seconds, h.overdue)
        for h in holds
    )


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_a_watch_shows_what_is(
    pair: tuple[Client, Client], store: redis.asyncio.Redis, seed: int
) -> None:
    stop = asyncio.Event()
    # In one row of revisions, one resource's watch begins amid the reading of another's.
    rooms = pair[0].neighbours("studio-a", count=3) if seed % 2 else list(ROOMS)
    walkers = [Walker(f"{seed}:{number}", pair, rooms) for number in range(WALKERS)]
    watching = [
        asyncio.ensure_future(follow(f"{seed}:{number}", pair, rooms, stop))
        for number in range(WATCHERS)
    ]

    await asyncio.gather(*(walker.walk() for walker in walkers))
    stop.set()
    # Wakes those that wait for a message; what walkers left behind expires meanwhile.
    async with asyncio.timeout(30):
        await asyncio.gather(*watching)

    done = sum((walker.done for walker in walkers), Counter())
    assert done.keys() >= {"granted", "SLOT_HELD", "HELD", "left", "cancelled", "half-closed"}
    await _assert_a_sound_log(store, pair[0].organization_id)


async def _assert_a_sound_log(store: redis.asyncio.Redis, organization_id: str) -> None:
    """Each change begins where the last one of the same hold ended, and no revision is missing."""
    seen = 0
    for number in range(PARTITIONS):
        before: dict[object, object] = {}
        entries: Any = await store.xrange(log_key(number))
        for revision, (identity, fields) in enumerate(entries, 1):
            assert identity == f"{revision}-0".encode()
            name = fields[b"name"].decode()
            assert name.startswith(f"{organization_id}/")
            for change in hold_changes(name, fields[b"changes"], fields[b"beside"]):
                key = (name, change.name)
                assert before.get(key) == change.before
                before[key] = change.after and change.after.span
                seen += 1
    assert seen > STEPS


async def test_a_hold_through_one_server_is_seen_through_the_other(
    pair: tuple[Client, Client],
) -> None:
    one, other = pair
    session = new_session()
    watch = other.watch()
    await watch.told()

    await one.heartbeat(session)
    assert await watch.told() == ["CHANGES", "studio-a 14:00-15:00"]
    await one.leave(session)
    assert await watch.told() == ["CHANGES", "studio-a LEFT"]


async def test_of_two_servers_that_sweep_one_tells_each_end(
    pair: tuple[Client, Client],
) -> None:
    rooms = [f"room-{number}" for number in range(40)]
    watches = [client.watch(*rooms) for client in pair]
    for watch in watches:
        await watch.told()
    stream = pair[0].hold(new_session())
    await stream.say(dict.fromkeys(rooms, (START, HOUR)))
    stream.call.cancel()

    found = []
    for watch in watches:
        ends: Counter[str] = Counter()
        while sum(ends.values()) < len(rooms):
            ends.update(text for text in await watch.told() if text.endswith("EXPIRED"))
        found.append(ends)
    await pair[0].heartbeat(new_session(), rooms[0], start=START + HOUR)
    following = [await watch.told() for watch in watches]

    assert found == [{f"{room} EXPIRED": 1 for room in rooms}] * 2
    assert following == [["CHANGES", "room-0 15:00-16:00"]] * 2


async def test_swapping_is_one_step_for_rivals_and_for_watchers(
    client: Client, serve: Serve
) -> None:
    async with serve() as other:
        await _swap_and_race(client, Client(other.channel, client.organization_id))


async def _swap_and_race(owner: Client, rival: Client) -> None:
    """A hold is swapped between two spans that overlap; a rival wants what they share."""
    watch = rival.watch()
    await watch.told()
    stream = owner.hold(new_session())
    await stream.say({"studio-a": (START, HOUR)})
    own = stream.answer.holder_id
    stop = asyncio.Event()
    outcomes: Counter[str] = Counter()

    async def race(session: str) -> None:
        while not stop.is_set():
            outcome = await rival.outcome(session, start=START + HOUR / 2, length=QUARTER)
            outcomes[outcome] += 1

    async def look() -> None:
        await watch.until("studio-a 14:00-15:00")
        while not stop.is_set():
            message = await watch.next()
            (resource,) = message.resources
            assert list(resource.ended) == []
            assert [hold.holder_id for hold in resource.holds] == [own]
            assert len(watch.holds["studio-a"]) == 1

    racing = [asyncio.ensure_future(race(new_session())) for _ in range(4)]
    looking = asyncio.ensure_future(look())
    for number in range(200):
        start = START + (number % 2) * HOUR / 2
        assert await stream.say({"studio-a": (start, HOUR)}) == {"studio-a": "HELD"}
        assert len(await rival.holds()) == 1
    stop.set()
    await asyncio.gather(*racing)
    await stream.say({"studio-a": (START - HOUR, 3 * HOUR)})
    await looking

    assert set(outcomes) == {"SLOT_HELD"}
