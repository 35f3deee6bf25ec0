"""One watcher's stream: writes in the turn of whoever publishes, without a task of its own.

With a task for each watcher, every message would wake it twice: to find what came, and when it
was written. That, a timer around each write and one around each wait took as much time as gRPC
itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Hashable, Iterable
from types import TracebackType
from typing import Any, Final, Generic, Protocol, Self, TypeVar

from shared.runtime.call import Context
from shared.runtime.failure import ReaderTooSlow
from shared.runtime.mailbox import Changed, Mailbox, Stale

TopicT = TypeVar("TopicT", bound=Hashable)
UpdateT = TypeVar("UpdateT")
_Topic_contra = TypeVar("_Topic_contra", bound=Hashable, contravariant=True)
_Update_contra = TypeVar("_Update_contra", contravariant=True)

# After a message that took long, a bookmark may be late by one look.
_LOOKS_A_BOOKMARK: Final = 8


class WatchView(Protocol[_Topic_contra, _Update_contra]):
    """What one watcher sees of its topics, as encoded messages.

    None of these waits for anything, so that state and mailbox cannot part meanwhile.
    """

    def opening(self) -> Iterable[bytes]:
        """The first messages: the state, or what changed since a resume token."""

    def changed(self, topic: _Topic_contra, update: _Update_contra, /) -> bytes | None:
        """An update, or None where it is none of the watcher's, or was told already."""

    def retold(self, topics: Collection[_Topic_contra], /, *, is_reset: bool) -> bytes:
        """The present state of some topics."""

    def bookmark(self) -> bytes:
        """That nothing changed."""


class WatchStream(Generic[TopicT, UpdateT]):
    """Writes what the mailbox gets, one message after the other, while its block lasts.

    Attributes:
        ended: Set when the stream cannot go on, with the reason; it never does without one.
    """

    def __init__(
        self,
        context: Context,
        mailbox: Mailbox[TopicT, UpdateT],
        view: WatchView[TopicT, UpdateT],
        *,
        bookmark_seconds: float,
        write_seconds: float,
    ) -> None:
        """As ``serve_watch``; writes nothing yet."""
        self._write: Any = context.write
        self._mailbox = mailbox
        self._view = view
        self._bookmark_seconds = bookmark_seconds
        self._write_seconds = write_seconds
        self._loop = loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._opening = iter(view.opening())
        self._under_way: Coroutine[Any, Any, None] | None = None
        self._now = loop.time
        self._written_at = loop.time()
        # One for all messages, moved when it fires.
        self._timer = loop.call_later(bookmark_seconds / _LOOKS_A_BOOKMARK, self._look)

    def __enter__(self) -> Self:
        self._mailbox.listen(self._go_on)
        self._go_on()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._mailbox.listen(None)
        self._timer.cancel()
        if self._under_way is not None:
            self._under_way.close()
            self._under_way = None
        if not self.ended.cancel() and not self.ended.cancelled():
            self.ended.exception()  # seen: the call may have been cancelled meanwhile

    def _go_on(self) -> None:
        """Writes what there is, unless a message is under way."""
        if self._under_way is not None or self.ended.done():
            return
        try:
            for message in self._opening:
                if self._begins(self._write(message)):
                    return
            while (found := self._mailbox.next()) is not None:
                told = self._told(found)
                if told is not None and self._begins(self._write(told)):
                    return
        except BaseException as failure:  # noqa: BLE001  # raised by whoever awaits the end
            self.ended.set_exception(failure)

    def _told(self, found: Changed[TopicT, UpdateT] | Stale[TopicT]) -> bytes | None:
        if isinstance(found, Changed):
            return self._view.changed(found.topic, found.update)
        return self._view.retold(found.topics, is_reset=found.is_reset)

    def _begins(self, write: Coroutine[Any, Any, None]) -> bool:
        """Starts a write as a task would; tells whether it is under way."""
        self._written_at = self._now()
        return self._goes_on(write)

    def _goes_on(self, write: Coroutine[Any, Any, None]) -> bool:
        try:
            future = write.send(None)
        except StopIteration:
            return False
        future._asyncio_future_blocking = False  # noqa: SLF001  # as a task answers a future
        self._under_way = write
        future.add_done_callback(self._end)
        return True

    def _end(self, written: asyncio.Future[Any]) -> None:
        write, self._under_way = self._under_way, None
        if write is None or self.ended.done():
            if not written.cancelled():
                written.exception()  # seen: the caller is gone, and so may the connection be
            return
        try:
            is_under_way = self._goes_on(write)
        except BaseException as failure:  # noqa: BLE001  # as above
            self.ended.set_exception(failure)
            return
        if not is_under_way:
            self._go_on()

    def _look(self) -> None:
        """Sees whether a bookmark is due, or the reader takes nothing."""
        # What came first is told first: a bookmark says that there is nothing else.
        self._go_on()
        now = self._now()
        if self._under_way is None and now >= self._written_at + self._bookmark_seconds:
            # Others' updates must not keep this watcher's bookmark waiting.
            self._remind()
        if self._under_way is None:
            at = self._written_at + self._bookmark_seconds
        else:
            patience = self._written_at + self._write_seconds
            if now >= patience and not self.ended.done():
                self.ended.set_exception(ReaderTooSlow())
            at = min(patience, now + self._bookmark_seconds / _LOOKS_A_BOOKMARK)
        if not self.ended.done():
            self._timer = self._loop.call_at(at, self._look)

    def _remind(self) -> None:
        if self.ended.done():
            return
        try:
            self._begins(self._write(self._view.bookmark()))
        except BaseException as failure:  # noqa: BLE001  # as above
            self.ended.set_exception(failure)
