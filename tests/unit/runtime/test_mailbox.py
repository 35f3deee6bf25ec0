from __future__ import annotations

import asyncio

import pytest

from shared.runtime.failure import Failure, StoreUnavailable
from shared.runtime.mailbox import Changed, Mailbox, Stale

MOMENT = 0.01
LONG = 30.0

Box = Mailbox[str, int]


async def test_updates_come_in_their_order() -> None:
    box = Box()
    box.put("a", 1)
    box.put("b", 2)
    box.put("a", 3)

    taken = [await box.take(0) for _ in range(4)]

    assert taken == [Changed("a", 1), Changed("b", 2), Changed("a", 3), None]


async def test_nothing_for_a_while_is_none() -> None:
    assert await Box().take(MOMENT) is None


async def test_whoever_waits_gets_the_update_that_comes() -> None:
    box = Box()
    waiting = asyncio.ensure_future(box.take(LONG))
    await asyncio.sleep(0)

    box.put("a", 1)

    assert await waiting == Changed("a", 1)


async def test_past_the_limit_topics_are_stale_and_memory_stays_bounded() -> None:
    box = Box(limit=3)
    for number in range(1000):
        box.put("ab"[number % 2], number)

    assert await box.take(0) == Stale(frozenset("ab"), is_reset=False)
    assert await box.take(0) is None


async def test_a_topic_that_was_not_flooded_goes_on_with_its_updates() -> None:
    box = Box(limit=2)
    for number in range(3):
        box.put("flooded", number)
    box.put("calm", 7)

    assert await box.take(0) == Stale(frozenset({"flooded"}), is_reset=False)
    assert await box.take(0) == Changed("calm", 7)


async def test_updates_after_a_stale_topic_was_taken_come_again() -> None:
    box = Box(limit=1)
    box.put("a", 1)
    box.put("a", 2)
    await box.take(0)

    box.put("a", 3)

    assert await box.take(0) == Changed("a", 3)


async def test_a_reset_drops_older_updates_of_its_topic_only() -> None:
    box = Box()
    box.put("a", 1)
    box.put("b", 2)
    box.reset("a")
    box.put("a", 3)

    taken = [await box.take(0) for _ in range(3)]

    assert taken == [Stale(frozenset("a"), is_reset=True), Changed("b", 2), None]


async def test_a_reset_of_a_stale_topic_is_told_once_as_a_reset() -> None:
    box = Box(limit=1)
    box.put("a", 1)
    box.put("a", 2)
    box.reset("a")

    assert await box.take(0) == Stale(frozenset("a"), is_reset=True)
    assert await box.take(0) is None


async def test_a_failure_ends_the_waiting_and_every_later_take() -> None:
    box = Box()
    waiting = asyncio.ensure_future(box.take(LONG))
    await asyncio.sleep(0)
    box.fail(StoreUnavailable("gone"))

    with pytest.raises(StoreUnavailable):
        await waiting
    with pytest.raises(Failure):
        await box.take(0)


async def test_a_cancelled_taker_loses_nothing() -> None:
    box = Box()
    waiting = asyncio.ensure_future(box.take(LONG))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    box.put("a", 1)

    assert await box.take(0) == Changed("a", 1)


async def test_a_listener_is_called_at_each_update_and_once_resets_are_complete() -> None:
    box, found = Box(), []
    box.listen(lambda: found.append(box.next()))

    box.put("a", 1)
    assert found == [Changed("a", 1)]
    box.reset("a")
    box.reset("b")
    assert len(found) == 1
    await asyncio.sleep(0)

    assert found[1] == Stale(frozenset("ab"), is_reset=True)


async def test_who_listens_no_more_is_not_called_for_what_came_before() -> None:
    box, calls = Box(), []
    box.listen(lambda: calls.append(1))
    box.reset("a")
    box.listen(None)

    await asyncio.sleep(0)

    assert not calls
