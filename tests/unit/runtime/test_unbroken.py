from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from shared.runtime.unbroken import Unbroken


async def test_the_caller_gets_the_result_or_the_error() -> None:
    async def five() -> int:
        return 5

    async def fails() -> None:
        raise LookupError

    assert await Unbroken()(five()) == 5
    with pytest.raises(LookupError):
        await Unbroken()(fails())


async def test_work_ends_though_its_caller_is_cancelled_and_nobody_complains() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    unbroken = Unbroken()
    release, begun, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await release.wait()
        ended.set()
        raise LookupError

    caller = asyncio.create_task(unbroken(work()))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    release.set()
    await unbroken.finish(5)
    gc.collect()

    assert ended.is_set()
    assert complaints == []
    asyncio.get_running_loop().set_exception_handler(None)


async def test_finish_gives_up_in_time() -> None:
    unbroken = Unbroken()
    release = asyncio.Event()
    caller = asyncio.create_task(unbroken(release.wait()))
    await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await unbroken.finish(0.01)

    assert not caller.done()
    release.set()
    assert await caller
