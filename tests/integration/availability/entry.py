"""Bookings and keys as the ledger gets them, and what must hold whatever was done with them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from services.availability.app.port import Noted, Remember, no_memory
from services.availability.app.verify import Verify
from services.availability.domain.booking import (
    Booker,
    Booking,
    BookingItem,
    BookingState,
    Event,
    Note,
)
from services.availability.domain.claim import FREE, DayKey, DayState
from services.availability.domain.day_change import ChangedDay
from services.availability.domain.ledger_claim import Change
from services.availability.domain.request_key import RequestKey
from services.availability.storage.batch import Batch
from services.availability.storage.database import Database
from services.availability.storage.inventory import PostgresInventory
from services.availability.storage.ledger import PostgresLedger
from services.availability.storage.writer import WriterTerms
from shared.slots.quantum import Span, instant
from tests.clock import ManualClock

NOW = datetime(2027, 3, 1, 8, tzinfo=UTC)
# Quantum 0 of Monday, 2027-03-08.
MONDAY = int(datetime(2027, 3, 8, tzinfo=UTC).timestamp()) // 900


def nobody(_organization_id: str, _days: Sequence[ChangedDay] | None) -> None:
    """Is told of commits, and does nothing."""


def key(organization_id: str, method: str = "CreateBooking") -> RequestKey:
    """A key of a call of its own."""
    return RequestKey(organization_id, method, str(uuid.uuid4()), b"content")


def booking(
    organization_id: str,
    first: int,
    stop: int,
    *,
    resources: Sequence[str] = ("studio-a",),
    booking_id: str = "",
) -> Booking:
    """A booking of Monday's quanta first <= q < stop, which may go on for days."""
    span = Span(MONDAY + first, MONDAY + stop)
    return Booking(
        organization_id=organization_id,
        booking_id=booking_id or str(uuid.uuid4()),
        items=tuple(BookingItem(resource_id, 1, span) for resource_id in resources),
        event_type_id="session",
        event_type_title="Session",
        start=instant(span.first),
        end=instant(span.stop),
        booker=Booker("ann", "Ann", "ann@example.com"),
        location="",
        time_zone="",
        state=BookingState.CONFIRMED,
        cancel_reason="",
        created_at=NOW,
        updated_at=NOW,
        revision=0,
    )


def cancelled(found: Booking) -> Change:
    """The decision to cancel."""
    ended = found.cancelled(NOW + timedelta(minutes=1), "changed my mind")
    return Change(ended, Event.CANCELLED, Note("ann", "changed my mind"), b"cancelled")


class Memory:
    """Days as a ledger told of them last; free those that it never told of.

    Attributes:
        days: What is remembered, right or wrong.
        asked: How often it was.
    """

    def __init__(self) -> None:
        self.days: dict[DayKey, DayState] = {}
        self.asked = 0

    def noted(self, _organization_id: str, days: Sequence[ChangedDay] | None) -> None:
        """Remembers what was committed."""
        self.days |= {DayKey(resource_id, day): state for resource_id, day, state in days or ()}

    def __call__(
        self, _organization_id: str, keys: Collection[DayKey]
    ) -> Mapping[DayKey, DayState]:
        """Returns days."""
        self.asked += 1
        return {key: self.days.get(key, FREE) for key in keys}


class Ledger(PostgresLedger):
    """The ledger, with answers that the test knows."""

    def __init__(
        self,
        database: Database,
        noted: Noted = nobody,
        terms: WriterTerms | None = None,
        remember: Remember = no_memory,
    ) -> None:
        super().__init__(database, noted, terms, remember)

    async def book(self, request: RequestKey, wanted: Booking, answer: bytes) -> bytes:
        """Creates a booking."""
        return (await self.create(request, wanted, Note("ann"), lambda _: answer)).answer

    async def cancel(self, request: RequestKey, booking_id: str) -> bytes:
        """Cancels one."""
        return await self.change(request.organization_id, request, booking_id, cancelled)


def round_trips(patch: pytest.MonkeyPatch) -> list[None]:
    """Returns what grows with each round trip of a ledger's transactions from now on."""
    made: list[None] = []
    real = Batch.run

    async def run(self: Batch) -> None:
        made.append(None)
        await real(self)

    patch.setattr(Batch, "run", run)
    return made


async def violations(database: Database, organization_id: str) -> int:
    """Days that two bookings share, or whose bitmap is not the union of their bookings."""
    verify = Verify(PostgresInventory(database), ManualClock(NOW))
    return (await verify(organization_id, "")).difference_count
