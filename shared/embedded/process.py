"""Runs a program as a child that cannot outlive this process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

_CHILD = Path(__file__).with_name("_child.py")
_POLL_SECONDS = 0.005
_TAIL_BYTES = 16_384


class ChildProcess:
    """A running program in a session of its own, its output in a log file.

    A terminal's Ctrl-C does not reach it; the kernel ends it when this process ends, however
    that happens.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str],
        working_folder: Path | None = None,
        identity: str = "same",
        owned_folders: Sequence[Path] = (),
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        """Starts the program.

        Args:
            command: The program's absolute path and its arguments.
            log: Where its output goes. The log of the start before is kept beside it.
            environment: All of its environment.
            working_folder: Where it runs; this process's folder when absent.
            identity: As whom it runs, in the words of ``_child.py``.
            owned_folders: What a change of user gives to that user.
            death_signal: What the kernel sends it when this process ends.

        Raises:
            RuntimeError: This is not the main thread: the kernel would take the end of this
                thread for the end of the parent.
            OSError: The log cannot be written or no process can be made.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("servers are started from the main thread: they end with the thread")
        self.log = log
        _begin_log(log)
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  # the caller's program, no shell
                [
                    sys.executable, "-I", "-S", _CHILD,
                    str(os.getpid()), str(int(death_signal)), identity, *owned_folders, "--",
                    *command,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=working_folder,
                env=dict(environment),
                start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Returns the exit code (negative: the signal), or None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; nothing happens when the program has ended."""
        self._process.send_signal(number)

    def wait(self, patience: timedelta | None = None) -> int | None:
        """Waits for the end and returns the exit code, or None when patience ran out."""
        try:
            return self._process.wait(patience.total_seconds() if patience is not None else None)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, number: signal.Signals, patience: timedelta) -> None:
        """Asks the program to end with a signal, and kills it when patience runs out."""
        self.send(number)
        if self.wait(patience) is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.wait()

    def last_lines(self, count: int = 12) -> str:
        """Returns the end of the log."""
        return last_lines(self.log, count)


class Deadline:
    """A point in time up to which something is polled."""

    def __init__(self, patience: timedelta) -> None:
        self._end = time.monotonic() + patience.total_seconds()

    def pause(self) -> bool:
        """Sleeps for one poll and returns True, or returns False when time is up."""
        if time.monotonic() >= self._end:
            return False
        time.sleep(_POLL_SECONDS)
        return True


def last_lines(log: Path, count: int) -> str:
    """Returns at most ``count`` lines from the end of a log; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])


def how_it_ended(code: int) -> str:
    """Says in words what an exit code means."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _begin_log(log: Path) -> None:
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        log.replace(log.with_name(f"{log.name}.1"))
    log.touch(mode=0o600)
