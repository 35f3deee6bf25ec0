"""Merges the starts of a day with what is held and taken, as one viewer sees them. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from itertools import pairwise
from operator import attrgetter
from typing import Final, NamedTuple

from shared.client.live_hold import LiveHold
from shared.slots.held import held_short
from shared.slots.quantum import Span

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


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


class Stock(NamedTuple):
    """What bookings leave of a resource.

    Attributes:
        free: Units free, throughout or by absolute quantum, at least for those that starts may
            take; None while that is not known, and each start's own number counts.
        is_pool: Whether holds queue for it: on the quanta that a viewer holds, of others' holds
            only those acquired earlier count.
    """

    free: int | Mapping[int, int] | None = None
    is_pool: bool = False


UNKNOWN: Final = Stock()


class OfferedSlots:
    """The free starts of a day, made ready to be merged again and again.

    Bit 0 of its bitmaps is the quantum ``base``.
    """

    def __init__(self, slots: Iterable[tuple[Span, ViewSlot]], wanted: int = 1) -> None:
        """Takes each start with its occupancy in absolute quanta, ascending by start.

        Args:
            slots: The starts, which have as many units free as are wanted.
            wanted: How many.
        """
        given = tuple(slots)
        self.wanted = wanted
        self.occupancies = [span for span, _ in given]
        self.firsts = [span.first for span, _ in given]
        self.stops = [span.stop for span, _ in given]
        self.base = min(self.firsts, default=0)
        self.stop = max(self.stops, default=0)
        self.available = [slot for _, slot in given]
        self.reserved = [slot._replace(state=SlotState.RESERVED) for slot in self.available]
        self.masks = [self.mask(span.first, span.stop) for span, _ in given]
        most_units = max((slot.units_free for slot in self.available), default=1)
        # The starts that touch any span are then neighbours, and one free unit is one hold's.
        self.is_plain = (
            most_units == wanted == 1
            and self.firsts == sorted(self.firsts)
            and self.stops == sorted(self.stops)
        )

    def mask(self, first: int, stop: int) -> int:
        """Returns the bitmap of absolute quanta, as far as it meets those of the starts."""
        low, high = max(first, self.base) - self.base, min(stop, self.stop) - self.base
        return (1 << high) - (1 << low) if low < high else 0


def merge(
    slots: OfferedSlots,
    holds: Iterable[LiveHold],
    own_holder_id: str = "",
    *,
    stock: Stock = UNKNOWN,
    taken: int = 0,
) -> list[ViewSlot]:
    """Returns every start that can be booked, by time, and which of them others hold.

    A start is RESERVED when on some quantum of its occupancy the free units less the units held
    by others are fewer than wanted: the rule by which a booking is refused with SLOT_HELD.

    Args:
        slots: The starts offered.
        holds: On their resource; any that do not touch them are ignored.
        own_holder_id: The viewer's own: its holds reserve nothing.
        stock: What bookings leave.
        taken: Quanta known to be booked since the starts were computed: starts on them are left
            out. A bitmap as ``OfferedSlots.mask`` makes.
    """
    others: list[LiveHold] = []
    own: list[LiveHold] = []
    for hold in holds:
        (own if hold.name.holder_id == own_holder_id else others).append(hold)
    is_single = stock.free is None or stock.free == 1
    if slots.is_plain and is_single and not stock.is_pool:
        found = _plain(slots, others)
    else:
        found = _counted(slots, others, own, stock)
    if taken:
        return [slot for slot, mask in zip(found, slots.masks, strict=True) if not mask & taken]
    return found


class CountedTime(NamedTuple):
    """A part of somebody's hold that counts."""

    span: Span
    units: int
    is_overdue: bool
    expires_at: datetime


Counted = LiveHold | CountedTime


def counting(
    others: Sequence[LiveHold], own: Iterable[LiveHold], *, is_pool: bool
) -> Sequence[Counted]:
    """Returns what of others' holds counts against a viewer.

    Of a pool, on a quantum that the viewer holds, only holds acquired before the first of its own
    that cover it; everywhere else every hold.
    """
    places = _places(own) if is_pool else []
    if not places:
        return others
    return [part for hold in others for part in _parts(hold, places)]


def freed_at(
    quanta: Iterable[int],
    counted: Iterable[Counted],
    free: int | Mapping[int, int],
    wanted: int,
) -> datetime | None:
    """Returns when enough of the holds are over on all the quanta, if none is renewed any more.

    None where nothing is in the way, and where a hold that must go is not overdue: it is renewed
    and may stay as long as its holder likes.
    """
    ends = _ends(quanta, counted, free, wanted).values()
    known = [end for end in ends if end is not None]
    return max(known, default=None) if len(known) == len(ends) else None


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


def _counted(
    slots: OfferedSlots, others: Sequence[LiveHold], own: Sequence[LiveHold], stock: Stock
) -> list[ViewSlot]:
    """Merges starts of which there may be several units."""
    counted = counting(others, own, is_pool=stock.is_pool)
    if stock.free is None:
        return [
            _seen(slots, index, _Held(slots, occupancy, counted, slots.available[index].units_free))
            for index, occupancy in enumerate(slots.occupancies)
        ]
    whole = Span(slots.base, max(slots.stop, slots.base + 1))
    held = _Held(slots, whole, counted, stock.free)
    return [_seen(slots, index, held) for index in range(len(slots.masks))]


def _seen(slots: OfferedSlots, index: int, held: _Held) -> ViewSlot:
    """Returns one start as the holds leave it."""
    if not slots.masks[index] & held.bitmap:
        return slots.available[index]
    if not held.is_any_overdue:
        return slots.reserved[index]
    until = held.freed_at(slots.occupancies[index])
    return slots.reserved[index]._replace(held_until=until)


class _Held:
    """The quanta that some holds leave too little of."""

    def __init__(
        self,
        slots: OfferedSlots,
        span: Span,
        counted: Sequence[Counted],
        free: int | Mapping[int, int],
    ) -> None:
        holds = [(hold.span.first, hold.span.stop, hold.units) for hold in counted]
        quanta = held_short(span, holds, free, slots.wanted)
        self.bitmap = sum([1 << quantum - slots.base for quantum in quanta])
        self.is_any_overdue = any(hold.is_overdue for hold in counted)
        self._until: dict[int, datetime | None] = {}
        if self.is_any_overdue:
            self._until = _ends(quanta, counted, free, slots.wanted)

    def freed_at(self, occupancy: Span) -> datetime | None:
        """As the function, of those of its quanta that are in an occupancy."""
        latest: datetime | None = None
        for quantum in range(occupancy.first, occupancy.stop):
            if quantum in self._until:
                until = self._until[quantum]
                if until is None:
                    return None
                latest = until if latest is None or until > latest else latest
        return latest


def _places(own: Iterable[LiveHold]) -> list[tuple[int, int, datetime]]:
    """Returns what a viewer holds: ascending parts, and since when at the earliest each."""
    mine = list(own)
    edges = sorted({edge for hold in mine for edge in (hold.span.first, hold.span.stop)})
    found: list[tuple[int, int, datetime]] = []
    for first, stop in pairwise(edges):
        since = [_acquired(h) for h in mine if h.span.first <= first and stop <= h.span.stop]
        if since:
            found.append((first, stop, min(since)))
    return found


def _parts(hold: LiveHold, places: Iterable[tuple[int, int, datetime]]) -> Iterator[Counted]:
    """Yields the parts of somebody's hold for which the viewer is not before it."""
    acquired, span = _acquired(hold), hold.span
    begin = span.first
    for first, stop, since in places:
        if acquired < since or stop <= begin or span.stop <= first:
            continue
        if begin < first:
            yield _part(hold, begin, first)
        begin = stop
    if begin == span.first:
        yield hold
    elif begin < span.stop:
        yield _part(hold, begin, span.stop)


def _part(hold: LiveHold, first: int, stop: int) -> CountedTime:
    return CountedTime(Span(first, stop), hold.units, hold.is_overdue, hold.expires_at)


def _acquired(hold: LiveHold) -> datetime:
    return hold.acquired_at or _LONG_AGO


def _ends(
    quanta: Iterable[int],
    counted: Iterable[Counted],
    free: int | Mapping[int, int],
    wanted: int,
) -> dict[int, datetime | None]:
    """Returns for each quantum when enough of the holds are over; None where some stay."""
    there: dict[int, list[Counted]] = {quantum: [] for quantum in quanta}
    for hold in counted:
        for quantum in range(hold.span.first, hold.span.stop):
            if quantum in there:
                there[quantum].append(hold)
    return {
        quantum: _freed(holds, free if isinstance(free, int) else free[quantum], wanted)
        for quantum, holds in there.items()
    }


def _freed(holds: Iterable[Counted], free: int, wanted: int) -> datetime | None:
    """Returns when enough of those that hold a quantum are over; None where some stay."""
    overdue: list[Counted] = []
    too_many = wanted - free
    for hold in holds:
        too_many += hold.units
        if hold.is_overdue:
            overdue.append(hold)
    for hold in sorted(overdue, key=attrgetter("expires_at")):
        too_many -= hold.units
        if too_many <= 0:
            return hold.expires_at
    return None
