"""Whether the rules admit one start: the write path's question."""

from datetime import date, datetime, timedelta
from typing import Final

from shared.slots.civil import reading
from shared.slots.offer import fits, offered
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

_FIRST_DAY: Final = day_number(FIRST_DATE)
_LAST_DAY: Final = day_number(LAST_DATE)
# A notice may reach beyond what a datetime can say.
_END_OF_TIME: Final = day_number(date.max) * QUANTA_PER_DAY


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
        raise DateOutOfRange(start)
    day = reading(schedule.zone, quantum) // QUANTA_PER_DAY
    if not _FIRST_DAY <= day <= _LAST_DAY:
        raise DateOutOfRange(start)
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
