"""Reads what people type: lengths, dates, wall times and opening hours. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

_LENGTH: Final = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m(?:in)?)?", re.ASCII)
_MINUTES: Final = re.compile(r"\d{1,7}", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MONTH: Final = re.compile(r"\d{4}-\d{2}", re.ASCII)
_MOMENT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?", re.ASCII | re.IGNORECASE
)
_UNITS: Final = re.compile(r"\d{1,5}", re.ASCII)
_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{22,128}", re.ASCII)
_TOKEN: Final = re.compile(r"(?:[0-9a-f]{2}){1,4096}", re.ASCII | re.IGNORECASE)
_WINDOW: Final = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", re.ASCII)
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9998
_MINUTES_PER_DAY: Final = 24 * 60
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY_GROUPS: Final = {
    "daily": tuple(range(1, 8)),
    "weekdays": tuple(range(1, 6)),
    "weekends": (6, 7),
}


class Window(NamedTuple):
    """Opening hours within one day, in minutes since midnight."""

    start_minute: int
    end_minute: int


class DayWindow(NamedTuple):
    """Opening hours of one weekday, 1 for Monday to 7 for Sunday."""

    weekday: int
    window: Window


class Item(NamedTuple):
    """One resource, and how many units of it."""

    resource_id: str
    units: int


def parse_session(text: str) -> str:
    """Reads the secret of a session.

    Raises:
        ValueError: It is none that presence takes.
    """
    if not _SESSION.fullmatch(text):
        raise ValueError("a session is 22 to 128 of A-Z a-z 0-9 _ -, hard to guess")
    return text


def parse_length(text: str) -> timedelta:
    """Reads a length: minutes (``60``), or days, hours and minutes (``1d12h``, ``90m``).

    Raises:
        ValueError: It is no length, or none at all.
    """
    wanted = text.strip().lower()
    if _MINUTES.fullmatch(wanted):
        length = timedelta(minutes=int(wanted))
    elif wanted and (match := _LENGTH.fullmatch(wanted)):
        days, hours, minutes = (int(part or 0) for part in match.groups())
        length = timedelta(days=days, hours=hours, minutes=minutes)
    else:
        raise ValueError(f"{text!r} is no length: write minutes (60), or 90m, 5h, 2d, 1h30m")
    return length


def parse_date(text: str) -> date:
    """Reads a date.

    Raises:
        ValueError: It is not written YYYY-MM-DD, or there is no such day.
    """
    if not _DATE.fullmatch(text):
        raise ValueError(f"{text!r} is no date: write it like 2027-03-09")
    try:
        return _within_years(date.fromisoformat(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no date: {error}") from error


def parse_month(text: str) -> date:
    """Reads a month and returns its first day.

    Raises:
        ValueError: It is not written YYYY-MM, or there is no such month.
    """
    if not _MONTH.fullmatch(text):
        raise ValueError(f"{text!r} is no month: write it like 2027-03")
    try:
        return _within_years(date.fromisoformat(f"{text}-01"))
    except ValueError as error:
        raise ValueError(f"{text!r} is no month: {error}") from error


def parse_moment(text: str) -> datetime:
    """Reads a date and time: naive when it names no offset, a wall time somewhere.

    Raises:
        ValueError: It is not written YYYY-MM-DDTHH:MM, or there is no such time.
    """
    if not _MOMENT.fullmatch(text):
        raise ValueError(
            f"{text!r} is no date and time: write it like 2027-03-09T10:00, which is local, or"
            " 2027-03-09T10:00Z, or 2027-03-09T10:00+01:00"
        )
    try:
        moment = datetime.fromisoformat(text.upper())
        _within_years(moment.date())
    except ValueError as error:
        raise ValueError(f"{text!r} is no date and time: {error}") from error
    return moment


def parse_when(text: str) -> date:
    """Reads a date, or a date and time, which is a datetime then.

    Raises:
        ValueError: It is neither.
    """
    return parse_date(text) if _DATE.fullmatch(text) else parse_moment(text)


def parse_item(text: str) -> Item:
    """Reads a resource with how many units of it (``mic:3``); one unit when it does not say.

    Raises:
        ValueError: There is no resource, or no number of units from 1 on.
    """
    resource_id, colon, units = text.partition(":")
    is_counted = _UNITS.fullmatch(units) and int(units) > 0
    if not resource_id or (colon and not is_counted):
        raise ValueError(f"{text!r} is no resource with units: write it like mic or mic:3")
    return Item(resource_id, int(units) if colon else 1)


def parse_token(text: str) -> bytes:
    """Reads a token that a watch printed.

    Raises:
        ValueError: No watch prints such a thing.
    """
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is no token that a watch printed")
    return bytes.fromhex(text)


def parse_hours(text: str) -> list[DayWindow]:
    """Reads weekly opening hours: days, then windows (``mon-fri 09:00-12:00,13:00-17:00``).

    Days are names, ranges that may run over Sunday, lists of both, or daily, weekdays, weekends.

    Raises:
        ValueError: They cannot be read. Whether windows overlap is the catalog's business.
    """
    days, _, windows = text.strip().lower().partition(" ")
    if not windows.strip():
        raise ValueError(f"{text!r} is no opening time: write it like 'mon-fri 09:00-17:00'")
    parsed = parse_windows(windows)
    return [DayWindow(day, window) for day in _weekdays(days) for window in parsed]


def parse_windows(text: str) -> list[Window]:
    """Reads windows within a day, separated by commas (``09:00-12:00,13:00-24:00``).

    Raises:
        ValueError: They cannot be read.
    """
    return [_window(part.strip()) for part in text.split(",")]


def parse_label(text: str) -> tuple[str, str]:
    """Reads ``key=value``.

    Raises:
        ValueError: There is no key or no equals sign.
    """
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(f"{text!r} is no label: write it like floor=2")
    return key, value


def parse_range(text: str) -> tuple[timedelta, timedelta, timedelta]:
    """Reads a range of lengths with a step (``30m-4h/30m``): shortest, longest, step.

    Raises:
        ValueError: It cannot be read.
    """
    bounds, slash, step = text.partition("/")
    shortest, dash, longest = bounds.partition("-")
    if not slash or not dash:
        raise ValueError(f"{text!r} is no range of lengths: write it like 30m-4h/30m")
    return parse_length(shortest), parse_length(longest), parse_length(step)


def _weekdays(text: str) -> Sequence[int]:
    found: list[int] = []
    for part in text.split(","):
        if part in _DAY_GROUPS:
            found.extend(_DAY_GROUPS[part])
            continue
        first, dash, last = part.partition("-")
        start = _weekday(first)
        stop = _weekday(last) if dash else start
        found.extend((start - 1 + step) % 7 + 1 for step in range((stop - start) % 7 + 1))
    return sorted(set(found))


def _weekday(text: str) -> int:
    for names in (_DAYS, _DAY_NAMES):
        if text in names:
            return names.index(text) + 1
    raise ValueError(f"{text!r} is no weekday: mon, tue, wed, thu, fri, sat, sun, or daily")


def _window(text: str) -> Window:
    match = _WINDOW.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no window: write it like 09:00-17:00")
    start_hour, start_minute, end_hour, end_minute = (int(part) for part in match.groups())
    window = Window(start_hour * 60 + start_minute, end_hour * 60 + end_minute)
    readable = max(start_minute, end_minute) < 60  # noqa: PLR2004  # minutes in an hour
    if not readable or not window.start_minute < window.end_minute <= _MINUTES_PER_DAY:
        raise ValueError(f"{text!r} is no window: it must end after it starts, by 24:00")
    return window


def _within_years(day: date) -> date:
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise ValueError(f"years run from {_FIRST_YEAR} to {_LAST_YEAR}")
    return day
