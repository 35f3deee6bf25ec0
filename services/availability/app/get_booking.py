"""GetBooking."""

from __future__ import annotations

from services.availability.app.port import BookingReader
from services.availability.domain.booking import Booking
from services.availability.domain.refusal import Kind, NotFound


class GetBooking:
    """Reads one booking."""

    def __init__(self, bookings: BookingReader) -> None:
        self._bookings = bookings

    async def __call__(self, organization_id: str, booking_id: str) -> Booking:
        """Returns the booking.

        Raises:
            NotFound: There is none.
        """
        booking = await self._bookings.get(organization_id, booking_id)
        if booking is None:
            raise NotFound(Kind.BOOKING, booking_id)
        return booking
