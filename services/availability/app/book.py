"""CreateBooking: judge by every rule, then let the ledger decide about the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.availability.app.port import Ledger, Offerings, RequestKey
from services.availability.domain.booking import Booker, Booking, BookingItem, BookingState
from services.availability.domain.offering import OfferingName
from shared.runtime.clock import Clock
from shared.runtime.failure import Failure
from shared.runtime.identity import uuid7


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller wants to book. An empty booking id asks for a generated one."""

    name: OfferingName
    booking_id: str
    start: datetime
    duration: timedelta
    booker: Booker
    location: str
    time_zone: str


class Book:
    """Books one resource."""

    def __init__(
        self,
        offerings: Offerings,
        ledger: Ledger,
        clock: Clock,
        encode: Callable[[Booking], bytes],
    ) -> None:
        self._offerings = offerings
        self._ledger = ledger
        self._clock = clock
        self._encode = encode

    async def __call__(self, key: RequestKey, order: Order) -> bytes:
        """Books, and returns the encoded booking; of a replay, the one first returned.

        Raises:
            Failure: Any refusal of the offering or of the ledger; nothing was written.
        """
        try:
            booking = await self._judged(order)
        except Failure:
            # A retry must get its booking, though by now it may be too late for a new one.
            answer = await self._ledger.answer(key)
            if answer is None:
                raise
            return answer
        return await self._ledger.create(key, booking, self._encode(booking))

    async def _judged(self, order: Order) -> Booking:
        offering = await self._offerings.offering(order.name)
        now = self._clock.now()
        occupancy = offering.admit(order.start, order.duration, order.location, now)
        return Booking(
            organization_id=order.name.organization_id,
            booking_id=order.booking_id or uuid7(now),
            items=(BookingItem(order.name.resource_id, 1, occupancy),),
            event_type_id=order.name.event_type_id,
            event_type_title=offering.title,
            start=order.start,
            end=order.start + order.duration,
            booker=order.booker,
            location=order.location,
            time_zone=order.time_zone,
            state=BookingState.CONFIRMED,
            cancel_reason="",
            created_at=now,
            updated_at=now,
            revision=0,
        )
