"""What the use cases need from outside."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from services.availability.domain.booking import Booking, BookingState
from services.availability.domain.claim import DayState
from services.availability.domain.day_change import ChangedDay, FeedPage
from services.availability.domain.offering import Offering, OfferingName
from services.availability.domain.verification import DayKey
from shared.slots.quantum import Span


class RequestKey(NamedTuple):
    """What makes two calls the same call, and the hash of what the call asks for."""

    organization_id: str
    method: str
    request_id: str
    content_hash: bytes


class Offerings(Protocol):
    """The catalog, as far as availability asks it. Answers are at most a second old."""

    async def offering(self, name: OfferingName) -> Offering:
        """Returns an offering.

        Raises:
            NotFound: The resource or the event type is unknown or deleted.
            StoreUnavailable: The catalog cannot be asked.
        """

    async def require_resources(self, organization_id: str, resource_ids: Sequence[str]) -> None:
        """Refuses ids of no resource.

        Raises:
            NotFound: A resource is unknown or deleted.
            StoreUnavailable: The catalog cannot be asked.
        """


class DayReader(Protocol):
    """Stored days by UTC day number; a day never booked is left out."""

    async def of_resource(
        self, organization_id: str, resource_id: str, days: range
    ) -> Mapping[int, DayState]:
        """Returns the days of one resource.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """

    async def of_resources(
        self, organization_id: str, resource_ids: Sequence[str], days: Sequence[int]
    ) -> Mapping[str, Mapping[int, DayState]]:
        """Returns days, given ascending, of several resources, each of which has an entry.

        There may be days between them, too.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """


class FeedReader(Protocol):
    """What transactions did to days, by organization."""

    async def read(self, positions: Mapping[str, int]) -> Mapping[str, FeedPage]:
        """Returns what came after a feed number, for each organization.

        All of it is of one moment, later than the call's.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """


Noted = Callable[[str, Sequence[ChangedDay]], None]
"""Told of an organization's days that were just committed, before any caller is.

Of none where something may have been committed, but what is not known.
"""


Decision = Callable[[Booking], tuple[Booking, bytes]]


class Ledger(Protocol):
    """Where bookings are decided: each call writes all it has to, or nothing.

    Every method may raise RequestIdReused when the key stands for other content, Contended
    when others keep changing the same rows, and StoreUnavailable.
    """

    async def answer(self, key: RequestKey) -> bytes | None:
        """Returns the answer that the key was given before."""

    async def create(self, key: RequestKey, booking: Booking, answer: bytes) -> bytes:
        """Takes the booking's time and writes it down; returns the key's answer.

        Raises:
            IdTaken: Another booking has its id.
            SlotUnavailable: Some of its time is taken.
        """

    async def change(self, key: RequestKey, booking_id: str, decide: Decision) -> bytes:
        """Changes a booking's state, frees its time if it no longer occupies it.

        Args:
            key: Of the call.
            booking_id: Which booking.
            decide: Returns the changed booking and the answer, or refuses. Pure: it may be
                asked again about a newer revision.

        Raises:
            NotFound: There is no such booking.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingFilter:
    """Which bookings are listed; an empty field does not filter."""

    organization_id: str
    resource_id: str
    booker_id: str
    event_type_id: str
    state: BookingState | None
    start_after: datetime | None
    start_before: datetime | None


class Cursor(NamedTuple):
    """The last row of a page."""

    start: datetime
    booking_id: str


class BookingReader(Protocol):
    """Stored bookings. Every method may raise StoreUnavailable."""

    async def get(self, organization_id: str, booking_id: str) -> Booking | None:
        """Returns one booking."""

    async def page(
        self, filters: BookingFilter, after: Cursor | None, limit: int
    ) -> Sequence[Booking]:
        """Returns bookings by (start, id), at most ``limit``, after the cursor."""


class OccupyingItem(NamedTuple):
    """An item of a booking that takes its time; one item of each booking is its ``first``."""

    resource_id: str
    occupancy: Span
    is_first: bool


class InventorySnapshot(Protocol):
    """One moment of an organization's inventory, streamed."""

    def days(self) -> AsyncGenerator[tuple[DayKey, int]]:
        """Yields stored bitmaps by resource and date."""

    def items(self) -> AsyncGenerator[OccupyingItem]:
        """Yields occupying items by resource and first quantum."""


class InventoryReader(Protocol):
    """Stored inventory, for verification."""

    def snapshot(
        self, organization_id: str, resource_id: str
    ) -> AbstractAsyncContextManager[InventorySnapshot]:
        """Opens a snapshot of one resource, or of all for an empty id.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """
