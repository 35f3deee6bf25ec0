"""Random interleavings of reads, watches, commits and losses against a sequential model."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from holdfast.availability.v1 import availability_pb2 as pb
from holdfast.common.v1 import watch_pb2
from services.availability.app import day_feed
from services.availability.app.day_feed import DayFeed
from services.availability.domain.claim import FREE, DayState
from services.availability.domain.day_bytes import from_bytes
from services.availability.domain.day_change import ChangedDay, DayChange
from services.availability.rpc.watch import DaysView, days_watch
from shared.runtime.mailbox import Changed, Mailbox
from shared.slots.quantum import day_date, day_number
from tests.unit.availability.store_model import (
    ORGANIZATION,
    DayKey,
    StillClock,
    StoreModel,
    following,
)

FIRST = 20_000
NAMES = ("a", "b")
DAYS = range(FIRST, FIRST + 4)
STEPS = 200


def civil(number: int) -> dict[str, int]:
    day = day_date(number)
    return {"year": day.year, "month": day.month, "day": day.day}


def key_of(day: pb.Day) -> DayKey:
    return day.resource_id, day_number(
        day_date(0).replace(day.date.year, day.date.month, day.date.day)
    )


class World:
    """A store, a feed over it, and what has to be seen at least."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.clock = StillClock()
        self.store = StoreModel()
        self.store.jitter = source
        self.store.page_size = source.choice((1, 2, 1_000))
        self.own: dict[DayKey, int] = {}  # the versions of own, acknowledged commits
        self.log: list[tuple[float, int]] = []  # when which number was committed

    def commit(self) -> list[ChangedDay]:
        keys = [(name, day) for name in NAMES for day in DAYS]
        chosen = self.source.sample(keys, self.source.randrange(1, 4))
        changed = self.store.commit(chosen, 1 << self.source.randrange(96))
        self.log.append((self.clock.now, self.store.number()))
        return changed

    def must_be_seen(self) -> dict[DayKey, int]:
        """The versions that a read which begins now must see."""
        settled = max((number for at, number in self.log if at <= self.clock.now - 1), default=0)
        least = {key: state.version for key, state in self.store.state_at(settled).items()}
        return least | {key: max(number, least.get(key, 0)) for key, number in self.own.items()}


async def pause(source: random.Random) -> None:
    for _ in range(source.randrange(6)):
        await asyncio.sleep(0)


async def book(world: World, feed: DayFeed) -> None:
    """Commits here, and reads it back at once."""
    changed = world.commit()
    await pause(world.source)
    feed.note(ORGANIZATION, changed)
    for name, day, state in changed:
        world.own[name, day] = max(state.version, world.own.get((name, day), 0))
    await read(world, feed)


async def read(world: World, feed: DayFeed) -> None:
    names = world.source.sample(NAMES, world.source.randrange(1, 3))
    first = world.source.choice(DAYS)
    days = range(first, world.source.randrange(first, DAYS.stop) + 1)
    least = world.must_be_seen()
    if len(names) == 1:
        states = await feed.of_resource(ORGANIZATION, names[0], days)
        found = {names[0]: states}
    else:
        found = {**await feed.of_resources(ORGANIZATION, names, days)}
    states_at = [world.store.state_at(n) for n in range(world.store.number() + 1)]
    for name in names:
        for day in days:
            state = found[name][day]
            assert state.version >= least.get((name, day), 0)
            assert state == states_at[state.version].get((name, day), FREE)


def fold(state: dict[DayKey, DayState], message: pb.WatchDaysResponse) -> dict[DayKey, DayState]:
    told = {key_of(day): DayState(from_bytes(day.busy), day.version) for day in message.days}
    if message.event in {watch_pb2.WATCH_EVENT_SNAPSHOT, watch_pb2.WATCH_EVENT_RESET}:
        assert len(told) == len(NAMES) * len(DAYS)
        return told
    return state | told


def free_left_out(state: dict[DayKey, DayState]) -> dict[DayKey, DayState]:
    return {key: value for key, value in state.items() if value != FREE}


async def watch(world: World, feed: DayFeed, done: asyncio.Event) -> None:
    """Watches again and again, slowly at times; at each message the state is that version's."""
    token = b""
    state: dict[DayKey, DayState] = {}
    version = 0
    while True:
        request = pb.WatchDaysRequest(
            organization_id=ORGANIZATION,
            resource_ids=NAMES,
            dates=[civil(day) for day in DAYS],
            resume_token=token,
        )
        asked = days_watch(request)
        mailbox = Mailbox[str, DayChange](limit=world.source.choice((1, 3, 64)))
        at_least = asked.resumed.revision if asked.resumed else 0
        wanted = dict.fromkeys(NAMES, asked.days)
        async with feed.watched(ORGANIZATION, wanted, mailbox, at_least=at_least) as known:
            view = DaysView(asked, known)
            for raw in messages(view.opening()):
                assert not token or raw.event != watch_pb2.WATCH_EVENT_RESET
                state, version, token = checked(world, state, version, raw)
            for _ in range(world.source.randrange(40)):
                found = await mailbox.take(0)
                if isinstance(found, Changed):
                    raws = [view.changed(found.topic, found.update)]
                elif found is not None:
                    raws = [view.retold(found.topics, is_reset=found.is_reset)]
                else:
                    raws = [view.bookmark()]
                for raw in messages(raws):
                    state, version, token = checked(world, state, version, raw)
                await pause(world.source)
            if done.is_set() and version == world.store.number():
                break
    assert free_left_out(state) == world.store.state_at(world.store.number())


def messages(raws: Iterable[bytes | None]) -> list[pb.WatchDaysResponse]:
    return [pb.WatchDaysResponse.FromString(raw) for raw in raws if raw is not None]


def checked(
    world: World, state: dict[DayKey, DayState], version: int, message: pb.WatchDaysResponse
) -> tuple[dict[DayKey, DayState], int, bytes]:
    assert message.version >= version
    if message.event == watch_pb2.WATCH_EVENT_CHANGES:
        assert message.after_version == version
    state = fold(state, message)
    assert free_left_out(state) == world.store.state_at(message.version)
    return state, message.version, message.resume_token


@pytest.mark.parametrize("seed", range(12))
async def test_reads_and_watches_agree_with_the_store_however_they_interleave(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_feed, "_PAUSE_SECONDS", 0)
    source = random.Random(seed)
    world = World(source)
    done = asyncio.Event()
    most = source.choice((1, 4, 1_000))
    async with following(world.store, world.clock, most=most) as feed, AsyncExitStack() as stack:
        watching = [asyncio.create_task(watch(world, feed, done)) for _ in range(3)]
        stack.callback(lambda: [task.cancel() for task in watching])
        others: set[asyncio.Task[Any]] = set()
        for _ in range(STEPS):
            act = source.choice((commit_elsewhere, book, read, read, read))
            others.add(asyncio.create_task(act(world, feed)))
            world.clock.now += source.choice((0, 0, 0.01, 0.3))
            await pause(source)
            for task in [*others, *watching]:
                if task.done():
                    await task
                    others.discard(task)
        await asyncio.gather(*others)
        done.set()
        async with asyncio.timeout(30):
            while not all(task.done() for task in watching):
                feed.ring(ORGANIZATION)
                await asyncio.sleep(0)
        await asyncio.gather(*watching)


async def commit_elsewhere(world: World, feed: DayFeed) -> None:
    """What another server does: heard of by a notice, or not."""
    world.commit()
    if world.source.random() < 0.5:
        await pause(world.source)
        feed.ring(ORGANIZATION)
