"""What the use cases need from outside."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from services.availability.domain.booking import Booking, BookingKind, BookingState, Note
from services.availability.domain.claim import DayKey, DayState
from services.availability.domain.day_change import ChangedDay, FeedPage
from services.availability.domain.ledger_claim import Decision
from services.availability.domain.offering import Offering, OfferingName, ResourceFacts
from services.availability.domain.request_key import RequestKey
from services.availability.domain.verification import OccupyingItem, StoredDay
from shared.slots.quantum import Span


class Offerings(Protocol):
    """The catalog, as far as availability asks it. Answers are at most a second old."""

    async def offering(self, name: OfferingName) -> Offering:
        """Returns an offering.

        Raises:
            NotFound: The resource or the event type is unknown or deleted.
            StoreUnavailable: The catalog cannot be asked.
        """

    async def listed(
        self, organization_id: str, event_type_id: str, resource_type: str
    ) -> Sequence[Offering]:
        """Returns what an event type books, active resources of a type, or of any for "".

        Raises:
            NotFound: The event type is unknown or deleted.
            StoreUnavailable: The catalog cannot be asked.
        """

    async def resources(self, organization_id: str, resource_type: str) -> Sequence[ResourceFacts]:
        """Returns the active resources of a type, or of any for "".

        Raises:
            StoreUnavailable: The catalog cannot be asked.
        """

    async def pools(self, organization_id: str, resource_ids: Sequence[str]) -> frozenset[str]:
        """Returns which resources are pools.

        Raises:
            NotFound: A resource is unknown or deleted.
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

    async def capacities(
        self, organization_id: str, resource_ids: Collection[str]
    ) -> Mapping[str, int]:
        """Returns how many units pools have, as new as the days are.

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


Noted = Callable[[str, Sequence[ChangedDay] | None], None]
"""Told of an organization's days that were just committed, before any caller is.

Of None where something may have been committed, but what is not known.
"""


Remember = Callable[[str, Collection[DayKey]], Mapping[DayKey, DayState] | None]
"""Returns an organization's days as they may still be; None unless all of them are known."""


def no_memory(_organization_id: str, _days: Collection[DayKey]) -> None:
    """Remembers nothing."""


OnCommit = Callable[[], None]
"""Called when something is committed: it neither waits nor fails."""


def nothing() -> None:
    """Does nothing when something is committed."""


class Answered(NamedTuple):
    """What a caller is told, and whether the same call was told that before."""

    answer: bytes
    is_replay: bool = False


class Ledger(Protocol):
    """Where bookings are decided: each call writes all it has to, or nothing.

    Every method may raise RequestIdReused when the key stands for other content, Contended
    when others keep changing the same rows, Overloaded when too many wait, and
    StoreUnavailable.
    """

    async def answer(self, key: RequestKey) -> bytes | None:
        """Returns the answer that the key was given before."""

    async def create(
        self,
        key: RequestKey,
        booking: Booking,
        note: Note,
        encode: Callable[[Booking], bytes],
        *,
        is_named: bool = True,
        committed: OnCommit = nothing,
    ) -> Answered:
        """Takes the booking's time and writes it down; returns the key's answer.

        Args:
            key: Of the call.
            booking: What to write; an item with 0 units takes all there are.
            note: For the history.
            encode: Makes the answer.
            is_named: Whether a caller chose the booking's id, so that another may have it.
            committed: Called once the booking is there, be its caller gone by then; not of a
                replay.

        Raises:
            IdTaken: Another booking has its id.
            SlotUnavailable: Some of its time is taken.
        """

    async def change(
        self,
        organization_id: str,
        key: RequestKey | None,
        booking_id: str,
        decision: Decision,
        *,
        committed: OnCommit = nothing,
    ) -> bytes:
        """Changes a booking, takes what it newly needs and frees what it no longer does.

        Args:
            organization_id: Whose.
            key: Of the call; None for what the server does by itself.
            booking_id: Which booking.
            decision: What is to become of it, or a refusal. Pure: it is asked more than once,
                for the last time with the booking locked.
            committed: As in ``create``.

        Raises:
            NotFound: There is no such booking.
            SlotUnavailable: Some of its new time is taken.
        """

    async def set_capacity(
        self, key: RequestKey, resource_id: str, units: int, answer: bytes, now: datetime
    ) -> bytes:
        """Gives a pool another number of units; returns the key's answer.

        Raises:
            InUse: More are taken in a quarter hour that is not over.
        """

    async def rebuild(
        self, key: RequestKey, day: DayKey, encode: Callable[[DayState], bytes]
    ) -> bytes:
        """Writes a day anew from its bookings; returns the key's answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingFilter:
    """Which bookings are listed; an empty field does not filter."""

    organization_id: str
    resource_id: str
    booker_id: str
    event_type_id: str
    state: BookingState | None
    kind: BookingKind
    start_after: datetime | None
    start_before: datetime | None


class Cursor(NamedTuple):
    """The last row of a page."""

    start: datetime
    booking_id: str


class BookingReader(Protocol):
    """Stored bookings."""

    async def get(self, organization_id: str, booking_id: str) -> Booking | None:
        """Returns one booking.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """


class OverlapReader(Protocol):
    """Tells what occupies a resource."""

    async def overlapping(
        self, organization_id: str, resource_id: str, span: Span, limit: int
    ) -> Sequence[str]:
        """Returns ids of occupying bookings and blocks that overlap a span, some of many."""


class OverdueReader(Protocol):
    """Tells which bookings have ended by themselves."""

    async def overdue(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Returns (organization id, booking id), those overdue for longest first."""


class InventorySnapshot(Protocol):
    """One moment of an organization's inventory, streamed."""

    def days(self) -> AsyncGenerator[StoredDay]:
        """Yields stored days by resource and date."""

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
