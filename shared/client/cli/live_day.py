"""Draws a live day: its quarter hours, its starts in time order, and who holds what. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from textwrap import wrap
from typing import Final, NamedTuple
from zlib import crc32
from zoneinfo import ZoneInfo

from shared.client.cli import quarter, text
from shared.client.cli.holding import holder
from shared.client.cli.live_start import Size, countdown, fewest_lines, seconds_left, starts
from shared.client.cli.output import Output, Styled
from shared.client.cli.quarter import Cell, Hour, Quarter
from shared.client.cli.screen import Line
from shared.client.cli.slots import Start, range_label
from shared.client.day_merge import SlotState
from shared.client.day_view import DayPicture
from shared.client.live_hold import LiveHold

_STYLES: Final = {
    Quarter.FREE: "green dim",
    Quarter.OWN: "bold cyan",
    Quarter.BOOKED: "red",
    Quarter.PART: "red dim",
    Quarter.CLOSED: "dim",
    Quarter.UNKNOWN: "",
}
# Of holders: told from what is free (green), booked (red) and one's own (cyan).
_COLOURS: Final = (
    "yellow", "magenta", "blue", "bright_yellow", "bright_magenta", "bright_blue",
)  # fmt: skip
_LINES_OF_HOLDS: Final = 4
_LINES_OF_NEWS: Final = 3
_FEWEST_STARTS: Final = 3
_BAR_SECONDS: Final = 5
# A terminal narrower than this does without the bars.
_BAR_WIDTH: Final = 64
_EMPTY: Final[Line] = ()


class Subject(NamedTuple):
    """Which day of what is watched."""

    resource_id: str
    event_type_id: str
    date: date
    duration: timedelta
    zone: ZoneInfo
    units: int = 1


class Glyphs(NamedTuple):
    """The signs that a drawing is made of."""

    quarters: Mapping[Quarter, str]
    bar: str
    live: str
    lost: str
    more: str
    full: str
    spent: str

    @classmethod
    def of(cls, output: Output) -> Glyphs:
        """Returns those that the output can write."""
        glyph = output.glyph
        quarters = {
            Quarter.FREE: glyph("·", "."),
            Quarter.HELD: glyph("▒", "+"),
            Quarter.OWN: glyph("◆", "@"),
            Quarter.BOOKED: glyph("█", "#"),
            Quarter.PART: glyph("▄", "%"),
            Quarter.CLOSED: glyph("─", "-"),
            Quarter.UNKNOWN: " ",
        }
        return cls(
            quarters,
            glyph("│", "|"),
            glyph("●", "*"),
            glyph("○", "o"),
            glyph("…", "..."),
            glyph("▰", "="),
            glyph("▱", "."),
        )


class Health(NamedTuple):
    """How the streams stand.

    Attributes:
        is_broken: Whether something may have changed that could not be told, for more than a
            moment.
        stale_for: For how many seconds, once it is worth saying.
        withdrawn: Why nothing can be booked any more, in words; empty while it can.
    """

    is_broken: bool = False
    stale_for: int | None = None
    withdrawn: str = ""


LIVE: Final = Health()


class News(NamedTuple):
    """Something that happened."""

    at: datetime
    words: str


def draw(
    subject: Subject,
    picture: DayPicture,
    glyphs: Glyphs,
    size: Size,
    *,
    now: datetime,
    health: Health = LIVE,
    opened: frozenset[int] | None = None,
    news: Sequence[News] = (),
) -> list[Line]:
    """Returns the lines of a picture, none wider and all no higher than there is room for.

    Args:
        subject: What is watched.
        picture: As it stands.
        glyphs: What to draw with.
        size: Of the terminal.
        now: By presence's clock, to count down to the end of holds.
        health: How the streams stand.
        opened: The quanta in opening hours; None where they are not known.
        news: What happened, the newest last.
    """
    hours = quarter.hours(picture, subject.resource_id, subject.date, subject.zone, opened)
    head = _head(subject, picture, glyphs, size.width, health)
    grid = [_EMPTY, *_grid(hours, glyphs, size.width), *_legend(hours, glyphs, size.width), _EMPTY]
    foot = _holds(subject, picture, glyphs, size.width, now)
    # The starts are what it is about: where there is no room for them, the rest gives way.
    fewest = min(max(len(picture.slots), 1), _FEWEST_STARTS)
    room = size.height - 1 - len(head)
    if room - len(grid) - len(foot) < fewest:
        grid = [_EMPTY]
    if room - len(grid) - len(foot) < fewest:
        foot = []
    lines_left = room - len(grid) - len(foot)
    # Starts move together so that what just happened can be told, but none gives way to it.
    wanted = min(len(news), _LINES_OF_NEWS) + 1 if news else 0
    needed = fewest_lines(picture.slots, subject.zone, size.width, now)
    left = Size(size.width, max(lines_left - wanted, min(needed, lines_left)))
    shown = starts(picture.slots, subject.zone, glyphs.more, left, now)
    if not picture.slots and health.withdrawn:
        shown = [(Styled(" Nothing can be booked.", "dim"),)]  # the head says why
    tail = _news(news, subject.zone, lines_left - len(shown))
    return [*head, *grid, *shown, *foot, *tail]


def colour(holder_id: str) -> str:
    """Returns the colour of a holder: wherever it is looked from, the same."""
    return _COLOURS[crc32(holder_id.encode()) % len(_COLOURS)]


def _style(cell: Cell) -> str:
    if cell.state is not Quarter.HELD:
        return _STYLES[cell.state]
    return f"{colour(cell.holder_id)} dim" if cell.is_ending else colour(cell.holder_id)


def _head(
    subject: Subject, picture: DayPicture, glyphs: Glyphs, width: int, health: Health
) -> list[Line]:
    title = f"{subject.resource_id}, {text.day(subject.date)}"
    status = _status(glyphs, health)
    free = sum(slot.state is SlotState.AVAILABLE for slot in picture.slots)
    facts = [
        f"{text.length(subject.duration)} under {subject.event_type_id}",
        f"times of {subject.zone.key}",
    ]
    if picture.capacity is not None and picture.capacity > 1:
        facts.insert(1, f"{subject.units} of {text.count(picture.capacity, 'unit')}")
    counted = f"{free} available, {len(picture.slots) - free} reserved"
    if not health.withdrawn and len(", ".join([*facts, counted])) <= width:
        facts.append(counted)
    lines: list[Line] = [
        (Styled(line, "dim"),) for line in wrap(", ".join(facts), width, break_long_words=False)
    ]
    if health.withdrawn:
        lines += [
            (Styled(line, "bold red"),)
            for line in wrap(health.withdrawn, width, break_long_words=False)
        ]
    if len(title) + 3 + len(status.text) > width:
        return [(Styled(title, "bold"),), (status,), *lines]
    return [(Styled(title, "bold"), Styled("   "), status), *lines]


def _status(glyphs: Glyphs, health: Health) -> Styled:
    if health.stale_for is not None:
        return Styled(f"{glyphs.lost} stale for {health.stale_for} s", "bold red")
    if health.is_broken:
        return Styled(f"{glyphs.lost} reconnecting{glyphs.more}", "bold yellow")
    return Styled(f"{glyphs.live} live", "green")


def _grid(hours: Sequence[Hour], glyphs: Glyphs, width: int) -> list[Line]:
    lines: list[Line] = []
    for row in quarter.rows(hours, width):
        # A number stands above the first quarter of its hour, so far as there is room.
        labels = "".join(
            f" {h.number:02d}"[: len(h.cells) + 1].ljust(len(h.cells) + 1) for h in row
        )
        lines.append((Styled(labels.rstrip(), "dim"),))
        parts: list[Styled] = []
        for hour in row:
            parts.append(Styled(glyphs.bar, "dim"))
            parts += [Styled(glyphs.quarters[cell.state], _style(cell)) for cell in hour.cells]
        lines.append((*parts, Styled(glyphs.bar, "dim")))
    return lines


def _legend(hours: Sequence[Hour], glyphs: Glyphs, width: int) -> list[Line]:
    shown = {cell.state for hour in hours for cell in hour.cells}
    always = {Quarter.BOOKED, Quarter.HELD, Quarter.FREE}
    order = (
        Quarter.BOOKED, Quarter.PART, Quarter.HELD, Quarter.OWN, Quarter.FREE, Quarter.CLOSED,
    )  # fmt: skip
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
            Styled(glyphs.quarters[state], _STYLES.get(state, _COLOURS[0])),
            Styled(word, "dim"),
        ]
        used += len(word) + 4
    return [tuple(line) for line in lines]


def _holds(
    subject: Subject, picture: DayPicture, glyphs: Glyphs, width: int, now: datetime
) -> list[Line]:
    holds = picture.holds
    if not holds:
        return []
    shown = holds if len(holds) <= _LINES_OF_HOLDS else holds[: _LINES_OF_HOLDS - 1]
    lines: list[Line] = [_EMPTY]
    lines += [_hold(hold, picture.holder_id, subject, glyphs, width, now) for hold in shown]
    if len(shown) < len(holds):
        rest = f" {glyphs.more} {text.count(len(holds) - len(shown), 'more hold')}"
        lines.append((Styled(rest, "dim"),))
    return lines


def _hold(
    hold: LiveHold, own: str, subject: Subject, glyphs: Glyphs, width: int, now: datetime
) -> Line:
    is_own = hold.holder_id == own
    state = Quarter.OWN if is_own else Quarter.HELD
    style = _STYLES[state] if is_own else colour(hold.holder_id)
    who = "you" if is_own else holder(hold.holder_id)
    units = f"   {hold.units} units" if hold.units > 1 else ""
    line = [
        Styled(f" {glyphs.quarters[state]}", style),
        Styled(" held by "),
        Styled(who, style),
        Styled(f"  {time_of(hold, subject)}{units}"),
    ]
    if hold.is_overdue:
        line.append(Styled("   "))
        line += _bar(glyphs, seconds_left(hold.expires_at, now)) if width >= _BAR_WIDTH else []
        line.append(Styled(f"may end {countdown(hold.expires_at, now)}", "bold"))
    return tuple(line)


def _bar(glyphs: Glyphs, seconds: int) -> list[Styled]:
    """A sign for each second that is left."""
    spent = max(_BAR_SECONDS - seconds, 0)
    return [
        Styled(glyphs.full * seconds, "bold yellow"),
        Styled(f"{glyphs.spent * spent} ", "dim"),
    ]


def _news(news: Sequence[News], zone: ZoneInfo, height: int) -> list[Line]:
    count = min(height - 1, _LINES_OF_NEWS, len(news))
    if count < 1:
        return []
    return [
        _EMPTY,
        *(
            (Styled(f" {each.at.astimezone(zone):%H:%M:%S}  ", "dim"), Styled(each.words, "dim"))
            for each in news[-count:]
        ),
    ]


def time_of(hold: LiveHold, subject: Subject) -> str:
    """Writes the time of a hold, with its date where it begins on another than is watched."""
    start, end = hold.start.astimezone(subject.zone), hold.end.astimezone(subject.zone)
    label = range_label(Start(start, end, start, end))
    if start.date() == subject.date:
        return label
    return f"{text.WEEKDAYS[start.weekday()]} {start.day}, {label}"
