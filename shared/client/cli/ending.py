"""What ends a command that would go on for ever: its time, a signal, or that nobody reads it."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum

from shared.client.cli.output import Output


class Ending(Enum):
    """Why it ends."""

    TIME = "its time is over"
    SIGNAL = "somebody asked for it"
    PIPE_CLOSED = "nobody reads the output any more"


@contextmanager
def ending(
    output: Output, seconds: float | None, signals: Iterable[signal.Signals]
) -> Iterator[asyncio.Future[Ending]]:
    """Yields what is done once the command has to end.

    Behind the block signals do again what they do to every command.

    Args:
        output: A pipe that is closed ends it.
        seconds: How long it may go on; None for as long as it likes.
        signals: Which of them ask for the end; one that the process was started to ignore does
            not.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Ending] = loop.create_future()

    def end(cause: Ending) -> None:
        if not ended.done():
            ended.set_result(cause)

    with ExitStack() as stack:
        if seconds is not None:
            stack.callback(loop.call_later(seconds, end, Ending.TIME).cancel)
        for number in signals:
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, end, Ending.SIGNAL)
                stack.callback(loop.remove_signal_handler, number)
        pipe = output.fileno()
        if pipe is not None and stat.S_ISFIFO(os.fstat(pipe).st_mode):
            # The writing end is never ready to be read, except to say that nobody reads.
            loop.add_reader(pipe, _closed, loop, pipe, end)
            stack.callback(loop.remove_reader, pipe)
        yield ended


def _closed(loop: asyncio.AbstractEventLoop, pipe: int, end: object) -> None:
    assert callable(end)
    loop.remove_reader(pipe)  # it would say so again and again
    end(Ending.PIPE_CLOSED)
