from __future__ import annotations

import asyncio
import io
import os
import pty
import re
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shared.client.cli.ending import Ending, ending
from shared.client.cli.output import Output, Styled
from shared.client.cli.screen import Line, Screen

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    """A terminal of 20 columns and 5 rows."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "5")
    return _Terminal()


def _lines(*texts: str) -> list[Line]:
    return [(Styled(text, "bold"),) for text in texts]


def _taken(stdout: _Terminal) -> str:
    found = stdout.getvalue()
    stdout.seek(0)
    stdout.truncate()
    return found


def test_lines_are_drawn_over_those_before(stdout: _Terminal) -> None:
    screen = Screen(Output("table", stdout))

    screen.draw(_lines("one", "two"))
    first = _taken(stdout)
    screen.draw(_lines("three"))
    second = _taken(stdout)

    assert _ESCAPE.sub("", first) == "\rone\ntwo\n"
    assert second.startswith("\x1b[2A\r")
    assert second.endswith("\x1b[J")  # "two" is gone
    assert _ESCAPE.sub("", second) == "\rthree\n"


def test_lines_are_cut_at_the_terminals_width_and_height(stdout: _Terminal) -> None:
    screen = Screen(Output("table", stdout))

    screen.draw(_lines("x" * 30, "2", "3", "4", "5", "6"))

    assert _ESCAPE.sub("", _taken(stdout)).split() == ["x" * 20, "2", "3", "4"]


def test_lines_that_a_narrower_terminal_folds_are_drawn_over_too(stdout: _Terminal) -> None:
    output = Output("table", stdout)
    screen = Screen(output)
    screen.draw(_lines("x" * 20, "y"))
    _taken(stdout)

    output._rich().width = 9
    screen.draw(_lines("z"))

    assert _taken(stdout).startswith("\x1b[4A\r")  # 20 columns are three rows now


def test_stored_text_cannot_drive_the_terminal(stdout: _Terminal) -> None:
    Screen(Output("table", stdout)).draw(_lines("a\x1b[2Jb"))

    assert "\x1b[2J" not in _taken(stdout)


def test_the_cursor_comes_back_whatever_happens(stdout: _Terminal) -> None:
    screen = Screen(Output("table", stdout))

    with pytest.raises(KeyboardInterrupt), screen.shown():
        raise KeyboardInterrupt

    assert _taken(stdout) == "\x1b[?25l\x1b[?25h"


@pytest.mark.parametrize("is_in_front", [True, False])
def test_keys_are_not_shown_meanwhile_where_somebody_may_type(
    stdout: _Terminal, monkeypatch: pytest.MonkeyPatch, *, is_in_front: bool
) -> None:
    def echoes() -> bool:
        return bool(termios.tcgetattr(theirs)[3] & termios.ECHO)

    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r+b", buffering=0) as typed, os.fdopen(ours, "r+b", buffering=0):
        monkeypatch.setattr("sys.stdin", typed)
        monkeypatch.setattr("os.tcgetpgrp", lambda _: os.getpgrp() + (not is_in_front))

        with Screen(Output("table", stdout)).shown():
            assert echoes() is not is_in_front
        assert echoes()


@contextmanager
def _piped() -> Iterator[tuple[Output, io.TextIOWrapper]]:
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader, os.fdopen(writing, "w") as writer:
        yield Output("table", writer), reader


async def test_a_pipe_that_nobody_reads_any_more_ends_it_without_a_word() -> None:
    with _piped() as (output, reader), ending(output, ()) as end:
        reader.close()

        assert await end.reached is Ending.PIPE_CLOSED


async def test_its_time_ends_it() -> None:
    with _piped() as (output, _), ending(output, ()) as end:
        end.after(0.01)
        assert await end.reached is Ending.TIME


@pytest.mark.parametrize("usual", [signal.SIG_DFL, lambda *_: None], ids=["default", "own"])
async def test_a_signal_ends_it_and_then_does_again_what_it_did(usual: Any) -> None:
    before = signal.signal(signal.SIGTERM, usual)
    try:
        with ending(Output("table", io.StringIO()), {signal.SIGTERM}) as end:
            os.kill(os.getpid(), signal.SIGTERM)
            assert await end.reached is Ending.SIGNAL
        after = signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert after == usual


async def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending(Output("table", io.StringIO()), {signal.SIGHUP}) as end:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert not end.reached.done()
    finally:
        signal.signal(signal.SIGHUP, before)
