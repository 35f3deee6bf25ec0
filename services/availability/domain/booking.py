"""A booking or a block, and the transitions of its state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from services.availability.domain.refusal import InvalidState, NotStarted
from shared.slots.quantum import Span

SHORTEST_PROVISIONAL: Final = timedelta(minutes=1)
LONGEST_PROVISIONAL: Final = timedelta(hours=24)
SERVER: Final = "server"
"""Who does what nobody asked for."""


class BookingState(IntEnum):
    """Where a booking stands; the numbers are the contract's."""

    CONFIRMED = 1
    CANCELLED = 2
    PENDING = 3
    PROVISIONAL = 4
    DECLINED = 5
    EXPIRED = 6
    COMPLETED = 7


class BookingKind(IntEnum):
    """Whether time is booked or only out of use; the numbers are the contract's."""

    BOOKING = 1
    BLOCK = 2


class Event(StrEnum):
    """What happens to bookings, as the store and the contract name it."""

    CREATED = "created"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    RESCHEDULED = "rescheduled"
    COMPLETED = "completed"


OCCUPYING: Final = frozenset(
    {
        BookingState.CONFIRMED,
        BookingState.PENDING,
        BookingState.PROVISIONAL,
        BookingState.COMPLETED,
    }
)
_OPEN: Final = frozenset({BookingState.CONFIRMED, BookingState.PENDING, BookingState.PROVISIONAL})


@dataclass(frozen=True, slots=True)
class Booker:
    """Who books. Personal data: no text of this object shows it."""

    booker_id: str = field(repr=False)
    name: str = field(repr=False)
    email: str = field(repr=False)


NOBODY: Final = Booker("", "", "")
"""The booker of a block."""


@dataclass(frozen=True, slots=True)
class BookingItem:
    """One resource of a booking, and from when to when it is taken, buffers included.

    Attributes:
        resource_id: Which.
        units: How many of it.
        occupancy: When it is taken.
        is_pool: Whether its units are counted; of others there is one.
    """

    resource_id: str
    units: int
    occupancy: Span
    is_pool: bool = False


class Note(NamedTuple):
    """Who does something, and why: as they say."""

    actor: str = ""
    reason: str = ""
    is_override: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What was booked, by whom, and what became of it.

    Attributes:
        revision: Counts its events from 0.
        sequence: Counts how often it was moved.
        expires_at: Provisional: when it ends unless it is confirmed.
        needs_confirmation: Whether its event type required that when it was booked.
        token_version: Of the management token that is good for it; 0 for none.
    """

    organization_id: str
    booking_id: str
    kind: BookingKind = BookingKind.BOOKING
    items: tuple[BookingItem, ...]
    event_type_id: str
    event_type_title: str
    start: datetime
    end: datetime
    booker: Booker
    location: str
    time_zone: str
    state: BookingState
    cancel_reason: str = field(repr=False)
    block_reason: str = field(default="", repr=False)
    created_at: datetime
    updated_at: datetime
    revision: int
    sequence: int = 0
    expires_at: datetime | None = None
    needs_confirmation: bool = False
    token_version: int = 0
    token_hash: bytes = field(default=b"", repr=False)

    @property
    def occupies(self) -> bool:
        """Whether its time is taken, as it is stored."""
        return self.state in OCCUPYING

    @property
    def due_at(self) -> datetime | None:
        """When the server ends it by itself, if nobody does anything."""
        if self.state is BookingState.PENDING:
            return self.start
        return self.expires_at if self.state is BookingState.PROVISIONAL else None

    def is_overdue(self, now: datetime) -> bool:
        """Tells whether it has ended by itself, whether or not the store says so yet."""
        due_at = self.due_at
        return due_at is not None and now >= due_at

    def seen_at(self, now: datetime) -> Booking:
        """Returns the booking as everybody sees it at that moment."""
        if not self.is_overdue(now):
            return self
        # Its history has no such event yet, so its revision stays.
        return replace(self.ended(now), revision=self.revision)

    def ended(self, now: datetime) -> Booking:
        """Returns an overdue booking as the server ends it: at the instant at which it was due.

        Raises:
            InvalidState: It is not overdue.
        """
        due_at = self.due_at
        if due_at is None or now < due_at:
            raise InvalidState(self.state.name)
        provisional = self.state is BookingState.PROVISIONAL
        state = BookingState.EXPIRED if provisional else BookingState.DECLINED
        return self._moved_on(state, max(due_at, self.updated_at))

    def confirmed(self, now: datetime) -> Booking:
        """Returns the booking as it is once accepted: pending where it needs a decision yet.

        Raises:
            InvalidState: It is neither provisional nor pending.
        """
        self._require(now, BookingState.PROVISIONAL, BookingState.PENDING)
        if self.state is BookingState.PROVISIONAL and self.needs_confirmation:
            return self._moved_on(BookingState.PENDING, now)
        return self._moved_on(BookingState.CONFIRMED, now)

    def declined(self, now: datetime, reason: str) -> Booking:
        """Returns the booking as it is once turned down.

        Raises:
            InvalidState: It is not pending.
        """
        self._require(now, BookingState.PENDING)
        return self._moved_on(BookingState.DECLINED, now, reason)

    def cancelled(self, now: datetime, reason: str) -> Booking:
        """Returns the booking as it is once cancelled.

        Raises:
            InvalidState: It has ended already.
        """
        self._require(now, *_OPEN)
        return self._moved_on(BookingState.CANCELLED, now, reason)

    def completed(self, now: datetime) -> Booking:
        """Returns the booking as it is once it took place.

        Raises:
            InvalidState: It is not a confirmed booking.
            NotStarted: It has yet to start.
        """
        self._require(now, BookingState.CONFIRMED)
        self._require_no_block()
        if now < self.start:
            raise NotStarted(self.state.name)
        return self._moved_on(BookingState.COMPLETED, now)

    def require_movable(self, now: datetime) -> None:
        """Refuses what cannot be rescheduled.

        Raises:
            InvalidState: It has ended, or is a block.
        """
        self._require(now, *_OPEN)
        self._require_no_block()

    def rescheduled(
        self, start: datetime, end: datetime, items: tuple[BookingItem, ...], now: datetime
    ) -> Booking:
        """Returns the booking at another time.

        Raises:
            InvalidState: As ``require_movable``.
        """
        self.require_movable(now)
        return replace(
            self,
            start=start,
            end=end,
            items=items,
            updated_at=now,
            revision=self.revision + 1,
            sequence=self.sequence + 1,
        )

    def _require(self, now: datetime, *states: BookingState) -> None:
        state = self.seen_at(now).state
        if state not in states:
            raise InvalidState(state.name)

    def _require_no_block(self) -> None:
        if self.kind is BookingKind.BLOCK:
            raise InvalidState(self.state.name, "a block can only be cancelled")

    def _moved_on(self, state: BookingState, now: datetime, reason: str = "") -> Booking:
        return replace(
            self, state=state, cancel_reason=reason, updated_at=now, revision=self.revision + 1
        )
