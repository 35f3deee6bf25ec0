"""ListBookings."""

from __future__ import annotations

from services.availability.app.event_port import BookingPage, BookingPages
from services.availability.app.port import BookingFilter, Cursor
from shared.runtime.clock import Clock


class ListBookings:
    """Reads a page of bookings."""

    def __init__(self, bookings: BookingPages, clock: Clock) -> None:
        self._bookings = bookings
        self._clock = clock

    async def __call__(
        self, filters: BookingFilter, after: Cursor | None, size: int
    ) -> BookingPage:
        """Returns the page, and where it ends if more may follow.

        A page may have fewer rows than asked for, or none, although more follow: what the
        filters leave out costs a page, too.
        """
        found = await self._bookings.page(filters, after, size)
        # What has ended by itself is told so before the store says it.
        now = self._clock.now()
        return BookingPage([booking.seen_at(now) for booking in found.bookings], found.end)
