"""ListBookingHistory."""

from __future__ import annotations

from collections.abc import Sequence

from services.availability.app.event_port import HistoryReader
from services.availability.domain.booking_event import BookingEvent
from services.availability.domain.refusal import Kind, NotFound


class ListHistory:
    """Reads a page of what happened to one booking."""

    def __init__(self, history: HistoryReader) -> None:
        self._history = history

    async def __call__(
        self, organization_id: str, booking_id: str, after: int, size: int
    ) -> tuple[Sequence[BookingEvent], int | None]:
        """Returns the page, oldest first, and the revision that it ends at if more follow.

        Args:
            organization_id: Whose.
            booking_id: Which.
            after: The revision that the page before ended at; -1 for the first page.
            size: Events at most.

        Raises:
            NotFound: There is no such booking.
        """
        found = await self._history.after(organization_id, booking_id, after, size + 1)
        if found is None:
            raise NotFound(Kind.BOOKING, booking_id)
        if len(found) <= size:
            return found, None
        return found[:size], found[size - 1].revision
