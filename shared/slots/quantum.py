"""Quarter hours as integers: the unit in which all inventory is counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

QUANTUM: Final = timedelta(minutes=15)
QUANTA_PER_DAY: Final = 96
SECONDS_PER_QUANTUM: Final = 900

# Local dates the engine answers for: whatever a booking of theirs touches is a valid datetime.
FIRST_DATE: Final = date(1970, 1, 1)
LAST_DATE: Final = date(9998, 12, 31)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = FIRST_DATE.toordinal()
_MICROSECOND: Final = timedelta(microseconds=1)
_QUANTUM_MICROSECONDS: Final = SECONDS_PER_QUANTUM * 1_000_000


class OffGrid(ValueError):
    """The instant is not a quarter hour."""

    def __init__(self, instant: datetime) -> None:
        super().__init__(f"{instant.isoformat()} is not a quarter hour")
        self.instant = instant


class DateOutOfRange(ValueError):
    """The date, day number or quantum lies outside the supported calendar."""

    def __init__(self, value: date | int) -> None:
        super().__init__(f"{value} is outside the supported calendar")
        self.value = value


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of absolute quantum numbers, never empty.

    Raises:
        ValueError: ``first`` is not below ``stop``.
    """

    first: int
    stop: int

    def __post_init__(self) -> None:
        if self.first >= self.stop:
            raise ValueError(f"span {self.first}..{self.stop} is empty or reversed")

    def __len__(self) -> int:
        return self.stop - self.first

    def overlaps(self, other: "Span") -> bool:
        """Tells whether the two spans share a quantum."""
        return self.first < other.stop and other.first < self.stop

    def masks(self) -> Iterator[tuple[int, int]]:
        """Yields (day number, 96-bit mask) for each UTC day touched, ascending."""
        for day in range(self.first // QUANTA_PER_DAY, (self.stop - 1) // QUANTA_PER_DAY + 1):
            base = day * QUANTA_PER_DAY
            low = max(self.first - base, 0)
            high = min(self.stop - base, QUANTA_PER_DAY)
            yield day, (1 << high) - (1 << low)


def number(instant: datetime) -> int:
    """Returns the absolute quantum number that starts at ``instant``; 0 is 1970-01-01T00:00Z.

    Raises:
        OffGrid: The instant is not a quarter hour; it is never rounded.
        ValueError: The datetime is naive.
    """
    quantum, rest = divmod(microseconds(instant), _QUANTUM_MICROSECONDS)
    if rest:
        raise OffGrid(instant)
    return quantum


def instant(number: int) -> datetime:
    """Returns the aware UTC datetime at which quantum ``number`` starts.

    Raises:
        DateOutOfRange: The quantum lies outside what a datetime can say.
    """
    try:
        return _EPOCH + timedelta(0, number * SECONDS_PER_QUANTUM)
    except OverflowError:
        raise DateOutOfRange(number) from None


def day_number(day: date) -> int:
    """Returns the days since 1970-01-01; quantum n lies in day n // 96 at index n % 96."""
    return day.toordinal() - _EPOCH_ORDINAL


def supported_day(day: date) -> int:
    """Returns the day number of a date the engine answers for.

    Raises:
        DateOutOfRange: Not FIRST_DATE <= day <= LAST_DATE.
    """
    if not FIRST_DATE <= day <= LAST_DATE:
        raise DateOutOfRange(day)
    return day_number(day)


def day_date(day_number: int) -> date:
    """Returns the date of a day number.

    Raises:
        DateOutOfRange: The day lies outside the years 1 to 9999.
    """
    try:
        return date.fromordinal(day_number + _EPOCH_ORDINAL)
    except (ValueError, OverflowError):
        raise DateOutOfRange(day_number) from None


def covering(start: datetime, end: datetime) -> Span:
    """Returns the smallest span that covers [start, end): start rounded down, end rounded up.

    Raises:
        ValueError: ``end`` is not after ``start``, or a datetime is naive.
    """
    first, stop = microseconds(start), microseconds(end)
    if stop <= first:
        raise ValueError(f"{end.isoformat()} is not after {start.isoformat()}")
    return Span(first // _QUANTUM_MICROSECONDS, -(-stop // _QUANTUM_MICROSECONDS))


def microseconds(instant: datetime) -> int:
    """Returns the microseconds since 1970-01-01T00:00Z.

    Raises:
        ValueError: The datetime is naive.
    """
    if instant.utcoffset() is None:
        raise ValueError(f"{instant.isoformat()} has no time zone")
    return (instant - _EPOCH) // _MICROSECOND
