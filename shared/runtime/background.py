"""Work that goes on beside a block, and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

_AGAIN_SECONDS: Final = 0.5


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs coroutines as tasks until the block ends, then cancels them and waits for their end.

    A client of a store has been seen to swallow a cancellation that came as its answer did: the
    task went on for ever. So it is told again until it has ended.
    """
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        while left := [task for task in tasks if not task.done()]:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=_AGAIN_SECONDS)
        await asyncio.gather(*tasks, return_exceptions=True)
