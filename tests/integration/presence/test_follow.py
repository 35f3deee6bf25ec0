"""Watches that begin amid the reading of a log, at its worst moments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count

import pytest
import redis

from services.presence.app.follow import HoldFollower
from services.presence.app.mirror import HoldTopic, HoldUpdate
from services.presence.app.watch import WatchHolds
from services.presence.domain.change import History, LogEntry, Snapshot
from services.presence.domain.hold import HoldKey, HoldTerms, ResourceName, holder_of
from services.presence.storage.hold import RedisHolds
from services.presence.storage.layout import partition
from services.presence.storage.log import RedisHoldLog
from services.presence.storage.server import HoldServer
from services.presence.storage.tail import RedisLogTail
from shared.runtime.mailbox import Changed, Mailbox, Stale
from shared.slots.quantum import Span
from tests.integration.presence.conftest import keep

STUDIO = ResourceName("org", "studio-a")
TWIN = next(
    name
    for name in (ResourceName("org", f"room-{number}") for number in count())
    if partition(name) == partition(STUDIO)
)
HOLDER = holder_of("org", "a-session-of-22-letters")
TERMS = HoldTerms(timedelta(seconds=60), 100)

_Box = Mailbox[ResourceName, HoldUpdate]


class Gate:
    """Holds an answer back: it has been read, and has not arrived."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.has_read = asyncio.Event()

    def shut(self) -> None:
        self.has_read.clear()
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def passed(self) -> None:
        self.has_read.set()
        await self._open.wait()


class GatedLog(RedisHoldLog):
    def __init__(self, server: HoldServer) -> None:
        super().__init__(server, TERMS, log_length=10_000)
        self.gate = Gate()
        self.before_since: Callable[[], Awaitable[None]] | None = None

    async def since(self, revisions: Mapping[ResourceName, int]) -> dict[ResourceName, History]:
        if self.before_since is not None:
            await self.before_since()
        return await super().since(revisions)

    async def snapshot(self, resources: Iterable[ResourceName]) -> dict[ResourceName, Snapshot]:
        found = await super().snapshot(resources)
        await self.gate.passed()
        return found


class GatedTail(RedisLogTail):
    def __init__(self, url: str) -> None:
        super().__init__(url, patience=timedelta(seconds=5), wait=timedelta(milliseconds=20))
        self.gate = Gate()

    async def read(self, revisions: Mapping[int, int]) -> list[tuple[int, LogEntry]]:
        found = await super().read(revisions)
        await self.gate.passed()
        return found


class Following:
    """A follower, of which a test says when it reads."""

    def __init__(self, server: HoldServer, url: str) -> None:
        self.log = GatedLog(server)
        self.tail = GatedTail(url)
        self.holds = RedisHolds(server, TERMS, log_length=10_000)
        self.follower = HoldFollower(
            self.log, self.tail, patience=timedelta(seconds=5), linger=timedelta(0)
        )
        self._hold_ids = count()

    async def change(self, resource: ResourceName) -> None:
        """Takes one more hold."""
        number = next(self._hold_ids)
        key = HoldKey(HOLDER, resource.resource_id, f"h{number}")
        await keep(self.holds, key, Span(1_000 + number, 1_001 + number))

    @asynccontextmanager
    async def watched(self, resource: ResourceName) -> AsyncIterator[tuple[HoldTopic, _Box]]:
        mailbox = _Box()
        async with self.follower.topics.subscribed([resource], mailbox) as topics:
            yield topics[resource], mailbox


@pytest.fixture
async def following(server: HoldServer, valkey_url: str) -> AsyncIterator[Following]:
    following = Following(server, valkey_url)
    yield following
    await following.follower.close()
    await following.tail.close()


async def taken(mailbox: _Box) -> list[int]:
    """The revisions that wait in a mailbox."""
    found = []
    while (what := await mailbox.take(0)) is not None:
        assert isinstance(what, Changed)
        found.append(what.update.position.revision)
    return found


async def test_changes_are_told_once_and_in_order(following: Following) -> None:
    async with following.watched(STUDIO) as (topic, mailbox):
        for _ in range(3):
            await following.change(STUDIO)
            await following.change(TWIN)
        for _ in range(3):
            await following.follower.round()

        assert await taken(mailbox) == [1, 3, 5]
        assert len(topic.holds) == 3
        assert following.follower.covered(topic).revision == 6


async def test_a_store_emptied_while_a_watch_resumes_is_no_resumption(
    following: Following, store: redis.Redis
) -> None:
    watch = WatchHolds(following.follower, following.log)
    async with following.watched(STUDIO) as (topic, _):
        await following.change(STUDIO)
        await following.follower.round()
        told = {STUDIO: topic.position}

        async def start_anew() -> None:
            store.flushall()
            await following.change(TWIN)
            while topic.position.epoch == told[STUDIO].epoch:
                await following.follower.round()

        following.log.before_since = start_anew
        async with watch([STUDIO], told, Mailbox()) as beginning:
            assert not beginning.resumed
            assert topic.position.epoch > told[STUDIO].epoch


async def test_a_snapshot_that_arrives_after_what_came_after_it_misses_nothing(
    following: Following,
) -> None:
    async with following.watched(STUDIO) as (_, old):
        following.log.gate.shut()
        opening = following.watched(TWIN)
        entering = asyncio.ensure_future(opening.__aenter__())
        await following.log.gate.has_read.wait()
        await following.change(TWIN)
        await following.change(STUDIO)
        await following.follower.round()
        following.log.gate.open()
        topic, new = await entering

        assert following.follower.covered(topic).revision == 0
        await following.follower.round()

        assert await taken(new) == [1]
        assert await taken(old) == [2]
        assert following.follower.covered(topic).revision == 2
        await opening.__aexit__(None, None, None)


async def test_a_topic_opened_amid_a_reading_gets_no_change_before_an_earlier_one(
    following: Following,
) -> None:
    async with following.watched(STUDIO) as (_, old):
        following.log.gate.shut()
        opening = following.watched(TWIN)
        entering = asyncio.ensure_future(opening.__aenter__())
        await following.log.gate.has_read.wait()
        await following.change(TWIN)
        await following.follower.round()
        await following.change(TWIN)
        await following.change(STUDIO)
        following.tail.gate.shut()
        reading = asyncio.ensure_future(following.follower.round())
        await following.tail.gate.has_read.wait()
        following.log.gate.open()
        topic, new = await entering
        following.tail.gate.open()
        await reading

        await following.follower.round()

        assert await taken(new) == [1, 2]
        assert await taken(old) == [3]
        assert len(topic.holds) == 2
        await opening.__aexit__(None, None, None)


async def test_a_topic_newer_than_a_reading_skips_what_it_has(following: Following) -> None:
    async with following.watched(STUDIO):
        await following.change(TWIN)
        following.tail.gate.shut()
        reading = asyncio.ensure_future(following.follower.round())
        await following.tail.gate.has_read.wait()
        await following.change(TWIN)
        async with following.watched(TWIN) as (topic, new):
            following.tail.gate.open()
            await reading
            await following.change(TWIN)
            for _ in range(2):
                await following.follower.round()

            assert await taken(new) == [3]
            assert len(topic.holds) == 3


async def test_a_store_emptied_amid_a_reading_is_noticed(
    following: Following, store: redis.Redis
) -> None:
    async with following.watched(STUDIO) as (topic, mailbox):
        await following.change(STUDIO)
        await following.follower.round()
        assert await taken(mailbox) == [1]

        store.flushall()
        for _ in range(3):
            await following.change(STUDIO)
        for _ in range(3):
            await following.follower.round()

        assert await mailbox.take(0) == Stale(frozenset({STUDIO}), is_reset=True)
        assert await taken(mailbox) == []
        assert len(topic.holds) == 3
