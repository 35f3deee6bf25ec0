"""GetBooking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from services.availability.app.event_port import HistoryReader
from services.availability.app.port import BookingReader
from services.availability.domain.booking import Booking
from services.availability.domain.booking_event import BookingEvent
from services.availability.domain.refusal import Kind, NotFound
from shared.runtime.clock import Clock

_EVENTS_TOLD: Final = 100


class GetBooking:
    """Reads one booking and what happened to it."""

    def __init__(
        self,
        bookings: BookingReader,
        history: HistoryReader,
        matches: Callable[[Booking, str], bool],
        clock: Clock,
    ) -> None:
        """Starts.

        Args:
            bookings: Where the booking is.
            history: Where its history is.
            matches: Tells whether a management token is good for a booking.
            clock: The present.
        """
        self._bookings = bookings
        self._history = history
        self._matches = matches
        self._clock = clock

    async def __call__(
        self, organization_id: str, booking_id: str, token: str
    ) -> tuple[Booking, Sequence[BookingEvent]]:
        """Returns the booking and its newest events, oldest first.

        Args:
            organization_id: Whose.
            booking_id: Which.
            token: A management token, or empty.

        Raises:
            NotFound: There is none, or the token is not good for it.
        """
        booking = await self._bookings.get(organization_id, booking_id)
        # One answer to both: whoever guesses tokens learns nothing about ids.
        if booking is None or (token and not self._matches(booking, token)):
            raise NotFound(Kind.BOOKING, booking_id)
        history = await self._history.newest(booking, _EVENTS_TOLD)
        return booking.seen_at(self._clock.now()), history
