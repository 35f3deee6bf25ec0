"""ListBookings."""

from __future__ import annotations

from collections.abc import Sequence

from services.availability.app.port import BookingFilter, BookingReader, Cursor
from services.availability.domain.booking import Booking


class ListBookings:
    """Reads a page of bookings."""

    def __init__(self, bookings: BookingReader) -> None:
        self._bookings = bookings

    async def __call__(
        self, filters: BookingFilter, after: Cursor | None, size: int
    ) -> tuple[Sequence[Booking], Cursor | None]:
        """Returns the page, and where it ends if more may follow."""
        found = await self._bookings.page(filters, after, size + 1)
        if len(found) <= size:
            return found, None
        last = found[size - 1]
        return found[:size], Cursor(last.start, last.booking_id)
