"""Everything a query over local dates needs that depends neither on inventory nor on time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from shared.slots.bitmap import quanta, starts_of_runs
from shared.slots.civil import quanta_of_date
from shared.slots.offer import offered
from shared.slots.quantum import FIRST_DATE, LAST_DATE, QUANTA_PER_DAY, day_number, supported_day
from shared.slots.refusal import DurationNotOffered
from shared.slots.rule import BookingRules
from shared.slots.schedule import Schedule

MAX_DATES: Final = 93

_FIRST_DAY: Final = day_number(FIRST_DATE)
_LAST_DAY: Final = day_number(LAST_DATE)
# Wall clocks differ by at most 26 hours, so a viewer's date meets these dates of the schedule.
_DATES_AROUND: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The offered starts of some local dates, aligned with the bitmaps they will be asked of.

    Bit i of ``candidates`` is the start whose occupancy begins i quanta into ``days``.
    """

    rules: BookingRules
    days: range
    starts: tuple[int, ...]
    # Start of occupancy and start of booking, counted from bit 0.
    origin: int
    occupied: int
    candidates: int
    dates: tuple[tuple[int, int], ...]

    def free(self, busy: Mapping[int, int], now: datetime) -> int:
        """Returns the candidates that are free and within notice and horizon.

        Args:
            busy: Bitmap of taken quanta by UTC day number; a missing day is free.
            now: The clock's reading.
        """
        found = self.candidates
        taken = 0
        for index, day in enumerate(self.days):
            bits = busy.get(day)
            if bits:
                taken |= bits << (index * QUANTA_PER_DAY)
        if taken:
            everything = (1 << (len(self.days) * QUANTA_PER_DAY)) - 1
            found &= starts_of_runs(everything ^ taken, self.occupied)
        earliest, latest = self.rules.start_bounds(now)
        early = earliest - self.origin
        if early > 0:
            found = found >> early << early
        if latest is not None:
            found &= (1 << max(latest - self.origin + 1, 0)) - 1
        return found


@lru_cache(maxsize=8192)
def plan(
    schedule: Schedule,
    rules: BookingRules,
    first: date,
    last: date,
    duration: timedelta,
    viewer_zone: ZoneInfo | None,
) -> Plan:
    """Returns the plan of the local dates first to last, both inclusive.

    Raises:
        DurationNotOffered: The rules do not offer this length.
        DateOutOfRange: A date is outside the supported calendar.
        ValueError: ``last`` is before ``first``, or there are more than 93 dates.
    """
    begin, end = supported_day(first), supported_day(last)
    if not begin <= end < begin + MAX_DATES:
        raise ValueError(f"{first} to {last} are not 1 to {MAX_DATES} dates")
    if not rules.offers(duration):
        raise DurationNotOffered(duration)
    by_date = _by_date(schedule, rules, duration, range(begin, end + 1), viewer_zone)
    base = (begin - 1) * QUANTA_PER_DAY
    everything = 0
    for index, bits in enumerate(by_date):
        everything |= bits << (index * QUANTA_PER_DAY)
    starts = tuple(base + index for index in quanta(everything))
    before, after = rules.quanta_before, rules.quanta_from(duration)
    if starts:
        days = range(
            (starts[0] - before) // QUANTA_PER_DAY, (starts[-1] + after - 1) // QUANTA_PER_DAY + 1
        )
    else:
        days = range(0)
    origin = days.start * QUANTA_PER_DAY + before
    return Plan(
        rules=rules,
        days=days,
        starts=starts,
        origin=origin,
        occupied=before + after,
        candidates=_shifted(everything, base - origin),
        dates=tuple(
            _compact(bits, base + index * QUANTA_PER_DAY - origin)
            for index, bits in enumerate(by_date)
        ),
    )


def _by_date(
    schedule: Schedule,
    rules: BookingRules,
    duration: timedelta,
    days: range,
    viewer_zone: ZoneInfo | None,
) -> list[int]:
    """Returns the starts of each date; bit 0 is the quantum one UTC day before the date's."""
    if viewer_zone is None or viewer_zone is schedule.zone:
        return [offered(schedule, rules, duration, day) for day in days]
    first = days.start - _DATES_AROUND
    everything = 0
    for day in range(max(first, _FIRST_DAY), min(days.stop + _DATES_AROUND, _LAST_DAY + 1)):
        bits = offered(schedule, rules, duration, day)
        everything |= bits << ((day - first) * QUANTA_PER_DAY)
    return [
        everything >> ((day - first) * QUANTA_PER_DAY) & quanta_of_date(viewer_zone, day)
        for day in days
    ]


def _shifted(bits: int, by: int) -> int:
    return bits << by if by >= 0 else bits >> -by


def _compact(bits: int, by: int) -> tuple[int, int]:
    """Returns (shift, small mask) such that mask << shift is ``bits`` moved up by ``by``."""
    if not bits:
        return 0, 0
    zeros = (bits & -bits).bit_length() - 1
    return zeros + by, bits >> zeros
