from __future__ import annotations

import io
import json
import re

import pytest

from shared.client.cli.output import Column, Output, PipeClosed, Styled, align, error_as_json

_COLUMNS = (
    Column[tuple[str, str]]("ID", lambda row: row[0]),
    Column[tuple[str, str]]("NAME", lambda row: row[1]),
)
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class _ClosedPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def _output(stdout: io.StringIO, kind: str = "table") -> tuple[Output, io.StringIO]:
    stderr = io.StringIO()
    return Output(kind, stdout, stderr), stderr


def test_a_pipe_gets_plain_columns() -> None:
    stdout = io.StringIO()
    output, _ = _output(stdout)

    output.table(_COLUMNS, [("studio-a", "StudioA"), ("b", "B")], empty="")

    assert stdout.getvalue() == "ID        NAME\nstudio-a  StudioA\nb         B\n"


def test_a_pipe_gets_a_line_for_each_row_however_long() -> None:
    stdout = io.StringIO()
    output, _ = _output(stdout)

    output.table(_COLUMNS, [("a" * 300, "b" * 300)], empty="")

    assert stdout.getvalue().splitlines()[1] == f"{'a' * 300}  {'b' * 300}"


def test_a_terminal_gets_bold_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stdout = _Terminal()
    output, _ = _output(stdout)

    output.table(_COLUMNS, [("studio-a", "StudioA")], empty="")

    assert "\x1b[1m" in stdout.getvalue()
    assert _ESCAPE.sub("", stdout.getvalue()).split() == ["ID", "NAME", "studio-a", "StudioA"]


def test_a_terminal_never_cuts_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stdout = _Terminal()
    output, _ = _output(stdout)

    output.table(_COLUMNS, [("0123456789" * 3, "StudioA")], empty="")

    shown = _ESCAPE.sub("", stdout.getvalue())
    assert "".join(re.findall(r"[0-9]", shown)) == "0123456789" * 3


def test_a_narrow_terminal_does_without_columns_that_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    columns = (*_COLUMNS, Column[tuple[str, str]]("WIDE", lambda row: row[0], from_width=100))
    narrow, pipe = _Terminal(), io.StringIO()

    _output(narrow)[0].table(columns, [("a", "b")], empty="")
    _output(pipe)[0].table(columns, [("a", "b")], empty="")

    assert "WIDE" not in narrow.getvalue()
    assert "WIDE" in pipe.getvalue()


def test_no_color_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stdout = _Terminal()
    output, _ = _output(stdout)

    output.line(Styled("free", "green"))

    assert "\x1b[32m" not in stdout.getvalue()
    assert "free" in stdout.getvalue()


def test_an_empty_table_is_a_remark_and_no_result() -> None:
    stdout = io.StringIO()
    output, stderr = _output(stdout)

    output.table(_COLUMNS, [], empty="No resources.")

    assert stdout.getvalue() == ""
    assert stderr.getvalue() == "No resources.\n"


@pytest.mark.parametrize("stdout", [io.StringIO(), _Terminal()], ids=["pipe", "terminal"])
def test_stored_text_cannot_drive_the_terminal(stdout: io.StringIO) -> None:
    output, stderr = _output(stdout)
    evil = "\x1b]0;title\x07\x9b2J\u202e[bold]x[/bold] :smile:"

    output.table(_COLUMNS, [(evil, evil)], empty="")
    output.line(evil)
    output.facts([("Name", evil)])
    output.note(evil)

    for shown in (_ESCAPE.sub("", stdout.getvalue()), stderr.getvalue()):
        assert not set("\x1b\x07\x9b\u202e") & set(shown)
        assert "[bold]x[/bold]" in shown
        assert ":smile:" in shown


def test_json_is_what_was_given_and_safe_to_show() -> None:
    stdout = io.StringIO()
    output, _ = _output(stdout, "json")
    value = {"name": "Zoë \x1b \x9b \u202e 🎹", "units": 1, "none": None}

    output.json(value)  # type: ignore[arg-type]  # a map of plain values

    assert json.loads(stdout.getvalue()) == value
    assert not set("\x1b\x9b\u202e") & set(stdout.getvalue())
    assert "Zoë" in stdout.getvalue()


def test_facts_are_aligned_and_empty_ones_left_out() -> None:
    stdout = io.StringIO()
    output, _ = _output(stdout)

    output.facts([("Name", "StudioA"), ("Note", ""), ("Description", "one\ntwo")])

    assert stdout.getvalue() == "Name         StudioA\nDescription  one\n             two\n"


def test_wide_letters_take_two_places() -> None:
    assert align([["録音", "x"], ["abcde", "y"]]) == ["録音   x", "abcde  y"]


def test_an_encoding_without_the_glyph_gets_the_plain_one() -> None:
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")

    assert Output("table", ascii_only).glyph("●", "*") == "*"
    assert Output("table", _Terminal()).glyph("●", "*") == "●"


def test_a_closed_pipe_is_told_apart() -> None:
    output, _ = _output(_ClosedPipe())

    with pytest.raises(PipeClosed):
        output.line("x")


def test_progress_is_shown_on_a_terminal_only() -> None:
    stderr = _Terminal()

    Output("table", io.StringIO(), stderr).progress("200 read")
    pipe_output, pipe = _output(io.StringIO())
    pipe_output.progress("200 read")

    assert stderr.getvalue() == "\r\x1b[K200 read"
    assert pipe.getvalue() == ""


def test_an_error_has_one_shape() -> None:
    found = json.loads(error_as_json("NOT_FOUND", "NOT_FOUND", "no\x9bne", 3, service="catalog"))

    assert found == {
        "error": {
            "code": "NOT_FOUND",
            "reason": "NOT_FOUND",
            "message": "no\x9bne",
            "exit_code": 3,
            "service": "catalog",
            "metadata": {},
            "fields": [],
        }
    }
