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


class End:
    """When a command has to end, and why. Belongs to one event loop."""

    def __init__(self) -> None:
        self.reached: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._timers: list[asyncio.TimerHandle] = []

    def come(self, cause: Ending) -> None:
        """It has to end now."""
        if not self.reached.done():
            self.reached.set_result(cause)

    def after(self, seconds: float | None) -> None:
        """It has to end so much later; None for never."""
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._timers.append(loop.call_later(seconds, self.come, Ending.TIME))

    def forget(self) -> None:
        """Nobody waits for it any more."""
        for timer in self._timers:
            timer.cancel()


@contextmanager
def ending(output: Output, signals: Iterable[signal.Signals]) -> Iterator[End]:
    """Yields what says when the command has to end.

    Behind the block signals do again what they do to every command.

    Args:
        output: A pipe that is closed ends it.
        signals: Which of them ask for the end; one that the process was started to ignore does
            not.
    """
    loop = asyncio.get_running_loop()
    end = End()
    with ExitStack() as stack:
        stack.callback(end.forget)
        for number in signals:
            usual = signal.getsignal(number)
            if usual is not signal.SIG_IGN:
                loop.add_signal_handler(number, end.come, Ending.SIGNAL)
                # Removing the loop's handler leaves the default one behind, whatever was there.
                stack.callback(signal.signal, number, signal.SIG_DFL if usual is None else usual)
                stack.callback(loop.remove_signal_handler, number)
        pipe = output.fileno()
        if pipe is not None and stat.S_ISFIFO(os.fstat(pipe).st_mode):
            # The writing end is never ready to be read, except to say that nobody reads.
            loop.add_reader(pipe, _closed, loop, pipe, end)
            stack.callback(loop.remove_reader, pipe)
        yield end


def _closed(loop: asyncio.AbstractEventLoop, pipe: int, end: End) -> None:
    loop.remove_reader(pipe)  # it would say so again and again
    end.come(Ending.PIPE_CLOSED)
