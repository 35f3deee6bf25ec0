"""What goes on, on stderr: a line a step, and a bar for what takes long."""

from __future__ import annotations

import sys
import time
from typing import Final, TextIO

_BAR: Final = 30
_DRAWN_EVERY_SECONDS: Final = 0.1
_TOLD_EVERY_SECONDS: Final = 5.0  # where no line can be drawn anew


class Progress:
    """Tells a person how far it is; a terminal's last line is drawn anew."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._began = time.monotonic()
        self._is_terminal = out.isatty()
        self._is_drawn = False

    def step(self, text: str) -> None:
        """Begins a step."""
        self._write(f"[{time.monotonic() - self._began:5.0f} s] {text}", stays=True)

    def state(self, text: str) -> None:
        """Says how far a step is; only where it can be drawn anew."""
        if self._is_terminal:
            self._write(f"          {text}", stays=False)

    def bar(self, text: str, total: int) -> Bar:
        """A bar for so many things to do."""
        return Bar(self, text, total, is_drawn=self._is_terminal)

    def clear(self) -> None:
        """Takes away what is drawn, for results on the same terminal."""
        if self._is_drawn:
            self._out.write("\r\x1b[K")
            self._out.flush()
            self._is_drawn = False

    def _write(self, text: str, *, stays: bool) -> None:
        self.clear()
        self._out.write(f"{text}\n" if stays else text)
        self._out.flush()
        self._is_drawn = not stays


class Bar:
    """A bar that fills up."""

    def __init__(self, progress: Progress, text: str, total: int, *, is_drawn: bool) -> None:
        self._progress = progress
        self._text = text
        self._total = max(total, 1)
        self._is_drawn = is_drawn
        self._said_at = time.monotonic()

    def at(self, done: int) -> None:
        """So many are done."""
        share = min(done / self._total, 1.0)
        words = f"{self._text} {done:,} of {self._total:,}"
        now = time.monotonic()
        if self._is_drawn:
            if now - self._said_at >= _DRAWN_EVERY_SECONDS or done == self._total:
                self._said_at = now
                full = round(share * _BAR)
                self._progress.state(f"[{'#' * full}{'.' * (_BAR - full)}] {words}")
        elif now - self._said_at >= _TOLD_EVERY_SECONDS:
            self._said_at = now
            self._progress.step(words)
