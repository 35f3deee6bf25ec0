"""CreateBooking: judge by every rule, then let the ledger decide about the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from services.availability.app.hold_gate import HoldGate
from services.availability.app.port import Ledger, Offerings
from services.availability.app.replay import former_answer
from services.availability.domain.admission import Wanted, admit
from services.availability.domain.booking import Booker, Booking, BookingItem, BookingState, Note
from services.availability.domain.management_token import FIRST_VERSION, ManagementTokens
from services.availability.domain.offering import Offering, OfferingName
from services.availability.domain.refusal import NotAllowed
from services.availability.domain.request_key import RequestKey
from shared.runtime.clock import Clock
from shared.runtime.failure import Failure
from shared.runtime.identity import uuid7


class OrderedItem(NamedTuple):
    """A resource and how many units of it."""

    resource_id: str
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller wants to book.

    Attributes:
        booking_id: Empty for a generated one.
        provisional: How long the booking waits to be confirmed; None where it need not.
        note: Who books, and why where rules of the schedule are overridden.
        session: The secret of the session whose holds are the booker's own; empty for none.
    """

    organization_id: str
    event_type_id: str
    items: tuple[OrderedItem, ...]
    booking_id: str
    start: datetime
    duration: timedelta
    booker: Booker
    location: str
    time_zone: str
    provisional: timedelta | None
    note: Note
    session: str = field(default="", repr=False)


class Made(NamedTuple):
    """What CreateBooking answers; the token is None where the answer is a former one."""

    answer: bytes
    token: str | None


class Book:
    """Books resources, all of them or none."""

    def __init__(
        self,
        offerings: Offerings,
        gate: HoldGate,
        ledger: Ledger,
        clock: Clock,
        tokens: ManagementTokens,
        encode: Callable[[Booking], bytes],
        *,
        administration: bool,
    ) -> None:
        self._offerings = offerings
        self._gate = gate
        self._ledger = ledger
        self._clock = clock
        self._tokens = tokens
        self._encode = encode
        self._administration = administration

    async def __call__(self, key: RequestKey, order: Order) -> Made:
        """Books, and returns the encoded booking; of a replay, the one first returned.

        Raises:
            Failure: Any refusal of the offerings or of the ledger; nothing was written.
        """
        try:
            booking, token = await self._judged(order)
        except Failure as refusal:
            return Made(await former_answer(self._ledger, key, refusal), None)
        answer, is_replay = await self._ledger.create(
            key,
            booking,
            order.note,
            self._encode,
            is_named=bool(order.booking_id),
            committed=lambda: self._gate.settle(
                order.organization_id, order.session, booking.items
            ),
        )
        return Made(answer, None if is_replay else token)

    async def _judged(self, order: Order) -> tuple[Booking, str]:
        if order.note.is_override and not self._administration:
            raise NotAllowed
        offerings = await offered(
            self._offerings, order.organization_id, order.event_type_id, order.items
        )
        now = self._clock.now()
        units = [item.units for item in order.items]
        wanted = Wanted(order.start, order.duration, order.location, order.note.is_override)
        items = admit(offerings, units, wanted, now)
        await self._gate.require_unheld(order.organization_id, order.session, items)
        return self._booking(order, offerings[0], items, now)

    def _booking(
        self, order: Order, offering: Offering, items: tuple[BookingItem, ...], now: datetime
    ) -> tuple[Booking, str]:
        booking_id = order.booking_id or uuid7(now)
        token = self._tokens.issued(order.organization_id, booking_id, FIRST_VERSION)
        state = BookingState.CONFIRMED
        if order.provisional is not None:
            state = BookingState.PROVISIONAL
        elif offering.needs_confirmation:
            state = BookingState.PENDING
        booking = Booking(
            organization_id=order.organization_id,
            booking_id=booking_id,
            items=items,
            event_type_id=order.event_type_id,
            event_type_title=offering.title,
            start=order.start,
            end=order.start + order.duration,
            booker=order.booker,
            location=order.location,
            time_zone=order.time_zone,
            state=state,
            cancel_reason="",
            created_at=now,
            updated_at=now,
            revision=0,
            expires_at=now + order.provisional if order.provisional is not None else None,
            needs_confirmation=offering.needs_confirmation,
            token_version=FIRST_VERSION,
            token_hash=self._tokens.hashed(token, FIRST_VERSION),
        )
        return booking, token


async def offered(
    offerings: Offerings,
    organization_id: str,
    event_type_id: str,
    items: Sequence[OrderedItem | BookingItem],
) -> list[Offering]:
    """Returns what each item is offered under, in their order.

    Raises:
        NotFound: A resource or the event type is unknown or deleted.
        StoreUnavailable: The catalog cannot be asked.
    """
    return [
        await offerings.offering(OfferingName(organization_id, item.resource_id, event_type_id))
        for item in items
    ]
