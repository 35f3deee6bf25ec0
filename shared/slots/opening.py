"""When a schedule is open, as quanta and as instants."""

from datetime import date, datetime
from functools import lru_cache

from shared.slots.bitmap import runs
from shared.slots.civil import quanta_of_date, unroll
from shared.slots.quantum import (
    FIRST_DATE,
    LAST_DATE,
    QUANTA_PER_DAY,
    DateOutOfRange,
    day_number,
    instant,
    supported_day,
)
from shared.slots.schedule import Schedule


def open_bitmaps(schedule: Schedule, first_day_number: int, last_day_number: int) -> dict[int, int]:
    """Returns the open quanta of each UTC day from first to last, both inclusive.

    Raises:
        DateOutOfRange: A day is outside the supported calendar.
    """
    for day in (first_day_number, last_day_number):
        if not day_number(FIRST_DATE) <= day <= day_number(LAST_DATE):
            raise DateOutOfRange(day)
    return {day: _open_day(schedule, day) for day in range(first_day_number, last_day_number + 1)}


def open_quanta(schedule: Schedule, first_day: int, stop_day: int) -> int:
    """Returns the open quanta of UTC days end to end; bit 0 is quantum first_day * 96."""
    return int.from_bytes(
        b"".join(
            _open_day(schedule, day).to_bytes(12, "little") for day in range(first_day, stop_day)
        ),
        "little",
    )


def open_intervals(schedule: Schedule, first: date, last: date) -> list[tuple[datetime, datetime]]:
    """Returns the effective hours of local dates, both inclusive: merged, half-open, in UTC.

    Raises:
        DateOutOfRange: A date is outside the supported calendar.
    """
    begin, end = supported_day(first), supported_day(last)
    found = 0
    for day in range(begin, end + 1):
        found |= quanta_of_date(schedule.zone, day) << ((day - begin) * QUANTA_PER_DAY)
    found &= open_quanta(schedule, begin - 1, end + 2)
    base = (begin - 1) * QUANTA_PER_DAY
    return [(instant(base + low), instant(base + high)) for low, high in runs(found)]


@lru_cache(maxsize=16384)
def _open_day(schedule: Schedule, day: int) -> int:
    first = day * QUANTA_PER_DAY
    civil = schedule.civil_bitmaps(day - 1, day + 2)
    return unroll(schedule.zone, first, first + QUANTA_PER_DAY, civil, first - QUANTA_PER_DAY)
