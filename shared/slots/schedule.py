"""Opening hours: weekly windows and date overrides, read on the wall clock of one zone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from shared.slots.bitmap import mask
from shared.slots.quantum import day_number
from shared.slots.zone import zone

MINUTES_PER_DAY: Final = 1440

_MINUTES_PER_QUANTUM: Final = 15
_WEEKDAYS: Final = range(1, 8)
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday, counting Monday as 0


class InvalidWindow(ValueError):
    """A window is off the grid, empty, reversed, out of order, overlapping or of no weekday."""


@dataclass(frozen=True, slots=True)
class Window:
    """Open from ``start_minute`` until before ``end_minute``, minutes of the wall clock.

    Raises:
        InvalidWindow: Not 0 <= start < end <= 1440, or not on the quarter hour.
    """

    start_minute: int
    end_minute: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_minute < self.end_minute <= MINUTES_PER_DAY:
            raise InvalidWindow(f"{self} is not a range within a day")
        if self.start_minute % _MINUTES_PER_QUANTUM or self.end_minute % _MINUTES_PER_QUANTUM:
            raise InvalidWindow(f"{self} is not on the quarter hour")


@dataclass(frozen=True, eq=False)
class Schedule:
    """Immutable opening hours; equal when zone and open quarter hours are.

    Args:
        zone: Whose wall clock the windows are read on; from ``shared.slots.zone``.
        weekly: Windows by ISO weekday, 1 is Monday; a missing weekday is closed.
        overrides: Windows that replace the week's on one civil date; none: unavailable.

    Raises:
        InvalidWindow: A weekday outside 1..7, or windows of a date unsorted or overlapping.
    """

    zone: ZoneInfo
    weekly: Mapping[int, tuple[Window, ...]]
    overrides: Mapping[date, tuple[Window, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not all(weekday in _WEEKDAYS for weekday in self.weekly):
            raise InvalidWindow(f"weekdays {sorted(self.weekly)} are not all in 1..7")
        weekly = {weekday: tuple(windows) for weekday, windows in self.weekly.items()}
        overrides = {day: tuple(windows) for day, windows in self.overrides.items()}
        week_bits = tuple(_bits(weekly.get(weekday, ())) for weekday in _WEEKDAYS)
        day_bits = {day_number(day): _bits(windows) for day, windows in overrides.items()}
        content = (self.zone, week_bits, tuple(sorted(day_bits.items())))
        object.__setattr__(self, "weekly", MappingProxyType(weekly))
        object.__setattr__(self, "overrides", MappingProxyType(overrides))
        object.__setattr__(self, "_week_bits", week_bits)
        object.__setattr__(self, "_day_bits", day_bits)
        object.__setattr__(self, "_content", content)
        object.__setattr__(self, "_hash", hash(content))

    _week_bits: tuple[int, ...] = field(init=False, repr=False)
    _day_bits: dict[int, int] = field(init=False, repr=False)
    _content: tuple[object, ...] = field(init=False, repr=False)
    _hash: int = field(init=False, repr=False)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return self._content == other._content

    def windows(self, day: date) -> tuple[Window, ...]:
        """Returns the windows of a civil date, as they were given."""
        return self.overrides.get(day, self.weekly.get(day.isoweekday(), ()))

    def civil_bitmap(self, day: int) -> int:
        """Returns the open civil quanta of the civil date with this day number."""
        bits = self._day_bits.get(day)
        return self._week_bits[(day + _EPOCH_WEEKDAY) % 7] if bits is None else bits

    def civil_bitmaps(self, first: int, stop: int) -> int:
        """Returns the open civil quanta of the dates first <= day < stop, end to end."""
        return int.from_bytes(
            b"".join(self.civil_bitmap(day).to_bytes(12, "little") for day in range(first, stop)),
            "little",
        )


def default_schedule(zone_name: str) -> Schedule:
    """Returns 09:00 to 17:00 every day.

    Raises:
        UnknownZone: The zone is unknown.
    """
    nine_to_five = (Window(9 * 60, 17 * 60),)
    return Schedule(zone(zone_name), dict.fromkeys(_WEEKDAYS, nine_to_five))


def resolve(
    event_type: Schedule | None,
    resource: Schedule | None,
    organization_default: Schedule | None,
    resource_zone: str,
) -> Schedule:
    """Returns the first schedule that exists, never an intersection.

    Raises:
        UnknownZone: None exists and the resource's zone is unknown.
    """
    return event_type or resource or organization_default or default_schedule(resource_zone)


def _bits(windows: tuple[Window, ...]) -> int:
    bits = 0
    stop = 0
    for window in windows:
        if window.start_minute < stop:
            raise InvalidWindow(f"{window} overlaps or precedes the window before it")
        stop = window.end_minute
        first = window.start_minute // _MINUTES_PER_QUANTUM
        bits |= mask(first, stop // _MINUTES_PER_QUANTUM)
    return bits
