"""What a person sees: progress and failures on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TextIO


class Console:
    """Writes lines; a terminal that has gone away is no reason to fail."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def progress(self, text: str) -> None:
        """Says what is going on, with the time since the start."""
        self.say(f"[{time.monotonic() - self._began:5.1f} s] {text}")

    def say(self, text: str) -> None:
        """Tells a person."""
        _write(sys.stderr, text)

    def answer(self, text: str) -> None:
        """Gives a result, which a program may read."""
        _write(sys.stdout, text)


def _write(stream: TextIO, text: str) -> None:
    with contextlib.suppress(OSError):
        stream.write(text + "\n")
        stream.flush()
