"""The quarter hours of a live day by the clock of its zone, and how each stands. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from itertools import groupby
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from shared.client.day_view import DayPicture
from shared.client.days_fold import UNTOUCHED, DayKey
from shared.client.live_hold import LiveHold
from shared.slots.quantum import QUANTA_PER_DAY, day_date, day_number, instant

# No clock is further from UTC, on either side.
_FURTHEST: Final = QUANTA_PER_DAY
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class Quarter(Enum):
    """How a quarter hour stands."""

    FREE = "free"
    HELD = "held"
    OWN = "yours"
    BOOKED = "booked"
    PART = "booked in part"
    CLOSED = "closed"
    UNKNOWN = "not followed"


class Cell(NamedTuple):
    """One quarter hour.

    Attributes:
        state: How it stands.
        holder_id: HELD: who holds it, of several the first.
        is_ending: HELD: whether nobody renews it any more.
    """

    state: Quarter
    holder_id: str = ""
    is_ending: bool = False


class Hour(NamedTuple):
    """The quarter hours that begin while the clock shows one hour, of one offset from UTC.

    When clocks are put back, two of them have the same number.
    """

    number: int
    cells: tuple[Cell, ...]


def local_quanta(day: date, zone: ZoneInfo) -> list[int]:
    """Returns the absolute quanta that begin on a zone's date, ascending; a zone may skip it."""
    midnight = day_number(day) * QUANTA_PER_DAY
    around = range(midnight - _FURTHEST, midnight + QUANTA_PER_DAY + _FURTHEST)
    return [quantum for quantum in around if instant(quantum).astimezone(zone).date() == day]


def hours(
    picture: DayPicture,
    resource_id: str,
    day: date,
    zone: ZoneInfo,
    opened: frozenset[int] | None = None,
) -> list[Hour]:
    """Returns a local date from its first quarter hour to its last.

    Args:
        picture: What is known.
        resource_id: Whose date.
        day: Which.
        zone: By whose clock.
        opened: The absolute quanta in opening hours; None where they are not known.
    """
    quanta = local_quanta(day, zone)
    stands = dict(zip(quanta, _cells(picture, resource_id, quanta, opened), strict=True))

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


def _cells(
    picture: DayPicture, resource_id: str, quanta: Sequence[int], opened: frozenset[int] | None
) -> Iterator[Cell]:
    held = _held(picture)
    for quantum in quanta:
        number, index = divmod(quantum, QUANTA_PER_DAY)
        key = DayKey(resource_id, day_date(number))
        day = picture.days.get(key, UNTOUCHED)
        if key not in picture.days:
            yield Cell(Quarter.UNKNOWN)
        elif day.busy >> index & 1:
            yield Cell(Quarter.BOOKED)
        elif quantum in held:
            yield held[quantum]
        elif day.units_taken and day.units_taken[index]:
            yield Cell(Quarter.PART)
        elif opened is not None and quantum not in opened:
            yield Cell(Quarter.CLOSED)
        else:
            yield Cell(Quarter.FREE)


def _held(picture: DayPicture) -> dict[int, Cell]:
    """Returns who holds each quarter hour: the viewer before others, the first before the rest."""
    held: dict[int, Cell] = {}

    def by_turn(hold: LiveHold) -> tuple[bool, datetime]:
        return hold.holder_id != picture.holder_id, hold.acquired_at or _LONG_AGO

    for hold in sorted(picture.holds, key=by_turn):
        is_own = hold.holder_id == picture.holder_id
        state = Quarter.OWN if is_own else Quarter.HELD
        cell = Cell(state, hold.holder_id, hold.is_overdue)
        for quantum in range(hold.span.first, hold.span.stop):
            held.setdefault(quantum, cell)
    return held
