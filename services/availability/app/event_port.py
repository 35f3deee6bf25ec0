"""What reading bookings and their events needs from outside."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from services.availability.app.port import BookingFilter, Cursor
from services.availability.domain.booking import Booking
from services.availability.domain.booking_event import BookingEvent, EventPage, EventPosition


class BookingPage(NamedTuple):
    """Some bookings, and from where to go on; maybe none though more follow."""

    bookings: Sequence[Booking]
    end: Cursor | None


class BookingPages(Protocol):
    """Stored bookings by (start, id)."""

    async def page(self, filters: BookingFilter, after: Cursor | None, size: int) -> BookingPage:
        """Returns bookings after the cursor, at most ``size``.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """


class HistoryReader(Protocol):
    """What happened to one booking. Every method may raise StoreUnavailable."""

    async def newest(self, booking: Booking, limit: int) -> Sequence[BookingEvent]:
        """Returns what made the booking what it is: the newest events, oldest first."""

    async def after(
        self, organization_id: str, booking_id: str, revision: int, limit: int
    ) -> Sequence[BookingEvent] | None:
        """Returns events past a revision, oldest first; None where there is no such booking."""


class EventReader(Protocol):
    """Organizations' events in the order of commits. Every method may raise StoreUnavailable."""

    async def after(self, organization_id: str, position: EventPosition, limit: int) -> EventPage:
        """Returns what followed a position, and how far it is kept, of one moment."""

    async def oldest(self, organization_id: str) -> EventPosition:
        """Returns the position before the oldest event that is kept."""

    async def newest(self, organization_id: str) -> EventPosition:
        """Returns the position after the newest event."""

    async def numbers(self, organization_ids: Collection[str]) -> Mapping[str, int]:
        """Returns newest feed numbers; of an organization without any, nothing."""
