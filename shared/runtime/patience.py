"""A bound on how long work may take, for much work at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from shared.runtime.failure import DeadlinePassed

T = TypeVar("T")


class Patience:
    """Ends what takes longer than a fixed time, with one timer for all of it.

    ``asyncio.timeout`` would make and cancel a timer for each call. Belongs to one event loop.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # In the order in which they end, since all have the same time.
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._is_looking = False

    async def within(self, work: Awaitable[T]) -> T:
        """Waits for work, in the task that runs it, and returns its result.

        Raises:
            DeadlinePassed: It took longer.
        """
        task = asyncio.current_task()
        assert task is not None  # a coroutine runs it
        loop = asyncio.get_running_loop()
        self._ends[task] = loop.time() + self._seconds
        if not self._is_looking:
            self._is_looking = True
            loop.call_later(self._seconds, self._look, loop)
        try:
            return await work
        except asyncio.CancelledError:
            # Whoever else cancelled it, too, has the last word.
            if task in self._overdue and task.uncancel() == 0:
                raise DeadlinePassed from None
            raise
        finally:
            del self._ends[task]
            self._overdue.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, end in self._ends.items():
            if end > now:
                loop.call_later(end - now, self._look, loop)
                return
            if task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
        self._is_looking = False
