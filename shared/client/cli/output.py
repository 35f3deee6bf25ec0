"""Writes results: drawn on a terminal, plain in a pipe, JSON for scripts.

A pipe gets no colours, no drawn lines and no cut or wrapped columns. NO_COLOR is honoured.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TextIO, TypeVar

from shared.client.cli.exit_code import ExitCode
from shared.client.cli.invocation import JSON
from shared.client.cli.text import clean, clean_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from shared.client.cli.record import Json

_Row = TypeVar("_Row")

_COMMAND_INDENT: Final = " " * 4

# JSON escapes the first control characters itself; these it would write as they are.
_UNSAFE_IN_JSON: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class PipeClosed(Exception):
    """Nobody reads the output any more."""


class Styled(NamedTuple):
    """A piece of a line, and how a terminal shows it."""

    text: str
    style: str = ""  # in rich's words: "bold green"


@dataclass(frozen=True)
class Column(Generic[_Row]):
    """One column of a table."""

    title: str
    cell: Callable[[_Row], str]
    from_width: int = 0  # a terminal narrower than this does without the column


class Output:
    """Where a command writes what it found."""

    def __init__(
        self, kind: str, stdout: TextIO | None = None, stderr: TextIO | None = None
    ) -> None:
        self.is_json = kind == JSON
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self.is_terminal = self._stdout.isatty()
        self._console: Console | None = None

    @property
    def width(self) -> int | None:
        """How many columns the terminal has; None where nobody counts."""
        return self._rich().width if self.is_terminal else None

    def glyph(self, wanted: str, plain: str) -> str:
        """Returns ``wanted`` where the output can write it, else ``plain``."""
        try:
            wanted.encode(self._stdout.encoding or "ascii")
        except UnicodeEncodeError:
            return plain
        return wanted

    @property
    def height(self) -> int | None:
        """How many rows the terminal has; None where nobody counts."""
        return self._rich().height if self.is_terminal else None

    @property
    def can_redraw(self) -> bool:
        """Whether what was written can be written over."""
        return self.is_terminal and not self._rich().is_dumb_terminal

    def fileno(self) -> int | None:
        """Returns the descriptor of the output; None where it has none."""
        try:
            return self._stdout.fileno()
        except OSError:  # kept in memory
            return None

    def json(self, value: Json) -> None:
        """Writes a value as JSON."""
        text = json.dumps(value, indent=2, ensure_ascii=False)
        self._write(escape_json(text) + "\n")

    def json_line(self, value: Json) -> None:
        """Writes a value as JSON on one line, and hands it over at once."""
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        self._write(escape_json(text) + "\n", flush=True)

    def line(self, *parts: str | Styled) -> None:
        """Writes one line; text from elsewhere is shown, never obeyed."""
        if self.is_terminal:
            self._print(_assembled(parts))
            return
        styled = [part if isinstance(part, Styled) else Styled(part) for part in parts]
        self._write("".join(clean(part.text) for part in styled).rstrip() + "\n")

    def painted(self, parts: Iterable[str | Styled]) -> str:
        """Returns a line as the terminal takes it: coloured, and cut at its width."""
        console = self._rich()
        with console.capture() as captured:
            console.print(_assembled(parts), end="", no_wrap=True, overflow="crop", crop=True)
        return captured.get()

    def control(self, text: str) -> None:
        """Writes what a terminal obeys, and hands it over at once.

        Raises:
            PipeClosed: The terminal is gone.
        """
        self._write(text, flush=True)

    def table(self, columns: Sequence[Column[_Row]], rows: Sequence[_Row], *, empty: str) -> None:
        """Writes a table, or one sentence when there is nothing in it."""
        if not rows:
            self.note(empty)
            return
        width = self.width
        shown = [c for c in columns if width is None or width >= c.from_width]
        cells = [[clean(column.cell(row)) for column in shown] for row in rows]
        titles = [column.title for column in shown]
        if self.is_terminal:
            self._draw(titles, cells)
        else:
            for text in align([titles, *cells]):
                self._write(f"{text}\n")

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Writes labels with their values; empty ones are left out."""
        shown = [(label, clean_lines(value)) for label, value in facts if value]
        width = max((len(label) for label, _ in shown), default=0)
        for label, lines in shown:
            for number, text in enumerate(lines):
                self.line(Styled(f"{'' if number else label:<{width}}  ", "bold"), text)

    def note(self, text: str) -> None:
        """Writes a remark to stderr: never part of the result."""
        self._stderr.write(f"{folded(clean(text), self._stderr)}\n")

    def remark(self, text: str) -> None:
        """Writes a note that scripts can do without: what they read on stderr is JSON, or nothing.

        What it says must stand in the result too.
        """
        if not self.is_json:
            self.note(text)

    def progress(self, text: str) -> None:
        """Shows how far it is, on a terminal only; an empty text clears it."""
        if self._stderr.isatty():
            self._stderr.write(f"\r\x1b[K{clean(text)}")
            self._stderr.flush()

    def flush(self) -> None:
        """Hands everything to whoever reads.

        Raises:
            PipeClosed: Nobody does.
        """
        self._write("", flush=True)

    def _draw(self, titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
        from rich.table import Table  # noqa: PLC0415  # for terminals only
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for title in titles:
            # What is too wide goes on below: an id that is cut cannot be copied.
            table.add_column(title, overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        self._print(table)

    def _print(self, renderable: Any) -> None:
        try:
            self._rich().print(renderable)
        except BrokenPipeError as error:
            raise PipeClosed from error

    def _write(self, text: str, *, flush: bool = False) -> None:
        try:
            self._stdout.write(text)
            if flush:
                self._stdout.flush()
        except BrokenPipeError as error:
            raise PipeClosed from error

    def _rich(self) -> Console:
        if self._console is None:
            from rich.console import Console  # noqa: PLC0415  # for terminals only

            self._console = Console(file=self._stdout, highlight=False, markup=False, emoji=False)
        return self._console


def _assembled(parts: Iterable[str | Styled]) -> Text:
    from rich.text import Text  # noqa: PLC0415  # for terminals only

    styled = [part if isinstance(part, Styled) else Styled(part) for part in parts]
    return Text.assemble(*((clean(part.text), part.style) for part in styled))


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the rows as lines with their columns under one another."""
    from rich.cells import cell_len  # noqa: PLC0415  # wide letters take two places

    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def folded(text: str, stream: TextIO) -> str:
    """Folds lines between words where a terminal would cut them anywhere.

    Commands stand further in, and stay whole: what is folded cannot be copied.
    """
    if not stream.isatty():
        return text
    width = get_terminal_size().columns
    return "\n".join(
        line
        if line.startswith(_COMMAND_INDENT)
        else fill(line, width, subsequent_indent="  ", break_long_words=False)
        for line in text.splitlines()
    )


def escape_json(text: str) -> str:
    """Escapes what JSON allows and a terminal would obey; the value stays the same."""
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def error_as_json(
    code: str,
    reason: str,
    message: str,
    exit_with: int,
    *,
    metadata: dict[str, Json] | None = None,
    fields: list[Json] | None = None,
    service: str = "",
) -> str:
    """Returns the one shape that every error has."""
    error: dict[str, Json] = {
        "code": code,
        "reason": reason,
        "message": message,
        "exit_code": int(exit_with),
        "service": service,
        "metadata": metadata or {},
        "fields": fields or [],
    }
    return escape_json(json.dumps({"error": error}, indent=2, ensure_ascii=False))


def mistake_as_json(message: str, exit_with: int) -> str:
    """Returns what the command itself refuses in that shape: a wrong line, or a wrong moment."""
    if exit_with == ExitCode.USAGE:
        return error_as_json("INVALID_ARGUMENT", "USAGE", message, exit_with)
    if exit_with == ExitCode.UNREACHABLE:
        return error_as_json("UNAVAILABLE", "NOT_RUNNING", message, exit_with)
    return error_as_json("FAILED_PRECONDITION", "REFUSED_HERE", message, exit_with)
