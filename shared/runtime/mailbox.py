"""What one watcher has not been told yet: bounded, however slowly it reads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from shared.runtime.failure import Failure

TopicT = TypeVar("TopicT", bound=Hashable)
UpdateT = TypeVar("UpdateT")

_LIMIT: Final = 64


@dataclass(frozen=True, slots=True)
class Changed(Generic[TopicT, UpdateT]):
    """One update of a topic."""

    topic: TopicT
    update: UpdateT


@dataclass(frozen=True, slots=True)
class Stale(Generic[TopicT]):
    """Topics whose updates are not told one by one, but by their state as it is now.

    Attributes:
        topics: Which.
        is_reset: Whether updates may be lost for everybody, not only dropped for this watcher.
    """

    topics: frozenset[TopicT]
    is_reset: bool


class Mailbox(Generic[TopicT, UpdateT]):
    """Updates in their order, as long as few wait; past that, only which topics changed.

    A watcher that stopped reading costs its own few updates and nobody else anything. Belongs
    to one event loop; one task takes.
    """

    def __init__(self, *, limit: int = _LIMIT) -> None:
        """Starts empty.

        Args:
            limit: Updates that may wait.
        """
        self._limit = limit
        self._waiting: deque[Changed[TopicT, UpdateT]] = deque()
        self._stale: set[TopicT] = set()
        self._reset: set[TopicT] = set()
        self._failure: Failure | None = None
        self._wanted: asyncio.Future[None] | None = None

    def put(self, topic: TopicT, update: UpdateT) -> None:
        """Adds an update; never waits."""
        if topic in self._stale or topic in self._reset:
            return  # whoever is told its state is told this, too
        if len(self._waiting) < self._limit:
            self._waiting.append(Changed(topic, update))
        else:
            self._stale.update(changed.topic for changed in self._waiting)
            self._stale.add(topic)
            self._waiting.clear()
        self._wake()

    def reset(self, topic: TopicT) -> None:
        """Tells that what is known of a topic may be wrong, waiting updates included."""
        self._waiting = deque(changed for changed in self._waiting if changed.topic != topic)
        self._stale.discard(topic)
        self._reset.add(topic)
        self._wake()

    def fail(self, failure: Failure) -> None:
        """Ends the watch: what still waits is not told any more."""
        self._failure = failure
        self._wake()

    async def take(self, seconds: float) -> Changed[TopicT, UpdateT] | Stale[TopicT] | None:
        """Returns what comes next, or None when nothing came within ``seconds``.

        What is stale comes first. No update of it is older than the state that the caller
        reads before its next await.

        Raises:
            Failure: The one that ``fail`` was given.
        """
        found = self._next()
        if found is None and seconds > 0:
            loop = asyncio.get_running_loop()
            wanted = self._wanted = loop.create_future()
            timer = loop.call_later(seconds, self._wake)
            try:
                await wanted
            finally:
                self._wanted = None
                timer.cancel()
            found = self._next()
        return found

    def _next(self) -> Changed[TopicT, UpdateT] | Stale[TopicT] | None:
        if self._failure is not None:
            # Many watchers raise the same one: it must not collect their tracebacks.
            raise self._failure.with_traceback(None)
        if self._reset:
            topics, self._reset = frozenset(self._reset), set()
            return Stale(topics, is_reset=True)
        if self._stale:
            topics, self._stale = frozenset(self._stale), set()
            return Stale(topics, is_reset=False)
        return self._waiting.popleft() if self._waiting else None

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)
