"""Merges the starts of a day with what is held and taken, as one viewer sees them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A start with its answers at hand: a merge only chooses."""

    occupancy: Span
    mask: int
    available: ViewSlot
    reserved: ViewSlot


class OfferedSlots:
    """The free starts of a day, made ready to be merged again and again.

    Bit 0 of its bitmaps is the quantum ``base``.
    """

    def __init__(self, slots: Iterable[tuple[Span, ViewSlot]]) -> None:
        """Takes each start with its occupancy in absolute quanta, ascending by start."""
        given = tuple(slots)
        self.base = min((span.first for span, _ in given), default=0)
        self.stop = max((span.stop for span, _ in given), default=0)
        self.most_units = max((slot.units_free for _, slot in given), default=1)
        self.prepared = tuple(
            _Prepared(
                span,
                self.mask(span.first, span.stop),
                slot,
                slot._replace(state=SlotState.RESERVED),
            )
            for span, slot in given
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
    held = _held_at_least(slots, others)
    is_any_overdue = any(hold.is_overdue for hold in others)
    found: list[ViewSlot] = []
    for slot in slots.prepared:
        if slot.mask & taken:
            continue
        units = slot.available.units_free
        if units > len(held) or not slot.mask & held[units - 1]:
            found.append(slot.available)
        elif not is_any_overdue:
            found.append(slot.reserved)
        else:
            until = free_at(slot.occupancy, others, units)
            found.append(slot.reserved._replace(held_until=until))
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
