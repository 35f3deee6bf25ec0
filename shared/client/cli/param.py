"""The kinds of values that options and arguments take."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import click

from shared.client.cli import parse
from shared.client.cli.invocation import Seconds
from shared.slots.zone import UnknownZone, zone, zone_names

_LONGEST_FOR: Final = 31 * 24 * 60 * 60
_MOST_UNITS: Final = 10_000

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


class Parsed(click.ParamType[Any, str]):
    """A value that one function reads; what it says is shown when it cannot."""

    def __init__(self, name: str, read: Callable[[str], object]) -> None:
        self.name = name
        self._read = read

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Reads the text; a value that was read already is kept."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def read_zone(name: str) -> ZoneInfo:
    """Returns the zone of that name.

    Raises:
        ValueError: There is none; similar names are named.
    """
    try:
        return zone(name)
    except UnknownZone:
        by_lower_case = {known.lower(): known for known in zone_names()}
        close = [by_lower_case[n] for n in get_close_matches(name.lower(), by_lower_case, n=3)]
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(f"{name[:64]!r} is no time zone{hint}") from None


def zone_or_utc(name: str) -> ZoneInfo:
    """Returns the zone; UTC for a name that only a service's newer zone data knows."""
    try:
        return zone(name)
    except UnknownZone:
        return zone("UTC")


LENGTH: Final = Parsed("LENGTH", parse.parse_length)
DATE: Final = Parsed("DATE", parse.parse_date)
MONTH: Final = Parsed("MONTH", parse.parse_month)
MOMENT: Final = Parsed("TIME", parse.parse_moment)
HOURS: Final = Parsed("HOURS", parse.parse_hours)
WINDOWS: Final = Parsed("WINDOWS", parse.parse_windows)
WHEN: Final = Parsed("WHEN", parse.parse_when)
ITEM: Final = Parsed("ITEM", parse.parse_item)
WATCH_TOKEN: Final = Parsed("TOKEN", parse.parse_token)
LABEL: Final = Parsed("KEY=VALUE", parse.parse_label)
LENGTH_RANGE: Final = Parsed("RANGE", parse.parse_range)
ZONE: Final = Parsed("ZONE", read_zone)
SESSION: Final = Parsed("SECRET", parse.parse_session)


def zone_option(text: str) -> Callable[[_Decorated], _Decorated]:
    """``--time-zone ZONE``."""
    return click.option("--time-zone", "time_zone", type=ZONE, help=text)


def duration_option(command: _Decorated) -> _Decorated:
    """``--duration LENGTH``."""
    text = "How long: minutes (60), or 90m, 5h, 2d. Needed unless only one length is on offer."
    return click.option("--duration", type=LENGTH, callback=_longer_than_zero, help=text)(command)


def event_type_option(command: _Decorated) -> _Decorated:
    """``--event-type ID``."""
    text = (
        "Under which event type. Without it: the active one of the resource that offers the"
        " length; of several, the one with the fewest lengths."
    )
    return click.option("--event-type", "event_type_id", metavar="ID", help=text)(command)


def units_option(text: str = "How many units.  [default: 1]") -> Callable[[_Decorated], _Decorated]:
    """``--units N``; 0 when it is not given, which the contracts take for their default."""
    return click.option(
        "--units",
        metavar="N",
        type=click.IntRange(min=1, max=_MOST_UNITS),
        callback=lambda _context, _option, value: value or 0,
        help=text,
    )


def with_option(text: str) -> Callable[[_Decorated], _Decorated]:
    """``--with RESOURCE[:UNITS]``, repeatable."""
    return click.option(
        "--with", "others", metavar="RESOURCE[:UNITS]", type=ITEM, multiple=True, help=text
    )


def moving_option(command: _Decorated) -> _Decorated:
    """``--moving BOOKING``."""
    text = "A booking that is to be moved: its own time counts as free."
    return click.option("--moving", "moving", metavar="BOOKING", default="", help=text)(command)


def reason_option(command: _Decorated) -> _Decorated:
    """``--reason TEXT``."""
    return click.option("--reason", default="", help="Why, for its history.")(command)


def actor_option(command: _Decorated) -> _Decorated:
    """``--actor ID``."""
    text = "Who does it, for its history.  [default: your login name]"
    return click.option("--actor", "actor_id", metavar="ID", help=text)(command)


def token_option(command: _Decorated) -> _Decorated:
    """``--token TOKEN``."""
    text = "The booking's management token; one of another booking finds nothing."
    return click.option("--token", "token", metavar="TOKEN", default="", help=text)(command)


def override_option(command: _Decorated) -> _Decorated:
    """``--override REASON``."""
    text = "Against the rules of length, hours, starts, notice and horizon; the history says why."
    return click.option("--override", metavar="REASON", default="", help=text)(command)


def session_option(text: str) -> Callable[[_Decorated], _Decorated]:
    """``--session SECRET``; None when it is not given."""
    return click.option(
        "--session",
        "secret",
        metavar="SECRET",
        type=SESSION,
        envvar="HOLDFAST_SESSION",
        help=f"{text}  [or HOLDFAST_SESSION, which ps does not show]",
    )


def for_option(text: str) -> Callable[[_Decorated], _Decorated]:
    """``--for SECONDS``."""
    return click.option(
        "--for",
        "seconds",
        metavar="SECONDS",
        type=Seconds(min=0, min_open=True, max=_LONGEST_FOR),
        help=f"{text}  [default: until Ctrl-C]",
    )


def limit_option(command: _Decorated) -> _Decorated:
    """``--limit N``."""
    return click.option(
        "--limit", type=click.IntRange(min=1), help="At most so many.  [default: all]"
    )(command)


def request_id_option(command: _Decorated) -> _Decorated:
    """``--request-id UUID``."""
    text = "Repeat a call safely: the same id with the same content changes nothing twice."
    return click.option("--request-id", metavar="UUID", type=click.UUID, help=text)(command)


def etag_option(command: _Decorated) -> _Decorated:
    """``--etag ETAG``."""
    text = "Only if it is still as it was read: the etag of that reading."
    return click.option("--etag", default="", help=text)(command)


def yes_option(command: _Decorated) -> _Decorated:
    """``--yes``."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def _longer_than_zero(
    _context: click.Context, option: click.Parameter, value: timedelta | None
) -> timedelta | None:
    if value is not None and value <= timedelta(0):
        raise click.UsageError(f"{option.opts[0]} must be longer than 0")
    return value
