"""Serves one watcher: the state first, then updates as they come, a bookmark when none do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Hashable, Iterable
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar

from shared.runtime.call import Context
from shared.runtime.failure import CallerSilent, ReaderTooSlow
from shared.runtime.mailbox import Changed, Mailbox

TopicT = TypeVar("TopicT", bound=Hashable)
UpdateT = TypeVar("UpdateT")
RequestT = TypeVar("RequestT")
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
    for first in view.opening():
        await write(context, first, seconds=write_seconds)
    now = asyncio.get_running_loop().time
    bookmark_at = now() + bookmark_seconds
    while True:
        message: bytes | None
        found = await mailbox.take(bookmark_at - now())
        if isinstance(found, Changed):
            message = view.changed(found.topic, found.update)
            if message is None:
                # Others' updates must not keep this watcher's bookmark waiting.
                if now() < bookmark_at:
                    continue
                message = view.bookmark()
        elif found is not None:
            message = view.retold(found.topics, is_reset=found.is_reset)
        else:
            message = view.bookmark()
        await write(context, message, seconds=write_seconds)
        bookmark_at = now() + bookmark_seconds


async def write(context: Context, message: Any, *, seconds: float = _WRITE_SECONDS) -> None:
    """Writes a message of a stream.

    Raises:
        ReaderTooSlow: The caller took nothing for that long.
    """
    try:
        async with asyncio.timeout(seconds):
            await context.write(message)
    except TimeoutError as error:
        raise ReaderTooSlow from error


async def heard(requests: AsyncIterator[RequestT], silence: timedelta) -> AsyncIterator[RequestT]:
    """Yields the requests of a stream as they come.

    Raises:
        CallerSilent: None came for that long.
    """
    while True:
        try:
            async with asyncio.timeout(silence.total_seconds()):
                request = await anext(requests)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise CallerSilent from error
        yield request
