"""What an event type allows: lengths, slot interval, buffers, notice and horizon."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from shared.slots.quantum import QUANTUM, Span, microseconds, number

MAX_BOOKING: Final = timedelta(days=31)

_ZERO: Final = timedelta()
_MICROSECOND: Final = timedelta(microseconds=1)
_QUANTUM_MICROSECONDS: Final = QUANTUM // _MICROSECOND


class ClosedHours(Enum):
    """Whether a booking may reach over closed hours."""

    OPEN_THROUGHOUT = auto()
    OPEN_AT_ENDS = auto()


class InvalidRule(ValueError):
    """A rule's value is out of range; ``field`` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class DurationRange:
    """Every length minimum + k * step up to and including ``maximum``.

    Raises:
        InvalidRule: Not 0 < minimum <= maximum <= MAX_BOOKING, or the step is not positive.
    """

    minimum: timedelta
    maximum: timedelta
    step: timedelta

    def __post_init__(self) -> None:
        _require(self.minimum > _ZERO, "flexible.minimum", "is not positive")
        _require(self.minimum <= self.maximum, "flexible.maximum", "is below the minimum")
        _require(self.maximum <= MAX_BOOKING, "flexible.maximum", "is over 31 days")
        _require(self.step > _ZERO, "flexible.step", "is not positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingRules:
    """The rules of one event type, validated and immutable.

    Args:
        durations: The offered lengths, strictly ascending; or
        flexible: a range of lengths. Exactly one of the two is given.
        interval: Between starts, a multiple of 15 minutes; default: the smallest duration
            rounded up to a quarter hour.
        buffer_before: Occupied before the start, at most 31 days.
        buffer_after: Occupied after the end, at most 31 days.
        minimum_notice: The least start - now, inclusive.
        horizon: The greatest start - now, inclusive; None: unlimited.
        closed_hours: Whether bookings may reach over closed hours.

    Raises:
        InvalidRule: A value is out of range.
    """

    durations: tuple[timedelta, ...] = ()
    flexible: DurationRange | None = None
    interval: timedelta | None = None
    buffer_before: timedelta = _ZERO
    buffer_after: timedelta = _ZERO
    minimum_notice: timedelta = _ZERO
    horizon: timedelta | None = None
    closed_hours: ClosedHours = ClosedHours.OPEN_THROUGHOUT
    # Rules are part of every cache key, and a generated hash costs more than a day's slots.
    _hash: int = field(init=False, repr=False, compare=False)
    # In microseconds: they are added to the present at every question.
    _notice: int = field(init=False, repr=False, compare=False)
    _horizon: int | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "durations", tuple(self.durations))
        _check_durations(self.durations, self.flexible)
        if self.interval is not None:
            _require(self.interval > _ZERO, "interval", "is not positive")
            _require(not self.interval % QUANTUM, "interval", "is not a multiple of 15 minutes")
        for name in ("buffer_before", "buffer_after"):
            _require(_ZERO <= getattr(self, name) <= MAX_BOOKING, name, "is not in 0..31 days")
        _require(self.minimum_notice >= _ZERO, "minimum_notice", "is negative")
        _require(self.horizon is None or self.horizon >= _ZERO, "horizon", "is negative")
        content = (
            *(self.durations, self.flexible, self.interval, self.buffer_before),
            *(self.buffer_after, self.minimum_notice, self.horizon, self.closed_hours),
        )
        object.__setattr__(self, "_hash", hash(content))
        object.__setattr__(self, "_notice", self.minimum_notice // _MICROSECOND)
        horizon = None if self.horizon is None else self.horizon // _MICROSECOND
        object.__setattr__(self, "_horizon", horizon)

    def __hash__(self) -> int:
        return self._hash

    @property
    def interval_quanta(self) -> int:
        """Quarter hours between starts."""
        smallest = self.flexible.minimum if self.flexible else min(self.durations, default=_ZERO)
        return ceil_quanta(smallest if self.interval is None else self.interval)

    @property
    def quanta_before(self) -> int:
        """Quarter hours occupied before a start."""
        return ceil_quanta(self.buffer_before)

    def quanta_from(self, duration: timedelta) -> int:
        """Returns the quarter hours occupied from the start on, the buffer after it included."""
        return ceil_quanta(duration + self.buffer_after)

    def offers(self, duration: timedelta) -> bool:
        """Tells whether the length is one of the offered."""
        if self.flexible is None:
            return duration in self.durations
        minimum, maximum = self.flexible.minimum, self.flexible.maximum
        return minimum <= duration <= maximum and not (duration - minimum) % self.flexible.step

    def occupancy(self, start: datetime, duration: timedelta) -> Span:
        """Returns the quanta of [start - buffer before, end + buffer after], rounded out.

        Raises:
            OffGrid: The start is not a quarter hour.
        """
        first = number(start)
        return Span(first - self.quanta_before, first + self.quanta_from(duration))

    def start_bounds(self, now: datetime) -> tuple[int, int | None]:
        """Returns the first and the last quantum that notice and horizon let start, inclusive."""
        present = microseconds(now)
        earliest = -(-(present + self._notice) // _QUANTUM_MICROSECONDS)
        if self._horizon is None:
            return earliest, None
        return earliest, (present + self._horizon) // _QUANTUM_MICROSECONDS


def ceil_quanta(length: timedelta) -> int:
    """Returns the quarter hours that a length takes, rounded up."""
    return -(-length // QUANTUM)


def _check_durations(durations: tuple[timedelta, ...], flexible: DurationRange | None) -> None:
    _require(bool(durations) == (flexible is None), "durations", "or a flexible range, not both")
    for shorter, longer in zip((_ZERO, *durations), durations, strict=False):
        _require(shorter < longer, "durations", "are not positive and strictly ascending")
        _require(longer <= MAX_BOOKING, "durations", "are over 31 days")


def _require(condition: bool, field: str, message: str) -> None:  # noqa: FBT001  # the guard itself
    if not condition:
        raise InvalidRule(field, message)
