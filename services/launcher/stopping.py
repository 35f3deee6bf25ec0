"""Being asked to stop, by a signal."""

from __future__ import annotations

import os
import select
import signal
import time
from types import FrameType

_STDERR = 2
_KILLED_EXIT_CODE = 1
# Some programs pass a terminal's Ctrl-C on although the terminal has sent it to all of us.
_SECOND_THOUGHT_SECONDS = 0.5
_POLL_SECONDS = 1.0


class StopRequested(BaseException):
    """Somebody asked the system to stop: raised in the main thread, once."""


class StopSignals:
    """SIGINT, SIGTERM and SIGHUP as one request to stop; a second Ctrl-C kills at once."""

    def __init__(self) -> None:
        """Takes over the signals of this process."""
        self._is_requested = False
        self._requested_at = 0.0
        self._wakeups, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a child's end wakes ``wait``
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # not started by nohup
            signal.signal(signal.SIGHUP, self._on_signal)
        self._has_terminal = os.isatty(_STDERR)

    def wait(self) -> None:
        """Waits until a child has ended or a moment has passed.

        Raises:
            StopRequested: Somebody asked the system to stop.
        """
        if self._is_requested:
            raise StopRequested  # where the handler could not
        # A terminal that is closed tells its first process only, and make keeps that to itself.
        if self._has_terminal and not os.isatty(_STDERR):
            raise StopRequested
        select.select([self._wakeups], [], [], _POLL_SECONDS)
        try:
            os.read(self._wakeups, 512)
        except BlockingIOError:
            return

    def begin_to_stop(self) -> None:
        """From here on only a Ctrl-C that means it interrupts."""
        if not self._is_requested:
            self._is_requested = True
            self._requested_at = time.monotonic()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if not self._is_requested:
            self.begin_to_stop()
            raise StopRequested
        since = time.monotonic() - self._requested_at
        if number == signal.SIGINT and since > _SECOND_THOUGHT_SECONDS:
            os._exit(_KILLED_EXIT_CODE)  # the kernel ends the children with us
