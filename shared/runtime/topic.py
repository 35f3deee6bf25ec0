"""What watchers subscribe to: one upstream subscription a topic, however many they are."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Generic, TypeVar

from shared.runtime.failure import Failure
from shared.runtime.mailbox import Changed, Mailbox

KeyT = TypeVar("KeyT", bound=Hashable)
UpdateT = TypeVar("UpdateT")


class Topic(Generic[KeyT, UpdateT]):
    """One thing that changes, and the mailboxes of those who follow it.

    Services add its present state: an update is published after the state has it.
    """

    def __init__(self, key: KeyT) -> None:
        self.key = key
        self.subscribers: set[Mailbox[KeyT, UpdateT]] = set()

    def publish(self, update: UpdateT) -> None:
        """Tells every follower of an update."""
        changed = Changed(self.key, update)
        for mailbox in self.subscribers:
            mailbox.add(changed)

    def reset(self) -> None:
        """Tells every follower that the state was read anew."""
        for mailbox in self.subscribers:
            mailbox.reset(self.key)

    def fail(self, failure: Failure) -> None:
        """Ends every follower's watch."""
        for mailbox in self.subscribers:
            mailbox.fail(failure)


TopicT = TypeVar("TopicT", bound=Topic[Any, Any])


class Topics(Generic[KeyT, TopicT]):
    """The topics that somebody follows, or did a moment ago. Belongs to one event loop."""

    def __init__(
        self,
        open_topic: Callable[[KeyT], Awaitable[TopicT]],
        close_topic: Callable[[TopicT], None],
        *,
        linger: timedelta,
    ) -> None:
        """Starts without any.

        Args:
            open_topic: Subscribes upstream and reads the present state. Watchers who come
                meanwhile wait for the same call and share its failure.
            close_topic: Ends the subscription.
            linger: For how long a topic that nobody follows stays open: who resumes soon
                finds it.
        """
        self._open_topic = open_topic
        self._close_topic = close_topic
        self._linger_seconds = linger.total_seconds()
        self._open: dict[KeyT, TopicT] = {}
        self._opening: dict[KeyT, asyncio.Task[TopicT]] = {}
        self._followers: Counter[KeyT] = Counter()
        self._closing: dict[KeyT, asyncio.TimerHandle] = {}

    def __iter__(self) -> Iterator[TopicT]:
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    def get(self, key: KeyT) -> TopicT | None:
        """Returns an open topic."""
        return self._open.get(key)

    @asynccontextmanager
    async def subscribed(
        self, keys: Sequence[KeyT], mailbox: Mailbox[KeyT, Any]
    ) -> AsyncIterator[dict[KeyT, TopicT]]:
        """Subscribes a mailbox until the block ends; yields the topics in the order of keys.

        State that is read before the block's first await, and the mailbox from then on, have
        every update between them; the mailbox may have some that the state has already.

        Raises:
            Failure: A topic could not be opened.
        """
        for key in keys:
            self._followers[key] += 1
            timer = self._closing.pop(key, None)
            if timer is not None:
                timer.cancel()
        try:
            topics = {key: await self._topic(key) for key in await self._opened(keys)}
            for topic in topics.values():
                topic.subscribers.add(mailbox)
            yield topics
        finally:
            for key in keys:
                self._left(key, mailbox)

    async def close(self) -> None:
        """Ends every subscription."""
        opening = list(self._opening.values())
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        for timer in self._closing.values():
            timer.cancel()
        self._closing.clear()
        for key in list(self._open):
            self._close_topic(self._open.pop(key))

    async def _opened(self, keys: Sequence[KeyT]) -> Sequence[KeyT]:
        missing = [key for key in keys if key not in self._open]
        if missing:
            await asyncio.gather(*map(self._topic, missing))
        return keys

    async def _topic(self, key: KeyT) -> TopicT:
        topic = self._open.get(key)
        if topic is not None:
            return topic
        task = self._opening.get(key)
        if task is None:
            task = self._opening[key] = asyncio.create_task(self._opened_now(key))
            task.add_done_callback(_seen)
        # Whoever asked first may leave: the others still wait.
        return await asyncio.shield(task)

    async def _opened_now(self, key: KeyT) -> TopicT:
        try:
            topic = await self._open_topic(key)
            self._open[key] = topic
        finally:
            del self._opening[key]
        if not self._followers[key]:
            self._close_soon(key)
        return topic

    def _left(self, key: KeyT, mailbox: Mailbox[KeyT, Any]) -> None:
        topic = self._open.get(key)
        if topic is not None:
            topic.subscribers.discard(mailbox)
        self._followers[key] -= 1
        if not self._followers[key]:
            del self._followers[key]
            if topic is not None:
                self._close_soon(key)

    def _close_soon(self, key: KeyT) -> None:
        loop = asyncio.get_running_loop()
        self._closing[key] = loop.call_later(self._linger_seconds, self._close_now, key)

    def _close_now(self, key: KeyT) -> None:
        del self._closing[key]
        self._close_topic(self._open.pop(key))


def _seen(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # whoever would have seen it may be gone
