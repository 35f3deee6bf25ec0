"""What one watcher has not been told yet: bounded, however slowly it reads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final, Generic, NamedTuple, TypeVar

from shared.runtime.failure import Failure

TopicT = TypeVar("TopicT", bound=Hashable)
UpdateT = TypeVar("UpdateT")

_LIMIT: Final = 64


class Changed(NamedTuple, Generic[TopicT, UpdateT]):
    """One update of a topic."""

    topic: TopicT
    update: UpdateT


class Stale(NamedTuple, Generic[TopicT]):
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
    to one event loop; one taker.
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
        self._listener: Callable[[], None] | None = None

    def put(self, topic: TopicT, update: UpdateT) -> None:
        """Adds an update; never waits."""
        self.add(Changed(topic, update))

    def add(self, changed: Changed[TopicT, UpdateT]) -> None:
        """Adds an update that other mailboxes get, too; never waits."""
        if (self._stale or self._reset) and self._is_told_anyway(changed.topic):
            return
        if len(self._waiting) < self._limit:
            self._waiting.append(changed)
        else:
            self._stale.update(waiting.topic for waiting in self._waiting)
            self._stale.add(changed.topic)
            self._waiting.clear()
        if self._listener is not None:
            self._listener()

    def reset(self, topic: TopicT) -> None:
        """Tells that what is known of a topic may be wrong, waiting updates included."""
        self._waiting = deque(changed for changed in self._waiting if changed.topic != topic)
        self._stale.discard(topic)
        self._reset.add(topic)
        self._wake_soon()

    def fail(self, failure: Failure) -> None:
        """Ends the watch: what still waits is not told any more."""
        self._failure = failure
        self._wake_soon()

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Has the taker called when something may have come; None for nobody.

        At an update it is called before ``put`` returns; topics that are reset together are
        found together.
        """
        self._listener = listener

    def next(self) -> Changed[TopicT, UpdateT] | Stale[TopicT] | None:
        """Returns what comes next, or None when nothing has come.

        What is stale comes first. No update of it is older than the state that the caller
        reads before its next await.

        Raises:
            Failure: The one that ``fail`` was given.
        """
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

    async def take(self, seconds: float) -> Changed[TopicT, UpdateT] | Stale[TopicT] | None:
        """Returns as ``next`` does, but waits ``seconds`` for something to come.

        Raises:
            Failure: The one that ``fail`` was given.
        """
        found = self.next()
        if found is None and seconds > 0:
            loop = asyncio.get_running_loop()
            wanted: asyncio.Future[None] = loop.create_future()
            timer = loop.call_later(seconds, _resolve, wanted)
            self.listen(lambda: _resolve(wanted))
            try:
                await wanted
            finally:
                self.listen(None)
                timer.cancel()
            found = self.next()
        return found

    def _is_told_anyway(self, topic: TopicT) -> bool:
        """Whoever is told a topic's state is told its latest update, too."""
        return topic in self._stale or topic in self._reset

    def _wake_soon(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        if self._listener is not None:
            self._listener()


def _resolve(wanted: asyncio.Future[None]) -> None:
    if not wanted.done():
        wanted.set_result(None)
