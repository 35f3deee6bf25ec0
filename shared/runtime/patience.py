"""A bound on how long work may take, for much work at once."""

from __future__ import annotations

import asyncio
from typing import Any


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

    def begin(self, now: float) -> asyncio.Task[Any]:
        """Bounds what the current task is about to do, and returns it; ``end`` must follow.

        Args:
            now: By its loop's clock.
        """
        task = asyncio.current_task()
        assert task is not None  # a coroutine runs in one
        self._ends[task] = now + self._seconds
        if not self._is_looking:
            self._is_looking = True
            loop = task.get_loop()
            loop.call_later(self._seconds, self._look, loop)
        return task

    def is_over(self, task: asyncio.Task[Any]) -> bool:
        """Tells a task that was cancelled whether that was for its time alone, and takes it back.

        Whoever else cancelled it, too, has the last word.
        """
        return task in self._overdue and task.uncancel() == 0

    def end(self, task: asyncio.Task[Any]) -> None:
        """Lets go of a task."""
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
