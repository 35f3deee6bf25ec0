"""What callers want written, decided in memory against rows that are locked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple

from services.availability.domain import counter
from services.availability.domain.booking import Booking, BookingItem, Event, Note
from services.availability.domain.claim import (
    DayKey,
    DayState,
    Inventory,
    Taken,
    refusal,
    touched,
)
from services.availability.domain.counter import Planes
from services.availability.domain.refusal import IdTaken, InUse
from services.availability.domain.request_key import RequestKey
from shared.slots.quantum import QUANTA_PER_DAY, day_date, microseconds

_MICROSECONDS_PER_QUANTUM: Final = 900_000_000


class Outdated(Exception):
    """What a claim was prepared with is no longer so: it must be prepared anew."""


class Change(NamedTuple):
    """What is to become of a booking, and what its caller is told."""

    booking: Booking
    event: Event
    note: Note
    answer: bytes


Decision = Callable[[Booking], Change]
"""Decides about a booking, or refuses. Pure: it is asked again under the row's lock."""


@dataclass(slots=True)
class Decided:
    """What a claim writes.

    Attributes:
        answer: For the caller, and for replays.
        change: Of a booking.
        is_new: Whether the change creates it.
        is_moved: Whether its time is another one.
        capacity: A pool and its new number of units.
        kind: What the outbox calls it.
    """

    answer: bytes
    change: Change | None = None
    is_new: bool = False
    is_moved: bool = False
    capacity: tuple[str, int] | None = None
    kind: str = ""


@dataclass(slots=True)
class View:
    """What is known, and locked, while a group of claims is decided.

    Attributes:
        inventory: The days.
        namesakes: Ids of bookings that there are, among those that are to be created.
        revisions: Of the bookings that are to be changed.
        bookings: Those that the group has changed already.
    """

    inventory: Inventory
    namesakes: set[str] = field(default_factory=set)
    revisions: Mapping[str, int] = field(default_factory=dict)
    bookings: dict[str, Booking] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CreateClaim:
    """Wants a booking written.

    Attributes:
        key: Of the call.
        booking: What to write; an item with 0 units takes all there are.
        note: For the history.
        encode: Makes the answer.
        is_named: Whether the caller chose the booking's id: there may be one that has it.
    """

    key: RequestKey
    booking: Booking
    note: Note
    encode: Callable[[Booking], bytes]
    is_named: bool = True

    @property
    def days(self) -> set[DayKey]:
        """The days to lock."""
        return touched(self.booking.items)

    @property
    def pools(self) -> set[str]:
        """The resources that are pools: each has a capacity."""
        return _pools(self.booking.items)

    @property
    def resources(self) -> set[str]:
        """The resources that may have a capacity to lock."""
        return self.pools

    @property
    def new_id(self) -> str:
        """The id that somebody else may want to give to a booking; empty for none."""
        return self.booking.booking_id if self.is_named else ""

    def decide(self, view: View) -> Decided:
        """Takes the booking's time.

        Raises:
            IdTaken: Another booking has its id.
            SlotUnavailable: Some of its time is taken.
        """
        booking = self.booking
        if booking.booking_id in view.namesakes or booking.booking_id in view.bookings:
            raise IdTaken(booking.booking_id)
        if not all(item.units for item in booking.items):
            booking = replace(
                booking,
                items=tuple(
                    replace(item, units=item.units or view.inventory.capacity(item.resource_id))
                    for item in booking.items
                ),
            )
        if taken := view.inventory.in_the_way(booking.items):
            raise refusal(taken)
        change = Change(booking, Event.CREATED, self.note, self.encode(booking))
        view.inventory.take(booking.items)
        view.bookings[booking.booking_id] = booking
        return Decided(change.answer, change, is_new=True, kind=change.event)


@dataclass(frozen=True, slots=True)
class ChangeClaim:
    """Wants a booking changed.

    Attributes:
        key: Of the call; None for what the server does by itself.
        booking: As it was read when the claim was prepared.
        decision: What is to become of it.
        days: The days to lock: those that the decision touched then.
        pools: The resources that are known as pools.
    """

    key: RequestKey | None
    booking: Booking
    decision: Decision
    days: set[DayKey]
    pools: set[str]

    @property
    def resources(self) -> set[str]:
        """The resources that may have a capacity to lock."""
        return {key.resource_id for key in self.days}

    @property
    def new_id(self) -> str:
        """None: it creates nothing."""
        return ""

    @classmethod
    def prepared(cls, key: RequestKey | None, booking: Booking, decision: Decision) -> ChangeClaim:
        """Asks what the decision would be, to know what has to be locked.

        Raises:
            Failure: It refuses.
        """
        changed = decision(booking).booking
        items: list[BookingItem] = []
        if changed.items != booking.items:
            items = [*booking.items, *changed.items]
        elif booking.occupies and not changed.occupies:
            items = [*booking.items]
        return cls(key, booking, decision, touched(items), _pools(items))

    def decide(self, view: View) -> Decided:
        """Changes the booking and what it takes.

        Raises:
            Outdated: It is not what it was, or touches other days by now.
            SlotUnavailable: Some of its new time is taken.
            Failure: The decision refuses.
        """
        booking_id = self.booking.booking_id
        booking = view.bookings.get(booking_id)
        if booking is None:
            if view.revisions.get(booking_id) != self.booking.revision:
                raise Outdated
            booking = self.booking
        change = self.decision(booking)
        changed = change.booking
        takes_others = changed.items != booking.items
        if takes_others and booking.occupies:
            self._move(view.inventory, booking.items, changed.items)
        elif booking.occupies and not changed.occupies:
            _require_known(view.inventory, booking.items)
            view.inventory.release(booking.items)
        view.bookings[booking_id] = changed
        # Items are listed by start, which other buffers can move within the same quanta.
        is_moved = takes_others or changed.start != booking.start
        return Decided(change.answer, change, is_moved=is_moved, kind=change.event)

    @staticmethod
    def _move(inventory: Inventory, old: Iterable[BookingItem], new: Iterable[BookingItem]) -> None:
        _require_known(inventory, [*old, *new])
        kept = _held(old, new)
        inventory.release(old)
        # What it holds already it may keep, even in a pool that has shrunk since.
        taken = [
            Taken(key, quanta)
            for key, found in inventory.in_the_way(new)
            if (quanta := found & ~kept.get(key, 0))
        ]
        if taken:
            inventory.take(old)
            raise refusal(taken)
        inventory.take(new)


@dataclass(frozen=True, slots=True)
class CapacityClaim:
    """Wants a pool to have another number of units. Decided with every day of the pool."""

    key: RequestKey
    resource_id: str
    units: int
    answer: bytes
    now: datetime

    def decide(self, inventory: Inventory, keys: Iterable[DayKey]) -> Decided:
        """Resizes the pool.

        Raises:
            InUse: More units are taken in a quantum that is not over.
        """
        present = microseconds(self.now) // _MICROSECONDS_PER_QUANTUM
        in_use = [
            day_date(key.day)
            for key in sorted(keys)
            if counter.most(inventory.state(key).counted, _left(key.day, present)) > self.units
        ]
        if in_use:
            raise InUse(self.resource_id, in_use)
        inventory.resize(self.resource_id, self.units)
        return Decided(self.answer, capacity=(self.resource_id, self.units), kind="capacity")


@dataclass(frozen=True, slots=True)
class RebuildClaim:
    """Wants a day written anew from its bookings. Decided with the day locked."""

    key: RequestKey
    day: DayKey
    encode: Callable[[DayState], bytes]

    def decide(self, inventory: Inventory, items: Iterable[BookingItem], *, is_pool: bool) -> None:
        """Counts the items that occupy the day."""
        planes: Planes = ()
        for item in items:
            for day, mask in item.occupancy.masks():
                if day == self.day.day:
                    planes = counter.add(planes, mask, item.units)
        if is_pool:
            inventory.count_anew(self.day, planes)
        else:
            inventory.mark_anew(self.day, counter.reaching(planes, 1))


Claim = CreateClaim | ChangeClaim


def _pools(items: Iterable[BookingItem]) -> set[str]:
    return {item.resource_id for item in items if item.is_pool}


def _require_known(inventory: Inventory, items: Iterable[BookingItem]) -> None:
    # A pool's capacity is locked with its days; one that has been made meanwhile was not.
    keys = touched(items)
    if not inventory.has(keys) or inventory.has_uncounted(keys):
        raise Outdated


def _held(old: Iterable[BookingItem], new: Iterable[BookingItem]) -> dict[DayKey, int]:
    """Returns the quanta of which the old items hold as many units as the new ones want."""
    wanted = {item.resource_id: item.units for item in new}
    return {
        DayKey(item.resource_id, day): mask
        for item in old
        if item.units >= wanted.get(item.resource_id, 0)
        for day, mask in item.occupancy.masks()
    }


def _left(day: int, present: int) -> int:
    """Returns the quanta of a day that are not over at a quantum."""
    begin = present - day * QUANTA_PER_DAY
    if begin <= 0:
        return counter.EVERY_QUANTUM
    return counter.EVERY_QUANTUM >> begin << begin if begin < QUANTA_PER_DAY else 0
