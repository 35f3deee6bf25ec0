"""Work that goes on for as long as the service runs."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from shared.runtime.failure import StoreUnavailable

_PAUSE_AFTER_FAILURE_SECONDS: Final = 0.1
# Servers that were started together must not come to the store together for ever.
_JITTER: Final = 0.2

logger = logging.getLogger("holdfast.presence.loop")


@asynccontextmanager
async def repeated(
    name: str, work: Callable[[], Awaitable[None]], pause: timedelta
) -> AsyncIterator[None]:
    """Does ``work`` again and again until the block ends.

    Nothing that goes wrong ends it. A store that is down is no news here: whoever asks it says
    so once. A bug is logged when it shows, and not again before a round went well.
    """
    ended = asyncio.Event()
    task = asyncio.create_task(_rounds(name, work, pause.total_seconds(), ended))
    try:
        yield
    finally:
        # The store's client has been seen to swallow a cancellation: then the round ends, and
        # no other may begin.
        ended.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _rounds(
    name: str, work: Callable[[], Awaitable[None]], seconds: float, ended: asyncio.Event
) -> None:
    failed = False
    while not ended.is_set():
        pause = seconds
        try:
            await work()
            failed = False
        except StoreUnavailable:
            pause = max(seconds, _PAUSE_AFTER_FAILURE_SECONDS)
        except Exception:
            pause = max(seconds, _PAUSE_AFTER_FAILURE_SECONDS)
            if not failed:
                logger.exception("a bug failed a round", extra={"loop": name})
            failed = True
        await asyncio.sleep(pause * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311  # no secret
