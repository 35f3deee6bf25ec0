"""Weekly opening hours with exceptions by date."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.runtime.failure import Violation
from shared.slots import schedule as hours
from shared.slots.zone import zone

MAX_WINDOWS_A_DAY: Final = 96
MAX_OVERRIDES: Final = 2_000

_WEEKDAYS: Final = range(1, 8)


class TimeWindow(NamedTuple):
    """Minutes of wall clock within one date: 0 <= start < end <= 1440, on the quarter hour."""

    start_minute: int
    end_minute: int


class WeeklyWindow(NamedTuple):
    """Opening hours of one ISO weekday, 1 is Monday."""

    day: int
    window: TimeWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Opening hours on the wall clock of one zone.

    Attributes:
        windows: Ascending; a weekday without one is closed.
        is_default: At most one of an organization's schedules is.
    """

    schedule_id: str
    name: str
    time_zone: str
    windows: tuple[WeeklyWindow, ...]
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DateOverride:
    """The hours of one civil date, in place of its weekday's; none when unavailable."""

    date: dt.date
    unavailable: bool
    windows: tuple[TimeWindow, ...]
    note: str


def opening_hours(schedule: Schedule, overrides: Iterable[DateOverride]) -> hours.Schedule:
    """The schedule as the slot engine reads it."""
    weekly = {
        day: tuple(hours.Window(*entry.window) for entry in schedule.windows if entry.day == day)
        for day in _WEEKDAYS
    }
    by_date = {
        override.date: tuple(hours.Window(*window) for window in override.windows)
        for override in overrides
    }
    return hours.Schedule(zone(schedule.time_zone), weekly, by_date)


def week_violations(field: str, windows: Sequence[WeeklyWindow]) -> Iterator[Violation]:
    """Yields why weekly windows, in the order the caller gave, cannot stand together."""
    by_day: defaultdict[int, list[tuple[TimeWindow, str]]] = defaultdict(list)
    for index, entry in enumerate(windows):
        by_day[entry.day].append((entry.window, f"{field}[{index}].window"))
    if any(len(day) > MAX_WINDOWS_A_DAY for day in by_day.values()):
        yield Violation(field, f"must have at most {MAX_WINDOWS_A_DAY} windows a weekday")
        return
    for day in by_day.values():
        yield from _together(day)


def date_violations(
    field: str, windows: Sequence[TimeWindow], *, unavailable: bool
) -> Iterator[Violation]:
    """Yields why the windows of one date cannot stand together."""
    if unavailable:
        if windows:
            yield Violation(field, "must be empty on an unavailable date")
        return
    if not 1 <= len(windows) <= MAX_WINDOWS_A_DAY:
        yield Violation(
            field, f"must have 1 to {MAX_WINDOWS_A_DAY} entries unless the date is unavailable"
        )
        return
    yield from _together([(window, f"{field}[{i}]") for i, window in enumerate(windows)])


def _together(windows: list[tuple[TimeWindow, str]]) -> Iterator[Violation]:
    stop = 0
    for window, field in sorted(windows):
        if window.start_minute >= window.end_minute:
            yield Violation(f"{field}.end", "must be later than start")
        elif window.start_minute < stop:
            yield Violation(field, "overlaps another window of its day")
        stop = max(stop, window.end_minute)
