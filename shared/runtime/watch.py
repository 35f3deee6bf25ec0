"""Serves one watcher: the state first, then updates as they come, a bookmark when none do."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Hashable, Iterable
from typing import Final, Protocol, TypeVar

from shared.runtime.call import Context
from shared.runtime.failure import ReaderTooSlow
from shared.runtime.mailbox import Changed, Mailbox

TopicT = TypeVar("TopicT", bound=Hashable)
UpdateT = TypeVar("UpdateT")
_Topic_contra = TypeVar("_Topic_contra", bound=Hashable, contravariant=True)
_Update_contra = TypeVar("_Update_contra", contravariant=True)

# A second less than promised: the loop may be busy when the time has come.
_BOOKMARK_SECONDS: Final = 4.0
_WRITE_SECONDS: Final = 10.0


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


async def serve_watch(
    context: Context,
    mailbox: Mailbox[TopicT, UpdateT],
    view: WatchView[TopicT, UpdateT],
    *,
    bookmark_seconds: float = _BOOKMARK_SECONDS,
    write_seconds: float = _WRITE_SECONDS,
) -> None:
    """Writes until the call ends.

    Args:
        context: Of the call; its messages are sent as the bytes they are.
        mailbox: Subscribed already.
        view: Of this watcher.
        bookmark_seconds: After how long without a message a bookmark is sent.
        write_seconds: How long the watcher may take nothing.

    Raises:
        ReaderTooSlow: It took nothing for that long.
        Failure: What the mailbox was given.
    """
    writer = _Writer(context, write_seconds)
    for first in view.opening():
        await writer.write(first)
    now = asyncio.get_running_loop().time
    while True:
        message: bytes | None
        found = await mailbox.take(writer.last_at + bookmark_seconds - now())
        if isinstance(found, Changed):
            message = view.changed(found.topic, found.update)
            if message is None:
                # Others' updates must not keep this watcher's bookmark waiting.
                if now() < writer.last_at + bookmark_seconds:
                    continue
                message = view.bookmark()
        elif found is not None:
            message = view.retold(found.topics, is_reset=found.is_reset)
        else:
            message = view.bookmark()
        await writer.write(message)


class _Writer:
    def __init__(self, context: Context, seconds: float) -> None:
        self._context = context
        self._seconds = seconds
        self._now = asyncio.get_running_loop().time
        self.last_at = self._now()

    async def write(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._context.write(message)
        except TimeoutError as error:
            raise ReaderTooSlow from error
        self.last_at = self._now()
