"""A command that goes on until somebody ends it, and what it writes meanwhile."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from tests.e2e.cli.desk import Desk
from tests.e2e.running import HOLDFAST, environment

# A machine that is busy with other tests starts a program slowly.
_PATIENCE_SECONDS = 30.0


class Program:
    """A running ``holdfast``; its output is read line by line, as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()

    def line(self) -> str:
        """Returns the next line, once there is one."""
        found = self._lines.get(timeout=_PATIENCE_SECONDS)
        assert found is not None, f"it ended with {self.process.wait()}: {self.said()}"
        return found

    def until(self, is_meant: Callable[[str], bool]) -> str:
        """Returns the first line that is meant; those before it are gone."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if is_meant(line := self.line()):
                return line
        raise AssertionError("no such line came in time")

    def json(self) -> Any:
        """Returns the next line as an object."""
        return json.loads(self.line())

    def end(self, number: signal.Signals | None = None) -> int:
        """Sends a signal, if any, and returns the exit code."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(timeout=_PATIENCE_SECONDS)

    def rest(self) -> list[str]:
        """Returns the lines that are left once it has ended."""
        self.process.wait(timeout=_PATIENCE_SECONDS)
        self._reader.join(timeout=_PATIENCE_SECONDS)
        return list(iter(self._lines.get_nowait, None))

    def said(self) -> str:
        """Returns what it wrote on stderr, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def _read(self, stdout: IO[str]) -> None:
        for line in stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


@contextmanager
def running(desk: Desk, *arguments: str) -> Iterator[Program]:
    """Starts a command; it is killed at the end unless it has ended by then."""
    process = subprocess.Popen(
        [HOLDFAST, *arguments],
        cwd=desk.folder,
        env=environment(desk.variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
