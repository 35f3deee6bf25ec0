from __future__ import annotations

import asyncio

from shared.runtime.background import running


async def test_work_runs_beside_the_block_and_ends_with_it() -> None:
    ended = asyncio.Event()
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with running(work()):
        await began.wait()
        assert not ended.is_set()

    assert ended.is_set()


async def test_work_that_swallows_a_cancellation_is_told_again() -> None:
    swallowed = 0

    async def work() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if swallowed == 1:
                    raise
                swallowed += 1

    async with running(work()):
        await asyncio.sleep(0)

    assert swallowed == 1


async def test_work_that_failed_does_not_disturb_the_end() -> None:
    async def work() -> None:
        raise KeyError

    async with running(work()):
        await asyncio.sleep(0)
