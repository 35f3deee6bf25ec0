"""RescheduleBooking: the same booking at another time, judged anew by every rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.availability.app.book import offered
from services.availability.app.hold_gate import HoldGate
from services.availability.app.port import BookingReader, Ledger, Offerings
from services.availability.app.replay import former_answer
from services.availability.app.transition import require_token
from services.availability.domain.admission import Wanted, admit
from services.availability.domain.booking import Booking, Event, Note
from services.availability.domain.ledger_claim import Change
from services.availability.domain.management_token import ManagementTokens
from services.availability.domain.offering import Offering
from services.availability.domain.refusal import Kind, NotAllowed, NotFound
from services.availability.domain.request_key import RequestKey
from shared.runtime.clock import Clock
from shared.runtime.failure import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTime:
    """Where a booking is to be moved; a length of None is the one it has."""

    booking_id: str
    start: datetime
    duration: timedelta | None
    note: Note
    token: str
    session: str = field(default="", repr=False)


class Reschedule:
    """Moves a booking with all its resources, or leaves it where it is."""

    def __init__(
        self,
        offerings: Offerings,
        bookings: BookingReader,
        gate: HoldGate,
        ledger: Ledger,
        clock: Clock,
        tokens: ManagementTokens,
        encode: Callable[[Booking], bytes],
        *,
        administration: bool,
    ) -> None:
        self._offerings = offerings
        self._bookings = bookings
        self._gate = gate
        self._ledger = ledger
        self._clock = clock
        self._tokens = tokens
        self._encode = encode
        self._administration = administration

    async def __call__(self, key: RequestKey, to: NewTime) -> bytes:
        """Moves, and returns the encoded booking; of a replay, the one first returned.

        Raises:
            NotFound: There is no such booking, or the token is not its own.
            InvalidState: It has ended, or is a block.
            Failure: Any refusal of the offerings or of the ledger; nothing was written.
        """
        try:
            offerings = await self._judged(key.organization_id, to)
        except Failure as refusal:
            return await former_answer(self._ledger, key, refusal)

        moved: Booking | None = None

        def decide(booking: Booking) -> Change:
            nonlocal moved
            moved = self._moved(booking, offerings, to)
            return Change(moved, Event.RESCHEDULED, to.note, self._encode(moved))

        def committed() -> None:
            if moved is not None:  # as it was decided last, under the row's lock
                self._gate.settle(key.organization_id, to.session, moved.items)

        return await self._ledger.change(
            key.organization_id, key, to.booking_id, decide, committed=committed
        )

    async def _judged(self, organization_id: str, to: NewTime) -> Sequence[Offering]:
        if to.note.is_override and not self._administration:
            raise NotAllowed
        booking = await self._bookings.get(organization_id, to.booking_id)
        if booking is None:
            raise NotFound(Kind.BOOKING, to.booking_id)
        require_token(self._tokens, booking, to.token)
        booking.require_movable(self._clock.now())
        offerings = await offered(
            self._offerings, organization_id, booking.event_type_id, booking.items
        )
        moved = self._moved(booking, offerings, to)
        kept = {item.resource_id: item.occupancy for item in booking.items}
        await self._gate.require_unheld(organization_id, to.session, moved.items, kept)
        return offerings

    def _moved(self, booking: Booking, offerings: Sequence[Offering], to: NewTime) -> Booking:
        require_token(self._tokens, booking, to.token)
        now = self._clock.now()
        booking.require_movable(now)
        duration = booking.end - booking.start if to.duration is None else to.duration
        wanted = Wanted(to.start, duration, None, to.note.is_override)
        items = admit(offerings, [item.units for item in booking.items], wanted, now)
        return booking.rescheduled(to.start, to.start + duration, items, now)
