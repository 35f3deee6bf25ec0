"""Which starts a schedule offers on which dates, before inventory and notice."""

from datetime import timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from shared.slots.bitmap import quanta, runs, starts_of_runs
from shared.slots.civil import place, quanta_of_date, stretches
from shared.slots.opening import open_quanta
from shared.slots.quantum import FIRST_DATE, LAST_DATE, QUANTA_PER_DAY, QUANTUM, day_number
from shared.slots.rule import BookingRules, ClosedHours, ceil_quanta
from shared.slots.schedule import Schedule

_FIRST_DAY: Final = day_number(FIRST_DATE)
_LAST_DAY: Final = day_number(LAST_DATE)
# Wall clocks differ by at most 26 hours, so a viewer's date meets these dates of the schedule.
_DATES_AROUND: Final = 2


def starts_by_date(
    schedule: Schedule,
    rules: BookingRules,
    dates: range,
    duration: timedelta,
    viewer_zone: ZoneInfo | None,
) -> list[int]:
    """Returns the starts of each local date; bit 0 is the first quantum of the UTC day before.

    The dates are the viewer's, by default the schedule's; they select among the same starts.
    """
    if viewer_zone is None or viewer_zone is schedule.zone:
        return [offered(schedule, rules, duration, day) for day in dates]
    first = dates.start - _DATES_AROUND
    starts = 0
    for day in range(max(first, _FIRST_DAY), min(dates.stop + _DATES_AROUND, _LAST_DAY + 1)):
        starts |= offered(schedule, rules, duration, day) << ((day - first) * QUANTA_PER_DAY)
    return [
        starts >> ((day - first) * QUANTA_PER_DAY) & quanta_of_date(viewer_zone, day)
        for day in dates
    ]


@lru_cache(maxsize=16384)
def offered(schedule: Schedule, rules: BookingRules, duration: timedelta, day: int) -> int:
    """Returns the starts offered on the schedule's civil date with this day number.

    Bit 0 of the answer is quantum (day - 1) * 96.
    """
    open_civil = schedule.civil_bitmap(day)
    if not open_civil:
        return 0
    grid = _grid(open_civil, rules.interval_quanta)
    starts = place(schedule.zone, day, grid)
    if rules.closed_hours is ClosedHours.OPEN_AT_ENDS:
        return starts & _ending_open(schedule, duration, day)
    return _fitting(schedule, starts, duration, day)


def fits(schedule: Schedule, rules: BookingRules, start: int, duration: timedelta) -> bool:
    """Tells whether a booking fits the opening hours, whether or not a slot starts there."""
    if rules.closed_hours is ClosedHours.OPEN_AT_ENDS:
        day = start // QUANTA_PER_DAY
        index = start - (day - 1) * QUANTA_PER_DAY
        is_open = open_quanta(schedule, day, day + 1) >> (start % QUANTA_PER_DAY) & 1
        return bool(is_open and _ending_open(schedule, duration, day) >> index & 1)
    return _fits_throughout(schedule, start, duration)


def _fitting(schedule: Schedule, starts: int, duration: timedelta, day: int) -> int:
    if not starts:
        return 0
    length = ceil_quanta(duration)
    base = (day - 1) * QUANTA_PER_DAY
    first = base + (starts & -starts).bit_length() - 1
    last = base + starts.bit_length() - 1
    shifts = stretches(schedule.zone, first, last + length)
    if len(shifts) == 1:
        civil = schedule.civil_bitmaps(day, day + 1 + -(-length // QUANTA_PER_DAY))
        runs_of_open = starts_of_runs(civil, length)
        return starts & (runs_of_open << (QUANTA_PER_DAY - shifts[0].shift))
    return sum(
        1 << index for index in quanta(starts) if _fits_throughout(schedule, base + index, duration)
    )


def _fits_throughout(schedule: Schedule, start: int, duration: timedelta) -> bool:
    # The booking stays in one merged window, by length and by every reading, exactly when all
    # civil quanta between its least and its greatest reading are open.
    shifts = stretches(schedule.zone, start, start + ceil_quanta(duration))
    low = start + shifts[0].shift
    high = low + ceil_quanta(duration + timedelta(seconds=shifts[0].rest))
    for stretch in shifts[1:]:
        low = min(low, stretch.first + stretch.shift)
        high = max(high, stretch.stop + stretch.shift)
    first_day = low // QUANTA_PER_DAY
    civil = schedule.civil_bitmaps(first_day, (high - 1) // QUANTA_PER_DAY + 1)
    wanted = (1 << (high - low)) - 1
    return civil >> (low - first_day * QUANTA_PER_DAY) & wanted == wanted


def _ending_open(schedule: Schedule, duration: timedelta, day: int) -> int:
    """Returns the quanta of which a booking would end within, or at the close of, open hours."""
    length = ceil_quanta(duration)
    stop_day = day + 2 + length // QUANTA_PER_DAY + 1
    is_open = open_quanta(schedule, day - 1, stop_day)
    ends = is_open >> (length - 1)
    return ends if duration % QUANTUM else ends | is_open >> length


@lru_cache(maxsize=4096)
def _grid(open_civil: int, interval: int) -> int:
    # Touching windows of one date are one run of bits, so the grid starts with each run.
    return sum(
        1 << index for first, stop in runs(open_civil) for index in range(first, stop, interval)
    )
