"""A booking, and the transitions of its state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum
from typing import Final

from services.availability.domain.refusal import InvalidState
from shared.slots.quantum import Span


class BookingState(IntEnum):
    """Where a booking stands; the numbers are the contract's."""

    CONFIRMED = 1
    CANCELLED = 2


OCCUPYING: Final = frozenset({BookingState.CONFIRMED})


@dataclass(frozen=True, slots=True)
class Booker:
    """Who books. Personal data: no text of this object shows it."""

    booker_id: str = field(repr=False)
    name: str = field(repr=False)
    email: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BookingItem:
    """One resource of a booking, and from when to when it is taken, buffers included."""

    resource_id: str
    units: int
    occupancy: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What was booked, by whom, and what became of it. ``revision`` counts transitions."""

    organization_id: str
    booking_id: str
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
    created_at: datetime
    updated_at: datetime
    revision: int

    @property
    def occupies(self) -> bool:
        """Whether its time is taken."""
        return self.state in OCCUPYING

    def cancelled(self, now: datetime, reason: str) -> Booking:
        """Returns the booking as it is once cancelled.

        Raises:
            InvalidState: It is not confirmed.
        """
        if self.state is not BookingState.CONFIRMED:
            raise InvalidState(self.state.name)
        return replace(
            self,
            state=BookingState.CANCELLED,
            cancel_reason=reason,
            updated_at=now,
            revision=self.revision + 1,
        )
