"""Merges the starts of a day with what is held and taken, as one viewer sees them. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from shared.client.live_hold import LiveHold
from shared.slots.quantum import Span


class SlotState(Enum):
    """What a viewer may do with a start."""

    AVAILABLE = "AVAILABLE"
    RESERVED = "RESERVED"  # others are choosing some of its time right now


class ViewSlot(NamedTuple):
    """A start, as one viewer sees it.

    Attributes:
        start: When a booking would start.
        end: When it would end.
        occupancy_start: From when it would take the resource, buffer included: what to hold.
        occupancy_end: Until when.
        units_free: Of the resource throughout the occupancy, by bookings alone.
        state: AVAILABLE, or RESERVED by others' holds.
        held_until: When it is available again unless somebody renews, by presence's clock; None
            while that cannot be told, because a hold in its way is still renewed.
    """

    start: datetime
    end: datetime
    occupancy_start: datetime
    occupancy_end: datetime
    units_free: int
    state: SlotState = SlotState.AVAILABLE
    held_until: datetime | None = None


class OfferedSlots:
    """The free starts of a day, made ready to be merged again and again.

    Bit 0 of its bitmaps is the quantum ``base``.
    """

    def __init__(self, slots: Iterable[tuple[Span, ViewSlot]]) -> None:
        """Takes each start with its occupancy in absolute quanta, ascending by start."""
        given = tuple(slots)
        self.occupancies = [span for span, _ in given]
        self.firsts = [span.first for span, _ in given]
        self.stops = [span.stop for span, _ in given]
        self.base = min(self.firsts, default=0)
        self.stop = max(self.stops, default=0)
        self.available = [slot for _, slot in given]
        self.reserved = [slot._replace(state=SlotState.RESERVED) for slot in self.available]
        self.masks = [self.mask(span.first, span.stop) for span, _ in given]
        self.most_units = max((slot.units_free for slot in self.available), default=1)
        # The starts that touch any span are then neighbours, and one free unit is one hold's.
        self.is_plain = (
            self.most_units == 1
            and self.firsts == sorted(self.firsts)
            and self.stops == sorted(self.stops)
        )

    def mask(self, first: int, stop: int) -> int:
        """Returns the bitmap of absolute quanta, as far as it meets those of the starts."""
        low, high = max(first, self.base) - self.base, min(stop, self.stop) - self.base
        return (1 << high) - (1 << low) if low < high else 0


def merge(
    slots: OfferedSlots, holds: Iterable[LiveHold], own_holder_id: str = "", *, taken: int = 0
) -> list[ViewSlot]:
    """Returns every start that can be booked, by time, and which of them others hold.

    A start is RESERVED when on some quantum of its occupancy the free units less the units held
    by others are less than one.

    Args:
        slots: The starts offered.
        holds: On their resource; any that do not touch them are ignored.
        own_holder_id: The viewer's own: its holds reserve nothing.
        taken: Quanta known to be booked since the starts were computed: starts on them are left
            out. A bitmap as ``OfferedSlots.mask`` makes.
    """
    others = [hold for hold in holds if hold.name.holder_id != own_holder_id]
    found = _plain(slots, others) if slots.is_plain else _counted(slots, others)
    if taken:
        return [slot for slot, mask in zip(found, slots.masks, strict=True) if not mask & taken]
    return found


def _plain(slots: OfferedSlots, others: Iterable[LiveHold]) -> list[ViewSlot]:
    """Merges starts of which any hold that touches them takes the only unit."""
    found = slots.available.copy()
    lasting: list[tuple[int, int]] = []
    overdue: list[tuple[datetime, int, int]] = []
    for hold in others:
        span = hold.span
        first = bisect_right(slots.stops, span.first)
        stop = bisect_left(slots.firsts, span.stop)
        if first < stop:
            if hold.is_overdue:
                overdue.append((hold.expires_at, first, stop))
            else:
                lasting.append((first, stop))
    if overdue:
        until: list[datetime | None] = [None] * len(found)
        for expires_at, first, stop in sorted(overdue):  # the last one to go is written last
            until[first:stop] = [expires_at] * (stop - first)
        for first, stop in lasting:
            until[first:stop] = [None] * (stop - first)
        for index, end in enumerate(until):
            if end is not None:
                found[index] = ViewSlot._make((*slots.reserved[index][:-1], end))
    for first, stop in lasting:
        found[first:stop] = slots.reserved[first:stop]
    return found


def _counted(slots: OfferedSlots, others: Sequence[LiveHold]) -> list[ViewSlot]:
    """Merges starts that several holds may share."""
    held = _held_at_least(slots, others)
    is_any_overdue = any(hold.is_overdue for hold in others)
    found: list[ViewSlot] = []
    for index, mask in enumerate(slots.masks):
        units = slots.available[index].units_free
        if units > len(held) or not mask & held[units - 1]:
            found.append(slots.available[index])
        elif not is_any_overdue:
            found.append(slots.reserved[index])
        else:
            until = free_at(slots.occupancies[index], others, units)
            found.append(slots.reserved[index]._replace(held_until=until))
    return found


def free_at(occupancy: Span, others: Sequence[LiveHold], units_free: int) -> datetime | None:
    """Returns when enough of the holds are over, if none is renewed any more.

    None where nothing is in the way, and where a hold that must go is not overdue: it is renewed
    and may stay as long as its holder likes.
    """
    latest: datetime | None = None
    touching = [hold for hold in others if hold.span.overlaps(occupancy)]
    # How many hold a quantum changes only where one of them begins.
    starts = {max(hold.span.first, occupancy.first) for hold in touching}
    for quantum in starts:
        there = [hold for hold in touching if hold.span.first <= quantum < hold.span.stop]
        too_many = len(there) - units_free + 1
        if too_many <= 0:
            continue
        ends = sorted(hold.expires_at for hold in there if hold.is_overdue)
        if len(ends) < too_many:
            return None
        needed = ends[too_many - 1]
        latest = needed if latest is None else max(latest, needed)
    return latest


def _held_at_least(slots: OfferedSlots, others: Iterable[LiveHold]) -> list[int]:
    """Returns for n = 1, 2, ... the quanta that at least n of the holds cover."""
    held: list[int] = []
    for hold in others:
        carried = slots.mask(hold.span.first, hold.span.stop)
        for level, bitmap in enumerate(held):
            held[level], carried = bitmap | carried, bitmap & carried
            if not carried:
                break
        # Above the most units of any start the count decides nothing.
        if carried and len(held) < slots.most_units:
            held.append(carried)
    return held
