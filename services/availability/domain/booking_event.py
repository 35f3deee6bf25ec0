"""What happened to bookings, and where it stands in an organization's order of commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from services.availability.domain.booking import Booking, BookingState, Event
from services.availability.domain.refusal import TokenExpired


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingEvent:
    """One thing that happened to a booking, and how the booking stood after it.

    Attributes:
        revision: Of the booking: 0 at its creation, without gaps.
        actor: Who did it, as they say.
        is_override: Whether rules of the schedule were overridden.
    """

    booking_id: str
    revision: int
    event: Event
    state: BookingState
    actor: str = field(repr=False)
    reason: str = field(repr=False)
    happened_at: datetime
    start: datetime
    end: datetime
    is_override: bool


class EventPosition(NamedTuple):
    """Up to where an organization's events are told.

    Attributes:
        feed: The transaction's feed number; 0 before the first.
        ordinal: The event within the transaction.
        is_last: Whether the transaction has no further one.
        mark: Tells the event from another one that took its place in a store which had lost
            it; 0 where it is not known.
    """

    feed: int
    ordinal: int = 0
    is_last: bool = True
    mark: int = 0


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An entry of the log, and what it tells of bookings: nothing, if it is about capacity.

    Attributes:
        position: Its own.
        event: What happened to a booking.
        booking: That booking as it was when the entry was read.
    """

    position: EventPosition
    event: BookingEvent | None = None
    booking: Booking | None = None
    _encoded: list[bytes] = field(default_factory=list, repr=False, compare=False)

    def encoded(self, encode: Callable[[BookingEvent, Booking], bytes]) -> bytes:
        """Returns what every watcher is told of it, encoded once; empty where that is nothing."""
        if self.event is None or self.booking is None:
            return b""
        if not self._encoded:
            self._encoded.append(encode(self.event, self.booking))
        return self._encoded[0]


@dataclass(frozen=True, slots=True)
class EventPage:
    """What followed a position, in order and maybe not all, and what became of the position.

    Attributes:
        number: The organization's newest feed number.
        trimmed: The highest one whose events are not kept any more.
        mark: Of the event that now stands at the position; 0 where there is none.
        entries: What followed.
    """

    number: int
    trimmed: int
    mark: int
    entries: Sequence[LoggedEvent]

    def require_continues(self, position: EventPosition) -> None:
        """Refuses where something between the position and the first entry may be missing.

        Raises:
            TokenExpired: What followed is not kept any more, or the position is of a store that
                has lost what stood there.
        """
        if not self.trimmed <= position.feed <= self.number:
            raise TokenExpired
        if position.feed == self.trimmed:
            # Events of one transaction go together, those that were not told yet with them.
            if not position.is_last:
                raise TokenExpired
        elif position.mark and position.mark != self.mark:
            raise TokenExpired
