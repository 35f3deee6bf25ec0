"""Rounds go on whatever happens in them, and end when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from services.presence.app.loop import repeated
from shared.runtime.failure import StoreUnavailable

AT_ONCE = timedelta(0)


class Work:
    """Does for each round what it is told, then waits for ever."""

    def __init__(self, *rounds: Exception | None) -> None:
        self.left = list(rounds)
        self.is_done = asyncio.Event()

    async def __call__(self) -> None:
        if not self.left:
            self.is_done.set()
            await asyncio.Event().wait()
        outcome = self.left.pop(0)
        if outcome is not None:
            raise outcome


async def run(work: Callable[[], Awaitable[None]], is_done: asyncio.Event) -> None:
    async with asyncio.timeout(10), repeated("test", work, AT_ONCE):
        await is_done.wait()


async def test_an_outage_ends_nothing_and_is_not_logged_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work(None, StoreUnavailable("away"), StoreUnavailable("away"), None)

    await run(work, work.is_done)

    assert caplog.records == []


async def test_a_bug_ends_nothing_and_is_logged_until_it_is_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work(KeyError("bug"), KeyError("bug"), None, ValueError("another"))

    await run(work, work.is_done)

    assert [record.message for record in caplog.records] == ["a bug failed a round"] * 2
    assert {record.levelname for record in caplog.records} == {"ERROR"}


async def test_a_round_that_swallows_its_cancellation_is_the_last_one() -> None:
    is_begun, rounds = asyncio.Event(), 0

    async def swallow() -> None:
        nonlocal rounds
        rounds += 1
        is_begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    await run(swallow, is_begun)

    assert rounds == 1


async def test_a_failed_round_is_not_repeated_at_once() -> None:
    work = Work(*[StoreUnavailable("away")] * 3)
    now = asyncio.get_running_loop().time
    begun = now()

    await run(work, work.is_done)

    assert now() - begun > 0.2
