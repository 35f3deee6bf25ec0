"""Folds the messages of WatchDays into the days as they are stored. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.client.watch_event import WatchKind
from shared.slots.bitmap import from_bits
from shared.slots.quantum import QUANTA_PER_DAY

if TYPE_CHECKING:  # only shapes: folding loads no contract
    from holdfast.availability.v1.availability_pb2 import Day, WatchDaysResponse
    from shared.client.failure import HoldfastError

# Numbers of common.v1.WatchEvent.
_KINDS: Final = {1: WatchKind.SNAPSHOT, 2: WatchKind.CHANGES, 3: WatchKind.RESET}


class DayKey(NamedTuple):
    """One UTC day of one resource."""

    resource_id: str
    date: date


class DayState(NamedTuple):
    """What is taken of it.

    Attributes:
        busy: Bit i, the least significant first, is set when no unit is free in quantum i.
        version: Rises with every change; 0 for a day never booked.
        units_taken: Of a pool, in each quantum; empty where nothing is taken, and for a room.
    """

    busy: int
    version: int
    units_taken: tuple[int, ...] = ()


UNTOUCHED: Final = DayState(0, 0)


@dataclass(frozen=True, slots=True)
class DaysState:
    """Everything known of the watched days. A fold makes a new one."""

    days: Mapping[DayKey, DayState] = field(default_factory=dict)
    version: int = 0

    def of(self, resource_id: str, day: date) -> DayState:
        """Returns one day; one that was never told of counts as never booked."""
        return self.days.get(DayKey(resource_id, day), UNTOUCHED)


@dataclass(frozen=True, slots=True)
class DaysEvent:
    """One thing that a watch of days tells.

    Attributes:
        kind: What it says.
        state: Every watched day after it.
        days: The days it tells of: all of them, or those that changed.
        failure: STALE: why the server is not heard.
    """

    kind: WatchKind
    state: DaysState
    days: tuple[DayKey, ...] = ()
    failure: HoldfastError | None = None


def fold(state: DaysState, message: WatchDaysResponse) -> tuple[DaysState, DaysEvent | None]:
    """Returns the state after a message, and what it told; None for a bookmark."""
    kind = _KINDS.get(message.event)
    if kind is None:
        return state, None
    told = {
        day_key(day): DayState(bitmap(day.busy), day.version, tuple(day.units_taken))
        for day in message.days
    }
    days = {**state.days, **told} if kind is WatchKind.CHANGES else told
    after = DaysState(days, message.version)
    return after, DaysEvent(kind, after, tuple(told))


def day_key(day: Day) -> DayKey:
    """Returns whose day it is."""
    return DayKey(day.resource_id, date(day.date.year, day.date.month, day.date.day))


def bitmap(busy: bytes) -> int:
    """Returns the day's bitmap as ``shared.slots`` has it, of the contract's 12 bytes."""
    return from_bits(f"{int.from_bytes(busy):0{QUANTA_PER_DAY}b}")
