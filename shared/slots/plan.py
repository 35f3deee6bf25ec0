"""Everything a query over local dates needs that depends neither on inventory nor on time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from shared.slots.bitmap import starts_of_runs
from shared.slots.offer import starts_by_date
from shared.slots.quantum import QUANTA_PER_DAY, supported_day
from shared.slots.refusal import DurationNotOffered
from shared.slots.rule import BookingRules
from shared.slots.schedule import Schedule

MAX_DATES: Final = 93


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The offered starts of some local dates, aligned with the bitmaps they will be asked of.

    Bit i of ``candidates`` is the start whose occupancy begins at quantum ``base`` + i and whose
    booking begins ``before`` quanta later.
    """

    rules: BookingRules
    days: range  # UTC day numbers whose bitmaps are read
    base: int  # the first quantum of ``days``
    before: int
    occupied: int  # length of an occupancy in quanta
    candidates: int
    dates: tuple[tuple[int, int], ...]  # (shift, bits): the candidates of each date, moved down

    def free(self, busy: Sequence[int], now: datetime) -> int:
        """Returns the candidates that are free and within notice and horizon.

        Args:
            busy: Bitmap of taken quanta of each of ``days``.
            now: The clock's reading.
        """
        found = self.candidates
        taken = shift = 0
        for bits in busy:
            taken |= bits << shift
            shift += QUANTA_PER_DAY
        if taken:
            everything = (1 << shift) - 1
            found &= starts_of_runs(everything ^ taken, self.occupied)
        # Notice and horizon may be ages away: only shifts within the plan are made.
        earliest, latest = self.rules.start_bounds(now)
        early = earliest - self.before - self.base
        if early > 0:
            found = found >> early << early
        if latest is not None:
            within = latest - self.before - self.base + 1
            if within < found.bit_length():
                found &= (1 << max(within, 0)) - 1
        return found

    def has_free(self, busy: Sequence[int], now: datetime) -> list[bool]:
        """Tells for each date whether ``free`` has a start of it."""
        found = self.free(busy, now)
        return [found >> shift & bits != 0 for shift, bits in self.dates]


@lru_cache(maxsize=32768)
def plan_day(
    schedule: Schedule,
    rules: BookingRules,
    day: date,
    duration: timedelta,
    viewer_zone: ZoneInfo | None,
) -> Plan:
    """Returns the plan of one local date.

    Raises:
        DurationNotOffered: The rules do not offer this length.
        DateOutOfRange: The date is outside the supported calendar.
    """
    number = supported_day(day)
    return _plan(schedule, rules, range(number, number + 1), duration, viewer_zone)


@lru_cache(maxsize=4096)
def plan_dates(
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
    return _plan(schedule, rules, range(begin, end + 1), duration, viewer_zone)


def _plan(
    schedule: Schedule,
    rules: BookingRules,
    dates: range,
    duration: timedelta,
    viewer_zone: ZoneInfo | None,
) -> Plan:
    if not rules.offers(duration):
        raise DurationNotOffered(duration)
    by_date = starts_by_date(schedule, rules, dates, duration, viewer_zone)
    starts = 0
    for index, bits in enumerate(by_date):
        starts |= bits << (index * QUANTA_PER_DAY)
    # From here on bits stand for occupancies; ``origin`` is the quantum of bit 0.
    before = rules.quanta_before
    occupied = before + rules.quanta_from(duration)
    origin = (dates.start - 1) * QUANTA_PER_DAY - before
    days = range(0)
    if starts:
        first = origin + _zeros(starts)
        stop = origin + starts.bit_length() - 1 + occupied
        days = range(first // QUANTA_PER_DAY, -(-stop // QUANTA_PER_DAY))
    base = days.start * QUANTA_PER_DAY
    return Plan(
        rules=rules,
        days=days,
        base=base,
        before=before,
        occupied=occupied,
        candidates=_moved(starts, origin - base),
        dates=tuple(
            (_zeros(bits) + origin + index * QUANTA_PER_DAY - base, bits >> _zeros(bits))
            if bits
            else (0, 0)
            for index, bits in enumerate(by_date)
        ),
    )


def _zeros(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _moved(bits: int, by: int) -> int:
    return bits << by if by >= 0 else bits >> -by
