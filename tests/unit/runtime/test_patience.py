"""One timer bounds the time of much work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from shared.runtime.failure import DeadlinePassed
from shared.runtime.patience import Patience

T = TypeVar("T")


async def for_ever() -> None:
    await asyncio.Event().wait()


async def within(patience: Patience, work: Awaitable[T]) -> T:
    """Waits for work as a call does."""
    task = patience.begin(asyncio.get_running_loop().time())
    try:
        return await work
    except asyncio.CancelledError:
        if patience.is_over(task):
            raise DeadlinePassed from None
        raise
    finally:
        patience.end(task)


async def test_work_that_is_done_in_time_is_not_disturbed() -> None:
    patience = Patience(0.02)

    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await within(patience, work()) == 7
    with pytest.raises(DeadlinePassed):
        await within(patience, for_ever())


async def test_each_is_ended_at_its_own_time() -> None:
    patience = Patience(0.05)
    loop = asyncio.get_running_loop()

    async def ended_after(pause: float) -> float:
        await asyncio.sleep(pause)
        begun = loop.time()
        with pytest.raises(DeadlinePassed):
            await within(patience, for_ever())
        return loop.time() - begun

    taken = await asyncio.gather(*(ended_after(pause) for pause in (0, 0.02, 0.04, 0.2)))

    assert all(seconds >= 0.049 for seconds in taken)


async def test_a_cancelled_caller_stays_cancelled() -> None:
    patience = Patience(60)
    task = asyncio.create_task(within(patience, for_ever()))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_caller_that_is_cancelled_when_its_time_is_over_stays_cancelled() -> None:
    patience = Patience(0.01)
    begun = asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            task.cancel()

    task = asyncio.create_task(within(patience, work()))

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nothing_is_remembered_of_what_has_ended() -> None:
    patience = Patience(0.01)
    with pytest.raises(DeadlinePassed):
        await within(patience, for_ever())
    await within(patience, asyncio.sleep(0))

    assert not patience._ends
    assert not patience._overdue
