"""CancelBooking: end a confirmed booking and free exactly its own time."""

from __future__ import annotations

from collections.abc import Callable

from services.availability.app.port import Ledger, RequestKey
from services.availability.domain.booking import Booking
from shared.runtime.clock import Clock


class Cancel:
    """Cancels one booking."""

    def __init__(self, ledger: Ledger, clock: Clock, encode: Callable[[Booking], bytes]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._encode = encode

    async def __call__(self, key: RequestKey, booking_id: str, reason: str) -> bytes:
        """Cancels, and returns the encoded booking; of a replay, the one first returned.

        Raises:
            NotFound: There is no such booking.
            InvalidState: It is not confirmed.
        """

        def decide(booking: Booking) -> tuple[Booking, bytes]:
            cancelled = booking.cancelled(self._clock.now(), reason)
            return cancelled, self._encode(cancelled)

        return await self._ledger.change(key, booking_id, decide)
