"""The questions the services ask: slots of a day, openness of a month, and is this start allowed.

All three read the same offered starts, so a start is listed, counted and accepted alike.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from shared.slots.civil import reading
from shared.slots.offer import fits, offered
from shared.slots.opening import open_bitmaps, open_intervals
from shared.slots.plan import plan
from shared.slots.quantum import (
    FIRST_DATE,
    LAST_DATE,
    QUANTA_PER_DAY,
    DateOutOfRange,
    Span,
    day_number,
    instant,
    number,
)
from shared.slots.refusal import (
    DurationNotOffered,
    NotOfferedStart,
    OutsideSchedule,
    TooFar,
    TooSoon,
)
from shared.slots.rule import BookingRules
from shared.slots.schedule import Schedule

__all__ = [
    "Slot",
    "check",
    "day_slots",
    "days_needed",
    "month",
    "offered_starts",
    "open_bitmaps",
    "open_intervals",
]

_FIRST_DAY: Final = day_number(FIRST_DATE)
_LAST_DAY: Final = day_number(LAST_DATE)
# A notice may reach beyond what a datetime can say.
_END_OF_TIME: Final = day_number(date.max) * QUANTA_PER_DAY


class Slot(NamedTuple):
    """A start that can be booked, in absolute quantum numbers; a tuple, for speed."""

    quantum: int
    first: int
    stop: int

    @property
    def start(self) -> datetime:
        """The start, aware, in UTC."""
        return instant(self.quantum)

    @property
    def occupancy(self) -> Span:
        """What a booking would occupy, buffers included."""
        return Span(self.first, self.stop)


def offered_starts(
    schedule: Schedule,
    rules: BookingRules,
    day: date,
    duration: timedelta,
    viewer_zone: ZoneInfo | None = None,
) -> Sequence[int]:
    """Returns the starts of a local date, ascending, before inventory, notice and horizon.

    The date is the viewer's, by default the schedule's; it selects among the same starts.

    Raises:
        DurationNotOffered: The rules do not offer this length.
        DateOutOfRange: The date is outside the supported calendar.
    """
    return plan(schedule, rules, day, day, duration, viewer_zone).starts


def day_slots(
    schedule: Schedule,
    rules: BookingRules,
    day: date,
    duration: timedelta,
    now: datetime,
    busy: Mapping[int, int],
    viewer_zone: ZoneInfo | None = None,
) -> list[Slot]:
    """Returns the slots of a local date that can be booked now, ascending.

    Args:
        schedule: The opening hours.
        rules: The event type's rules.
        day: A date of the viewer's zone, by default of the schedule's.
        duration: One of the offered lengths.
        now: The clock's reading.
        busy: Taken quanta by UTC day number, for ``days_needed``; a missing day is free.
        viewer_zone: Whose date ``day`` is.

    Raises:
        DurationNotOffered: The rules do not offer this length.
        DateOutOfRange: The date is outside the supported calendar.
    """
    found = plan(schedule, rules, day, day, duration, viewer_zone)
    free, origin = found.free(busy, now), found.origin
    before = rules.quanta_before
    after = found.occupied - before
    return [
        Slot(start, start - before, start + after)
        for start in found.starts
        if free >> (start - origin) & 1
    ]


def month(
    schedule: Schedule,
    rules: BookingRules,
    first: date,
    last: date,
    duration: timedelta,
    now: datetime,
    busy: Mapping[int, int],
    viewer_zone: ZoneInfo | None = None,
) -> list[bool]:
    """Tells for each local date, first to last inclusive, whether ``day_slots`` has a slot.

    Raises:
        DurationNotOffered: The rules do not offer this length.
        DateOutOfRange: A date is outside the supported calendar.
        ValueError: ``last`` is before ``first``, or there are more than 93 dates.
    """
    found = plan(schedule, rules, first, last, duration, viewer_zone)
    free = found.free(busy, now)
    return [free >> shift & bits != 0 for shift, bits in found.dates]


def days_needed(
    schedule: Schedule,
    rules: BookingRules,
    first: date,
    last: date,
    duration: timedelta,
    viewer_zone: ZoneInfo | None = None,
) -> range:
    """Returns the UTC day numbers whose bitmaps ``day_slots`` or ``month`` read; may be empty.

    Raises:
        DurationNotOffered: The rules do not offer this length.
        DateOutOfRange: A date is outside the supported calendar.
        ValueError: ``last`` is before ``first``, or there are more than 93 dates.
    """
    return plan(schedule, rules, first, last, duration, viewer_zone).days


def check(
    schedule: Schedule, rules: BookingRules, start: datetime, duration: timedelta, now: datetime
) -> Span:
    """Returns the occupancy of a booking the rules allow, whatever the inventory says.

    Raises:
        OffGrid: The start is not a quarter hour.
        DateOutOfRange: The start is outside the supported calendar.
        DurationNotOffered: The rules do not offer this length.
        OutsideSchedule: The booking does not fit the opening hours.
        NotOfferedStart: It fits, but no slot starts then.
        TooSoon: The start is past or within the notice.
        TooFar: The start is beyond the horizon.
    """
    quantum = number(start)
    if not _FIRST_DAY - 1 <= quantum // QUANTA_PER_DAY <= _LAST_DAY + 1:
        raise DateOutOfRange(quantum)
    day = reading(schedule.zone, quantum) // QUANTA_PER_DAY
    if not _FIRST_DAY <= day <= _LAST_DAY:
        raise DateOutOfRange(day)
    if not rules.offers(duration):
        raise DurationNotOffered(duration)
    if not offered(schedule, rules, duration, day) >> (quantum - (day - 1) * QUANTA_PER_DAY) & 1:
        if fits(schedule, rules, quantum, duration):
            raise NotOfferedStart(start)
        raise OutsideSchedule(start, start + duration)
    earliest, latest = rules.start_bounds(now)
    if quantum < earliest:
        raise TooSoon(start, instant(min(earliest, _END_OF_TIME)))
    if latest is not None and quantum > latest:
        raise TooFar(start, instant(latest))
    return rules.occupancy(start, duration)
