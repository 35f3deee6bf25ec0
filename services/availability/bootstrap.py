"""Wires availability: the one place that chooses implementations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from holdfast.availability.v1 import availability_pb2_grpc, booking_pb2_grpc
from services.availability.app.book import Book
from services.availability.app.cancel import Cancel
from services.availability.app.check_inventory import CheckInventory
from services.availability.app.day_feed import DayFeed
from services.availability.app.find_slots import FindSlots
from services.availability.app.get_booking import GetBooking
from services.availability.app.list_bookings import ListBookings
from services.availability.app.read_days import ReadDays
from services.availability.app.verify import Verify
from services.availability.app.watch_days import WatchDays
from services.availability.domain.day_change import ChangedDay
from services.availability.rpc import booking_codec
from services.availability.rpc.errors import ERRORS
from services.availability.rpc.servicer import AvailabilityServicer, BookingServicer
from services.availability.settings import AvailabilitySettings
from services.availability.storage import migration
from services.availability.storage.booking import PostgresBookings
from services.availability.storage.database import Database
from services.availability.storage.day import PostgresDays
from services.availability.storage.feed import PostgresFeed
from services.availability.storage.inventory import PostgresInventory
from services.availability.storage.ledger import PostgresLedger
from services.availability.storage.purge import keep_purging
from services.availability.upstream.catalog import Catalog
from services.availability.upstream.doorbell import Doorbell
from shared.runtime.background import running
from shared.runtime.server import Service, Servicer

NAME: Final = "availability"

_PACKAGE: Final = "holdfast.availability.v1"
_WRITES: Final = frozenset({"CreateBooking", "CancelBooking"})


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
        database = await _opened(stack, settings, connections=settings.postgres_connections)
        # Of its own: what keeps reads fresh must not queue behind them.
        following = await _opened(stack, settings, connections=1)
        catalog = Catalog(settings.catalog_address, fresh_seconds=settings.catalog_fresh_seconds)
        stack.push_async_callback(catalog.close)
        feed = DayFeed(PostgresFeed(following), PostgresDays(database), settings.day_terms())
        tasks = [keep_purging(database), feed.run()]
        doorbell = Doorbell(settings.redis_url) if settings.redis_url else None
        if doorbell is not None:
            stack.push_async_callback(doorbell.close)
            tasks += [doorbell.keep_ringing(), doorbell.keep_listening(feed.ring, feed.ring_all)]
        async with running(*tasks):
            yield _service(settings, database, catalog, feed, doorbell)


async def _opened(
    stack: AsyncExitStack, settings: AvailabilitySettings, *, connections: int
) -> Database:
    database = Database(
        settings.postgres_url,
        connections=connections,
        statement=settings.postgres_timeout(),
        throwaway=settings.throwaway_data,
    )
    stack.push_async_callback(database.close)
    await database.open(head=migration.HEAD)
    return database


def _service(
    settings: AvailabilitySettings,
    database: Database,
    catalog: Catalog,
    feed: DayFeed,
    doorbell: Doorbell | None,
) -> Service:
    def noted(organization_id: str, days: Sequence[ChangedDay]) -> None:
        feed.note(organization_id, days)
        if doorbell is not None:
            doorbell.ring(organization_id)

    clock = settings.clock()
    ledger = PostgresLedger(database, noted)
    bookings = PostgresBookings(database)
    availability = AvailabilityServicer(
        find_slots=FindSlots(catalog, feed, clock),
        check_inventory=CheckInventory(catalog, feed),
        read_days=ReadDays(catalog, feed),
        watch_days=WatchDays(catalog, feed),
        verify=Verify(PostgresInventory(database)),
    )
    booking = BookingServicer(
        book=Book(catalog, ledger, clock, booking_codec.create_answer),
        cancel=Cancel(ledger, clock, booking_codec.cancel_answer),
        get=GetBooking(bookings),
        list=ListBookings(bookings),
    )
    add_availability = availability_pb2_grpc.add_AvailabilityServiceServicer_to_server
    add_booking = booking_pb2_grpc.add_BookingServiceServicer_to_server
    servicers = [
        Servicer(add_availability, availability, f"{_PACKAGE}.AvailabilityService"),
        Servicer(add_booking, booking, f"{_PACKAGE}.BookingService"),
    ]
    return Service(NAME, servicers, ERRORS, _WRITES)
