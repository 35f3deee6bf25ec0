"""Ends what a client waits for once it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import grpc
import grpc.aio

from shared.client.failure import HoldfastError

_CLOSED: Final = "CLIENT_CLOSED"


class Closing:
    """Whether a client is closed; cancels its streams when it is. Belongs to one event loop.

    A channel that is closed ends no stream that somebody reads: its reader would wait for ever.
    """

    def __init__(self) -> None:
        self._closed = asyncio.Event()
        self._streams: set[grpc.aio.Call] = set()

    def close(self) -> None:
        """Ends every stream; refuses whatever is begun later."""
        self._closed.set()
        for stream in list(self._streams):
            stream.cancel()

    def check(self) -> None:
        """Refuses to begin anything once it is closed.

        Raises:
            HoldfastError: It is closed.
        """
        if self._closed.is_set():
            raise client_closed()

    @contextmanager
    def ends(self, stream: grpc.aio.Call) -> Iterator[None]:
        """Cancels a stream at the end of the block; when the client is closed, at once.

        Raises:
            HoldfastError: The client is closed.
        """
        self._streams.add(stream)
        try:
            with translated():
                yield
        finally:
            self._streams.discard(stream)
            stream.cancel()

    async def sleep(self, seconds: float) -> None:
        """Waits.

        Raises:
            HoldfastError: The client is closed.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        self.check()


@contextmanager
def translated() -> Iterator[None]:
    """Tells of a call that ended with its client as an error, not as the end of this task.

    Raises:
        HoldfastError: The call was cancelled, and not this task.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise client_closed() from None


def client_closed() -> HoldfastError:
    """Returns what a client answers once it is closed."""
    code = grpc.StatusCode.FAILED_PRECONDITION
    return HoldfastError(code, _CLOSED, "the client is closed", is_answer=False)
