from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.runtime.failure import StoreUnavailable
from shared.runtime.mailbox import Changed, Mailbox, Stale
from shared.runtime.topic import Topic, Topics

SOON = timedelta(milliseconds=20)
LATE = timedelta(seconds=60)

Room = Topic[str, int]
Box = Mailbox[str, int]


class Upstream:
    """Notes what is opened and closed, and opens when it is let."""

    def __init__(self, *, linger: timedelta = LATE) -> None:
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.lets = asyncio.Event()
        self.lets.set()
        self.fails = False
        self.topics: Topics[str, Room] = Topics(self._open, self._close, linger=linger)

    async def _open(self, key: str) -> Room:
        self.opened.append(key)
        await self.lets.wait()
        if self.fails:
            raise StoreUnavailable("no store")
        return Room(key)

    def _close(self, topic: Room) -> None:
        self.closed.append(topic.key)


async def until(fact: Callable[[], object]) -> None:
    while not fact():  # noqa: ASYNC110  # the fact has no event; the test's timeout ends a no
        await asyncio.sleep(0.001)


async def test_many_watchers_of_a_topic_open_it_once() -> None:
    upstream = Upstream()
    upstream.lets.clear()
    boxes = [Box() for _ in range(10)]

    async def follow(box: Box) -> Room:
        async with upstream.topics.subscribed(["a"], box) as topics:
            await box.take(60)
            return topics["a"]

    following = [asyncio.ensure_future(follow(box)) for box in boxes]
    await until(lambda: upstream.opened)
    upstream.lets.set()
    await until(lambda: (room := upstream.topics.get("a")) and len(room.subscribers) == 10)
    room = upstream.topics.get("a")
    assert room is not None
    room.publish(1)
    rooms = await asyncio.gather(*following)

    assert upstream.opened == ["a"]
    assert set(map(id, rooms)) == {id(room)}
    assert not room.subscribers


async def test_a_published_update_reaches_followers_of_its_topic_only() -> None:
    upstream, one, other = Upstream(), Box(), Box()
    async with (
        upstream.topics.subscribed(["a", "b"], one) as topics,
        upstream.topics.subscribed(["b"], other),
    ):
        topics["a"].publish(1)
        topics["b"].publish(2)

        assert list(topics) == ["a", "b"]
        assert [await one.take(0), await one.take(0)] == [Changed("a", 1), Changed("b", 2)]
        assert [await other.take(0), await other.take(0)] == [Changed("b", 2), None]


async def test_reset_and_failure_reach_every_follower() -> None:
    upstream, box = Upstream(), Box()
    async with upstream.topics.subscribed(["a"], box) as topics:
        topics["a"].reset()
        assert await box.take(0) == Stale(frozenset("a"), is_reset=True)

        topics["a"].fail(StoreUnavailable("gone"))
        with pytest.raises(StoreUnavailable):
            await box.take(0)


async def test_a_topic_closes_a_while_after_its_last_follower_left() -> None:
    upstream = Upstream(linger=SOON)
    async with upstream.topics.subscribed(["a"], Box()):
        async with upstream.topics.subscribed(["a"], Box()):
            pass
        await asyncio.sleep(2 * SOON.total_seconds())
        assert upstream.closed == []

    await until(lambda: upstream.closed)

    assert upstream.closed == ["a"]
    assert len(upstream.topics) == 0


async def test_who_comes_back_soon_finds_the_topic_open() -> None:
    upstream = Upstream()
    for _ in range(3):
        async with upstream.topics.subscribed(["a"], Box()):
            pass

    assert upstream.opened == ["a"]
    await upstream.topics.close()
    assert upstream.closed == ["a"]


async def test_a_failed_opening_fails_those_who_wait_and_is_tried_again_by_the_next() -> None:
    upstream = Upstream()
    upstream.fails = True
    with pytest.raises(StoreUnavailable):
        async with upstream.topics.subscribed(["a"], Box()):
            pass
    upstream.fails = False

    async with upstream.topics.subscribed(["a"], Box()):
        pass

    assert upstream.opened == ["a", "a"]


async def test_whoever_asked_first_may_leave_while_it_opens() -> None:
    upstream = Upstream()
    upstream.lets.clear()

    async def follow() -> None:
        async with upstream.topics.subscribed(["a"], Box()):
            pass

    first, second = asyncio.ensure_future(follow()), asyncio.ensure_future(follow())
    await until(lambda: upstream.opened)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    upstream.lets.set()
    await second

    assert upstream.opened == ["a"]


async def test_a_topic_opened_for_nobody_closes_too() -> None:
    upstream = Upstream(linger=SOON)
    upstream.lets.clear()

    async def follow() -> None:
        async with upstream.topics.subscribed(["a"], Box()):
            pass

    only = asyncio.ensure_future(follow())
    await until(lambda: upstream.opened)
    only.cancel()
    await asyncio.gather(only, return_exceptions=True)
    upstream.lets.set()

    await until(lambda: upstream.closed)

    assert upstream.closed == ["a"]
