"""ConfirmBooking, DeclineBooking, CancelBooking, CompleteBooking: what becomes of a booking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from services.availability.app.port import Ledger
from services.availability.domain.booking import Booking, BookingState, Event, Note
from services.availability.domain.ledger_claim import Change
from services.availability.domain.management_token import ManagementTokens
from services.availability.domain.refusal import Kind, NotFound
from services.availability.domain.request_key import RequestKey
from shared.runtime.clock import Clock

Move = Callable[[Booking, datetime, str], Booking]
"""Returns a booking in its next state, at an instant and for a reason, or refuses."""

EVENTS: Final[Mapping[BookingState, Event]] = MappingProxyType(
    {
        BookingState.PENDING: Event.PENDING,
        BookingState.CONFIRMED: Event.CONFIRMED,
        BookingState.DECLINED: Event.DECLINED,
        BookingState.CANCELLED: Event.CANCELLED,
        BookingState.EXPIRED: Event.EXPIRED,
        BookingState.COMPLETED: Event.COMPLETED,
    }
)
"""What brings a booking into a state."""


class Transition:
    """Brings a booking into its next state, and frees its time if it no longer occupies it."""

    def __init__(
        self,
        move: Move,
        ledger: Ledger,
        clock: Clock,
        tokens: ManagementTokens,
        encode: Callable[[Booking], bytes],
    ) -> None:
        self._move = move
        self._ledger = ledger
        self._clock = clock
        self._tokens = tokens
        self._encode = encode

    async def __call__(
        self, key: RequestKey, booking_id: str, note: Note, token: str = ""
    ) -> bytes:
        """Returns the encoded booking; of a replay, the one first returned.

        Args:
            key: Of the call.
            booking_id: Which booking.
            note: Who, and why.
            token: When not empty, the booking's own.

        Raises:
            NotFound: There is no such booking, or the token is not its own.
            InvalidState: Its state does not allow this.
        """

        def decide(booking: Booking) -> Change:
            require_token(self._tokens, booking, token)
            moved = self._move(booking, self._clock.now(), note.reason)
            return Change(moved, EVENTS[moved.state], note, self._encode(moved))

        return await self._ledger.change(key.organization_id, key, booking_id, decide)


def confirm(booking: Booking, now: datetime, _reason: str) -> Booking:
    """Accepts a booking."""
    return booking.confirmed(now)


def decline(booking: Booking, now: datetime, reason: str) -> Booking:
    """Turns a booking down."""
    return booking.declined(now, reason)


def cancel(booking: Booking, now: datetime, reason: str) -> Booking:
    """Cancels a booking, or ends a block."""
    return booking.cancelled(now, reason)


def complete(booking: Booking, now: datetime, _reason: str) -> Booking:
    """Says that a booking took place."""
    return booking.completed(now)


def require_token(tokens: ManagementTokens, booking: Booking, token: str) -> None:
    """Refuses a token that is not the booking's own; an empty one is nobody's.

    Raises:
        NotFound: It is another's: whoever has it learns nothing of this booking.
    """
    if token and not tokens.matches(booking, token):
        raise NotFound(Kind.BOOKING, booking.booking_id)
