"""The quarter hours of a live day by the clock of its zone, and how each stands. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from enum import Enum
from itertools import groupby
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from shared.client.day_view import DayPicture
from shared.client.days_fold import DayKey
from shared.slots.quantum import QUANTA_PER_DAY, day_date, day_number, instant

# No clock is further from UTC, on either side.
_FURTHEST: Final = QUANTA_PER_DAY


class Quarter(Enum):
    """How a quarter hour stands."""

    FREE = "free"
    HELD = "held"
    OWN = "yours"
    BOOKED = "booked"
    UNKNOWN = "not followed"


class Hour(NamedTuple):
    """The quarter hours that begin while the clock shows one hour, of one offset from UTC.

    When clocks are put back, two of them have the same number.
    """

    number: int
    quarters: tuple[Quarter, ...]


def local_quanta(day: date, zone: ZoneInfo) -> list[int]:
    """Returns the absolute quanta that begin on a zone's date, ascending; a zone may skip it."""
    midnight = day_number(day) * QUANTA_PER_DAY
    around = range(midnight - _FURTHEST, midnight + QUANTA_PER_DAY + _FURTHEST)
    return [quantum for quantum in around if instant(quantum).astimezone(zone).date() == day]


def hours(picture: DayPicture, resource_id: str, day: date, zone: ZoneInfo) -> list[Hour]:
    """Returns a local date from its first quarter hour to its last, as the picture has it."""
    quanta = local_quanta(day, zone)
    stands = dict(zip(quanta, _states(picture, resource_id, quanta), strict=True))

    def by_clock(quantum: int) -> tuple[int, object]:
        reading = instant(quantum).astimezone(zone)
        return reading.hour, reading.utcoffset()

    return [
        Hour(number, tuple(stands[quantum] for quantum in members))
        for (number, _), members in groupby(quanta, key=by_clock)
    ]


def rows(hours: Sequence[Hour], width: int) -> list[list[Hour]]:
    """Returns the hours in as few rows as fit, each of about as many."""
    # A column a quarter hour and one for the line beside it; one more at the end.
    fitting = max((width - 1) // 5, 1)
    count = max(-(-len(hours) // fitting), 1)
    per_row = max(-(-len(hours) // count), 1)
    return [list(hours[first : first + per_row]) for first in range(0, len(hours), per_row)]


def _states(picture: DayPicture, resource_id: str, quanta: Sequence[int]) -> Iterator[Quarter]:
    held: dict[int, Quarter] = {}
    for hold in picture.holds:
        is_own = hold.holder_id == picture.holder_id
        for quantum in range(hold.span.first, hold.span.stop):
            if is_own or quantum not in held:
                held[quantum] = Quarter.OWN if is_own else Quarter.HELD
    for quantum in quanta:
        number, index = divmod(quantum, QUANTA_PER_DAY)
        known = picture.days.get(DayKey(resource_id, day_date(number)))
        if known is None:
            yield Quarter.UNKNOWN
        elif known.busy >> index & 1:
            yield Quarter.BOOKED
        else:
            yield held.get(quantum, Quarter.FREE)
