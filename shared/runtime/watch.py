"""Serves one watcher: the state first, then updates as they come, a bookmark when none do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final, TypeVar

from shared.runtime.call import Context
from shared.runtime.failure import CallerSilent, ReaderTooSlow
from shared.runtime.mailbox import Mailbox
from shared.runtime.watch_stream import TopicT, UpdateT, WatchStream, WatchView

RequestT = TypeVar("RequestT")

# A second less than promised: the loop may be busy when the time has come.
_BOOKMARK_SECONDS: Final = 4.0
_WRITE_SECONDS: Final = 10.0


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
    stream = WatchStream(
        context, mailbox, view, bookmark_seconds=bookmark_seconds, write_seconds=write_seconds
    )
    with stream:
        await stream.ended


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
