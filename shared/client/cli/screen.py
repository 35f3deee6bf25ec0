"""Lines on a terminal that are drawn anew in their place."""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, TypeAlias

from shared.client.cli.output import Output, PipeClosed, Styled

Line: TypeAlias = tuple[Styled, ...]

_HIDE_CURSOR: Final = "\x1b[?25l"
_SHOW_CURSOR: Final = "\x1b[?25h"
_CLEAR_LINE: Final = "\x1b[2K"
_CLEAR_BELOW: Final = "\x1b[J"
_LOCAL_FLAGS: Final = 3  # where termios keeps them


class Screen:
    """Draws lines, and each time over those it drew before.

    No other screen is switched to: what was drawn last stays when the program ends.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._drawn: list[int] = []  # the widths of the lines there are

    def draw(self, lines: Sequence[Line]) -> None:
        """Draws the lines, cut at the terminal's width and height.

        Raises:
            PipeClosed: The terminal is gone.
        """
        width, height = self._output.width or 1, self._output.height or 1
        shown = lines[: height - 1]  # the cursor has the last row
        # A terminal made narrower since has folded what was too wide for it.
        rows = sum(max(-(-drawn // width), 1) for drawn in self._drawn)
        parts = [f"\x1b[{rows}A\r" if rows else "\r"]
        parts += [f"{_CLEAR_LINE}{self._output.painted(line)}\n" for line in shown]
        self._output.control("".join([*parts, _CLEAR_BELOW]))
        self._drawn = [min(sum(len(part.text) for part in line), width) for line in shown]

    def forget(self) -> None:
        """Draws the next lines below whatever was written meanwhile."""
        self._drawn = []
        self._output.control(_HIDE_CURSOR)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Hides the cursor meanwhile, and keys that are pressed, which would stand in the way."""
        try:
            with _unechoed():
                self._output.control(_HIDE_CURSOR)
                yield
        finally:
            with suppress(PipeClosed):
                self._output.control(_SHOW_CURSOR)


@contextmanager
def _unechoed() -> Iterator[None]:
    try:
        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
        is_typed_here = os.tcgetpgrp(terminal) == os.getpgrp()
    except (OSError, termios.error):  # nobody types
        is_typed_here = False
    if not is_typed_here:  # in the background, changing the terminal would stop the program
        yield
        return
    quiet = list(before)
    quiet[_LOCAL_FLAGS] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        # What was typed meanwhile was meant for nobody.
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
