"""Writes values for people: lengths, moments, hours and quarter hours. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from shared.client.cli.parse import DayWindow, Window
from shared.slots.bitmap import runs

# Control characters drive terminals, and direction marks make text read as what it is not.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_REPLACEMENT: Final = "\ufffd"
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
_MINUTES_PER_HOUR: Final = 60
_QUANTUM_MINUTES: Final = 15


def clean(text: str) -> str:
    """Returns stored text as one line that a terminal only shows."""
    return _UNSAFE.sub(_REPLACEMENT, text)


def clean_lines(text: str) -> list[str]:
    """Returns stored text as lines that a terminal only shows."""
    return [clean(line) for line in re.split(r"\r\n|\r|\n", text)]


def length(value: timedelta) -> str:
    """Writes a length as ``1 h 30 min``, ``2 days`` or ``1 day 12 h``."""
    minutes = int(value / timedelta(minutes=1))
    days, minutes = divmod(minutes, 24 * _MINUTES_PER_HOUR)
    hours, minutes = divmod(minutes, _MINUTES_PER_HOUR)
    parts = [
        f"{days} day{'s' if days > 1 else ''}" if days else "",
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes else "",
    ]
    return " ".join(part for part in parts if part) or "0 min"


def offset(value: timedelta) -> str:
    """Writes how far a clock is moved: ``+98 days 2 h``, ``-30 s``."""
    size = abs(value)
    words = length(size) if size >= timedelta(minutes=1) else f"{size.total_seconds():g} s"
    return f"{'-' if value < timedelta(0) else '+'}{words}"


def lengths(values: Iterable[timedelta]) -> str:
    """Writes lengths as ``1, 2 or 5 h``, ``1 or 2 days``, ``30 min or 1 h``."""
    found = list(values)
    if len(found) == 1:
        return length(found[0])
    for unit, word in ((timedelta(days=1), "days"), (timedelta(hours=1), "h")):
        if found and all(not value % unit for value in found):
            return f"{_alternatives([str(value // unit) for value in found])} {word}"
    return _alternatives([length(value) for value in found])


def day(value: date) -> str:
    """Writes a date as ``Tue 9 March 2027``, in English whatever the locale."""
    return f"{WEEKDAYS[value.weekday()]} {value.day} {MONTHS[value.month - 1]} {value.year}"


def moment(value: datetime, zone: ZoneInfo) -> str:
    """Writes an instant by a zone's clock as ``2027-03-09 10:00``."""
    return f"{value.astimezone(zone):%Y-%m-%d %H:%M}"


def span(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """Writes a range by a zone's clock; the second date only where it differs."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    if first.date() == last.date():
        return f"{day(first.date())}, {first:%H:%M} to {last:%H:%M}"
    return f"{day(first.date())}, {first:%H:%M} to {day(last.date())}, {last:%H:%M}"


def iso(value: datetime) -> str:
    """Writes an instant as ISO 8601 with a Z; fractions only where there are any."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def minute_of_day(value: int) -> str:
    """Writes a minute of the day, 0 to 1440, as ``09:00`` or ``24:00``."""
    return f"{value // _MINUTES_PER_HOUR:02d}:{value % _MINUTES_PER_HOUR:02d}"


def window(value: Window) -> str:
    """Writes a window as ``09:00-17:00``."""
    return f"{minute_of_day(value.start_minute)}-{minute_of_day(value.end_minute)}"


def windows(values: Iterable[Window]) -> str:
    """Writes windows as ``09:00-12:00, 13:00-17:00``."""
    return ", ".join(window(value) for value in values)


def hours(values: Iterable[DayWindow]) -> list[str]:
    """Writes weekly hours, neighbouring weekdays of the same hours on one line."""
    by_day: dict[int, list[Window]] = {number: [] for number in range(1, 8)}
    for value in values:
        by_day[value.weekday].append(value.window)
    lines = []
    for text, group in groupby(by_day.items(), key=lambda item: windows(item[1])):
        numbers = [number for number, _ in group]
        if text:
            lines.append(f"{_weekdays(numbers)} {text}")
    return lines


def quanta(indexes: Sequence[int]) -> str:
    """Writes quarter hours of one UTC day as ranges: ``09:00-10:30, 14:00-14:15``."""
    bitmap = sum({1 << index for index in indexes})
    return windows(
        Window(first * _QUANTUM_MINUTES, stop * _QUANTUM_MINUTES) for first, stop in runs(bitmap)
    )


def count(number: int, noun: str) -> str:
    """Writes ``1 day``, ``2 days``, ``1,200 bookings``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def labels(values: Mapping[str, str]) -> str:
    """Writes labels as ``floor=2, piano=yes``, by key."""
    return ", ".join(f"{key}={values[key]}" for key in sorted(values))


def _alternatives(words: Sequence[str]) -> str:
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part) if words else ""


def _weekdays(numbers: Sequence[int]) -> str:
    first, last = WEEKDAYS[numbers[0] - 1], WEEKDAYS[numbers[-1] - 1]
    if len(numbers) == len(WEEKDAYS):
        return "daily"
    return first if first == last else f"{first}-{last}"
