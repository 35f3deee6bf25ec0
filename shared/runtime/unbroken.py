"""Work that must end although its caller is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


class Unbroken:
    """Runs work to its end whatever becomes of those who wait for it.

    A statement cut off in the middle costs a connection, and a commit cut off leaves nobody
    knowing whether it happened. The work must be bounded by limits of its own.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Future[Any]] = set()

    async def __call__(self, work: Awaitable[T]) -> T:
        """Waits for ``work`` and returns its result; a cancelled caller leaves it running."""
        future = asyncio.ensure_future(work)
        self._running.add(future)
        future.add_done_callback(self._ended)
        return await asyncio.shield(future)

    async def finish(self, seconds: float) -> None:
        """Waits for what still runs, at most ``seconds``."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    def _ended(self, future: asyncio.Future[Any]) -> None:
        self._running.discard(future)
        if not future.cancelled():
            future.exception()  # seen: whoever would have seen it may be gone
