"""Wires availability: the one place that chooses implementations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple

from holdfast.availability.v1 import availability_pb2_grpc, booking_pb2_grpc
from services.availability.app import transition
from services.availability.app.block import Block
from services.availability.app.book import Book
from services.availability.app.capacity import Capacities
from services.availability.app.check_inventory import CheckInventory
from services.availability.app.day_feed import DayFeed
from services.availability.app.end_overdue import EndOverdue
from services.availability.app.event_feed import EventFeed
from services.availability.app.find_availability import FindAvailability
from services.availability.app.find_slots import FindSlots
from services.availability.app.get_booking import GetBooking
from services.availability.app.hold_gate import HoldGate
from services.availability.app.list_bookings import ListBookings
from services.availability.app.list_history import ListHistory
from services.availability.app.organization_index import OrganizationIndexes
from services.availability.app.port import Ledger
from services.availability.app.read_days import ReadDays
from services.availability.app.rebuild_day import RebuildDay
from services.availability.app.reschedule import Reschedule
from services.availability.app.verify import Verify
from services.availability.app.watch_bookings import WatchBookings
from services.availability.app.watch_days import WatchDays
from services.availability.domain.booking import Booking
from services.availability.domain.day_change import ChangedDay
from services.availability.rpc import booking_codec, inventory_codec
from services.availability.rpc.booking_servicer import BookingServicer
from services.availability.rpc.day_slots import DaySlotAnswers
from services.availability.rpc.errors import ERRORS
from services.availability.rpc.servicer import AvailabilityServicer
from services.availability.settings import AvailabilitySettings
from services.availability.storage import migration
from services.availability.storage.booking import PostgresBookings
from services.availability.storage.database import Database
from services.availability.storage.day import PostgresDays
from services.availability.storage.day_range import PostgresRange
from services.availability.storage.event import PostgresEvents, PostgresHistory
from services.availability.storage.feed import PostgresFeed
from services.availability.storage.inventory import PostgresInventory
from services.availability.storage.ledger import PostgresLedger
from services.availability.storage.overdue import PostgresOverdue
from services.availability.storage.purge import keep_purging
from services.availability.storage.writer import WriterTerms
from services.availability.upstream.catalog import Catalog
from services.availability.upstream.doorbell import Doorbell
from services.availability.upstream.hold_metrics import HoldMetrics
from services.availability.upstream.presence import NoPresence, Presence
from shared.runtime.background import running
from shared.runtime.server import Service, Servicer

NAME: Final = "availability"

_PACKAGE: Final = "holdfast.availability.v1"
_WRITES: Final = frozenset(
    {
        "CreateBooking",
        "CreateBlock",
        "ConfirmBooking",
        "DeclineBooking",
        "CancelBooking",
        "CompleteBooking",
        "RescheduleBooking",
        "SetCapacity",
        "RebuildDay",
    }
)
_UNDECODED: Final = frozenset({"GetDaySlots"})
# Connections beside those for calls.
_FOLLOWING: Final = 1
_TELLING: Final = 3
# For what is on its way to the store when the server stops.
_LAST_SECONDS: Final = 5.0


def migrate(settings: AvailabilitySettings) -> None:
    """Brings the database to the revision that this code needs."""
    migration.migrate(settings.postgres_url)


@asynccontextmanager
async def wired(settings: AvailabilitySettings) -> AsyncIterator[Service]:
    """Opens the database and the catalog's channel, yields the service, closes both.

    Raises:
        StartRefused: The database cannot be reached, may lose what it acknowledged, or has an
            older schema.
    """
    async with AsyncExitStack() as stack:
        database, following, telling = await _opened(stack, settings)
        catalog = Catalog(
            settings.catalog_address,
            fresh_seconds=settings.catalog_fresh_seconds,
            stale_seconds=settings.catalog_stale_seconds,
            timeout_seconds=settings.catalog_timeout_seconds,
        )
        stack.push_async_callback(catalog.close)
        feed = DayFeed(PostgresFeed(following), PostgresDays(database), settings.day_terms())
        indexes = OrganizationIndexes(feed, PostgresRange(database))
        events = EventFeed(PostgresEvents(telling), settings.clock())
        doorbell = Doorbell(settings.redis_url) if settings.redis_url else None

        def noted(organization_id: str, days: Sequence[ChangedDay] | None) -> None:
            feed.note(organization_id, days)
            events.ring(organization_id)
            if doorbell is not None:
                doorbell.ring(organization_id)

        terms = WriterTerms(most_waiting=settings.ledger_queue)
        metrics = HoldMetrics()
        presence = holds_of(settings, metrics)
        stack.push_async_callback(presence.close)
        ledger = PostgresLedger(database, noted, terms, feed.remembered)
        stack.push_async_callback(ledger.close, _LAST_SECONDS)
        ending = EndOverdue(PostgresOverdue(database), ledger, settings.clock())
        tasks = [
            keep_purging(database, events_kept=settings.outbox_retention()),
            feed.run(),
            indexes.run(),
            events.run(),
            ending.keep_ending(),
            presence.run(),
        ]
        if doorbell is not None:
            stack.push_async_callback(doorbell.close)
            tasks += [doorbell.keep_ringing(), doorbell.keep_listening(*_heard(feed, events))]
        gate = HoldGate(presence, feed)
        slots = FindSlots(catalog, feed, PostgresBookings(database), settings.clock())
        answers = DaySlotAnswers(slots, most_bytes=settings.answer_bytes())
        parts = _Parts(
            settings, database, catalog, feed, indexes, events, gate, ledger, slots, answers
        )
        counted = [*metrics.collectors, answers]
        async with running(*tasks):
            yield Service(NAME, _servicers(parts), ERRORS, _WRITES, counted, _UNDECODED)


def holds_of(settings: AvailabilitySettings, metrics: HoldMetrics) -> Presence | NoPresence:
    """Returns presence as the settings name it: as bookings ask it, and tell it."""
    if not settings.presence_address:
        return NoPresence(metrics)
    budget = settings.hold_check_budget().total_seconds()
    return Presence(settings.presence_address, metrics, budget_seconds=budget)


def _heard(feed: DayFeed, events: EventFeed) -> tuple[Callable[[str], None], Callable[[], None]]:
    def heard(organization_id: str) -> None:
        feed.ring(organization_id)
        events.ring(organization_id)

    def may_have_missed() -> None:
        feed.ring_all()
        events.ring_all()

    return heard, may_have_missed


class _Parts(NamedTuple):
    """What the use cases are made of."""

    settings: AvailabilitySettings
    database: Database
    catalog: Catalog
    feed: DayFeed
    indexes: OrganizationIndexes
    events: EventFeed
    gate: HoldGate
    ledger: Ledger
    slots: FindSlots
    answers: DaySlotAnswers


async def _opened(
    stack: AsyncExitStack, settings: AvailabilitySettings
) -> tuple[Database, Database, Database]:
    """Returns connections for calls, for what keeps reads fresh, and for watchers of events.

    Apart: none of them must queue behind another.
    """
    found = tuple(
        Database(
            settings.postgres_url,
            connections=connections,
            statement=settings.postgres_timeout(),
            throwaway=settings.throwaway_data,
        )
        for connections in (settings.postgres_connections, _FOLLOWING, _TELLING)
    )
    for database in found:
        stack.push_async_callback(database.close)
    opens = (database.open(head=migration.HEAD) for database in found)
    for refused in await asyncio.gather(*opens, return_exceptions=True):
        if refused is not None:
            raise refused
    calls, following, telling = found
    return calls, following, telling


def _servicers(parts: _Parts) -> list[Servicer]:
    add_availability = availability_pb2_grpc.add_AvailabilityServiceServicer_to_server
    add_booking = booking_pb2_grpc.add_BookingServiceServicer_to_server
    return [
        Servicer(add_availability, _availability(parts), f"{_PACKAGE}.AvailabilityService"),
        Servicer(add_booking, _booking(parts), f"{_PACKAGE}.BookingService"),
    ]


def _availability(parts: _Parts) -> AvailabilityServicer:
    catalog, feed, ledger, clock = parts.catalog, parts.feed, parts.ledger, parts.settings.clock()
    return AvailabilityServicer(
        day_slots=parts.answers,
        find_slots=parts.slots,
        check_inventory=CheckInventory(catalog, feed),
        read_days=ReadDays(catalog, feed),
        watch_days=WatchDays(catalog, feed),
        find=FindAvailability(catalog, parts.indexes, clock),
        capacities=Capacities(catalog, feed, ledger, clock, inventory_codec.capacity_answer),
        rebuild=RebuildDay(ledger, inventory_codec.rebuild_answer),
        verify=Verify(PostgresInventory(parts.database), clock),
    )


def _booking(parts: _Parts) -> BookingServicer:
    settings, database = parts.settings, parts.database
    catalog, gate, ledger = parts.catalog, parts.gate, parts.ledger
    clock, tokens = settings.clock(), settings.management_tokens()
    bookings, history = PostgresBookings(database), PostgresHistory(database)
    allowed = settings.administration

    def answer(booking: Booking) -> bytes:
        # What is overdue the moment it is made has ended for everybody.
        return booking_codec.answer(booking.seen_at(clock.now()))

    def moving(move: transition.Move) -> transition.Transition:
        return transition.Transition(move, ledger, clock, tokens, answer)

    return BookingServicer(
        book=Book(catalog, gate, ledger, clock, tokens, answer, administration=allowed),
        block=Block(catalog, bookings, gate, ledger, clock, answer, administration=allowed),
        confirm=moving(transition.confirm),
        decline=moving(transition.decline),
        cancel=moving(transition.cancel),
        complete=moving(transition.complete),
        reschedule=Reschedule(
            catalog, bookings, gate, ledger, clock, tokens, answer, administration=allowed
        ),
        tokens=tokens,
        get=GetBooking(bookings, history, tokens.matches, clock),
        list=ListBookings(bookings, clock),
        list_history=ListHistory(history),
        watch_bookings=WatchBookings(parts.events),
    )
