"""Draws a live day: its quarter hours, its starts in time order, and who holds what. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from textwrap import wrap
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from shared.client.cli import quarter, text
from shared.client.cli.holding import holder
from shared.client.cli.live_start import Size, countdown, starts
from shared.client.cli.output import Output, Styled
from shared.client.cli.quarter import Hour, Quarter
from shared.client.cli.screen import Line
from shared.client.cli.slots import Start, range_label
from shared.client.day_view import DayPicture
from shared.client.live_hold import LiveHold

_STYLES: Final = {
    Quarter.FREE: "dim",
    Quarter.HELD: "yellow",
    Quarter.OWN: "bold cyan",
    Quarter.BOOKED: "red",
    Quarter.UNKNOWN: "",
}
_LINES_OF_HOLDS: Final = 4
_FEWEST_STARTS: Final = 3
_EMPTY: Final[Line] = ()


class Subject(NamedTuple):
    """Which day of what is watched."""

    resource_id: str
    event_type_id: str
    date: date
    duration: timedelta
    zone: ZoneInfo


class Glyphs(NamedTuple):
    """The signs that a drawing is made of."""

    quarters: dict[Quarter, str]
    bar: str
    live: str
    more: str

    @classmethod
    def of(cls, output: Output) -> Glyphs:
        """Returns those that the output can write."""
        glyph = output.glyph
        quarters = {
            Quarter.FREE: glyph("·", "."),
            Quarter.HELD: glyph("▒", "+"),
            Quarter.OWN: glyph("◆", "@"),
            Quarter.BOOKED: glyph("█", "#"),
            Quarter.UNKNOWN: " ",
        }
        return cls(quarters, glyph("│", "|"), glyph("●", "*"), glyph("…", "..."))


def draw(
    subject: Subject,
    picture: DayPicture,
    glyphs: Glyphs,
    size: Size,
    *,
    now: datetime,
    is_stale: bool,
) -> list[Line]:
    """Returns the lines of a picture, none wider and all no higher than there is room for.

    Args:
        subject: What is watched.
        picture: As it stands.
        glyphs: What to draw with.
        size: Of the terminal.
        now: By presence's clock, to count down to the end of holds.
        is_stale: Whether to say that it may be out of date.
    """
    hours = quarter.hours(picture, subject.resource_id, subject.date, subject.zone)
    head = _head(subject, glyphs, size.width, is_stale=is_stale)
    grid = [_EMPTY, *_grid(hours, glyphs, size.width), *_legend(hours, glyphs, size.width), _EMPTY]
    foot = _holds(subject, picture, glyphs, now)
    # The starts are what it is about: where there is no room for them, the rest gives way.
    fewest = min(max(len(picture.slots), 1), _FEWEST_STARTS)
    room = size.height - 1 - len(head)
    if room - len(grid) - len(foot) < fewest:
        grid = [_EMPTY]
    if room - len(grid) - len(foot) < fewest:
        foot = []
    left = Size(size.width, room - len(grid) - len(foot))
    return [*head, *grid, *starts(picture.slots, subject.zone, glyphs.more, left, now), *foot]


def _head(subject: Subject, glyphs: Glyphs, width: int, *, is_stale: bool) -> list[Line]:
    title = f"{subject.resource_id}, {text.day(subject.date)}"
    about = (
        f"{text.length(subject.duration)} under {subject.event_type_id},"
        f" times of {subject.zone.key}"
    )
    status = (
        Styled(f"reconnecting{glyphs.more}", "bold yellow")
        if is_stale
        else Styled(f"{glyphs.live} live", "green")
    )
    lines = [(Styled(line),) for line in wrap(about, width, break_long_words=False)]
    if len(title) + 3 + len(status.text) > width:
        return [(Styled(title, "bold"),), (status,), *lines]
    return [(Styled(title, "bold"), Styled("   "), status), *lines]


def _grid(hours: Sequence[Hour], glyphs: Glyphs, width: int) -> list[Line]:
    lines: list[Line] = []
    for row in quarter.rows(hours, width):
        # A number stands above the first quarter of its hour, so far as there is room.
        labels = "".join(
            f" {h.number:02d}"[: len(h.quarters) + 1].ljust(len(h.quarters) + 1) for h in row
        )
        lines.append((Styled(labels.rstrip(), "dim"),))
        cells: list[Styled] = []
        for hour in row:
            cells.append(Styled(glyphs.bar, "dim"))
            cells += [Styled(glyphs.quarters[state], _STYLES[state]) for state in hour.quarters]
        lines.append((*cells, Styled(glyphs.bar, "dim")))
    return lines


def _legend(hours: Sequence[Hour], glyphs: Glyphs, width: int) -> list[Line]:
    shown = {state for hour in hours for state in hour.quarters}
    always = {Quarter.BOOKED, Quarter.HELD, Quarter.FREE}
    order = (Quarter.BOOKED, Quarter.HELD, Quarter.OWN, Quarter.FREE)
    lines: list[list[Styled]] = [[]]
    used = 0
    for state in order:
        if state not in shown | always:
            continue
        word = f" {state.value}"
        if used + len(word) + 4 > width and used:
            lines.append([])
            used = 0
        lines[-1] += [
            Styled("   " if used else " "),
            Styled(glyphs.quarters[state], _STYLES[state]),
            Styled(word, "dim"),
        ]
        used += len(word) + 4
    return [tuple(line) for line in lines]


def _holds(subject: Subject, picture: DayPicture, glyphs: Glyphs, now: datetime) -> list[Line]:
    holds = picture.holds
    if not holds:
        return []
    shown = holds if len(holds) <= _LINES_OF_HOLDS else holds[: _LINES_OF_HOLDS - 1]
    lines: list[Line] = [_EMPTY]
    lines += [_hold(hold, picture.holder_id, subject, glyphs, now) for hold in shown]
    if len(shown) < len(holds):
        rest = f" {glyphs.more} {text.count(len(holds) - len(shown), 'more hold')}"
        lines.append((Styled(rest, "dim"),))
    return lines


def _hold(hold: LiveHold, own: str, subject: Subject, glyphs: Glyphs, now: datetime) -> Line:
    is_own = hold.holder_id == own
    state = Quarter.OWN if is_own else Quarter.HELD
    who = "you" if is_own else holder(hold.holder_id)
    line = [
        Styled(f" {glyphs.quarters[state]}", _STYLES[state]),
        Styled(f" held by {who}  {time_of(hold, subject)}"),
    ]
    if hold.is_overdue:
        line.append(Styled(f"   may end {countdown(hold.expires_at, now)}", "bold"))
    return tuple(line)


def time_of(hold: LiveHold, subject: Subject) -> str:
    """Writes the time of a hold, with its date where it begins on another than is watched."""
    start, end = hold.start.astimezone(subject.zone), hold.end.astimezone(subject.zone)
    label = range_label(Start(start, end, start, end))
    if start.date() == subject.date:
        return label
    return f"{text.WEEKDAYS[start.weekday()]} {start.day}, {label}"
