"""Wires availability: the one place that chooses implementations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from holdfast.availability.v1 import availability_pb2_grpc, booking_pb2_grpc
from services.availability.app.book import Book
from services.availability.app.cancel import Cancel
from services.availability.app.check_inventory import CheckInventory
from services.availability.app.find_slots import FindSlots
from services.availability.app.get_booking import GetBooking
from services.availability.app.list_bookings import ListBookings
from services.availability.app.read_days import ReadDays
from services.availability.app.verify import Verify
from services.availability.rpc import booking_codec
from services.availability.rpc.errors import ERRORS
from services.availability.rpc.servicer import AvailabilityServicer, BookingServicer
from services.availability.settings import AvailabilitySettings
from services.availability.storage import migration
from services.availability.storage.booking import PostgresBookings
from services.availability.storage.database import Database
from services.availability.storage.day import PostgresDays
from services.availability.storage.inventory import PostgresInventory
from services.availability.storage.ledger import PostgresLedger
from services.availability.storage.purge import keep_purging
from services.availability.upstream.catalog import Catalog
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
    database = Database(
        settings.postgres_url,
        connections=settings.postgres_connections,
        statement=settings.postgres_timeout(),
        throwaway=settings.throwaway_data,
    )
    await database.open(head=migration.HEAD)
    catalog = Catalog(settings.catalog_address, fresh_seconds=settings.catalog_fresh_seconds)
    purging = asyncio.create_task(keep_purging(database))
    try:
        yield _service(settings, database, catalog)
    finally:
        purging.cancel()
        await asyncio.gather(purging, return_exceptions=True)
        await catalog.close()
        await database.close()


def _service(settings: AvailabilitySettings, database: Database, catalog: Catalog) -> Service:
    clock = settings.clock()
    days = PostgresDays(database)
    ledger = PostgresLedger(database)
    bookings = PostgresBookings(database)
    availability = AvailabilityServicer(
        find_slots=FindSlots(catalog, days, clock),
        check_inventory=CheckInventory(catalog, days),
        read_days=ReadDays(catalog, days),
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
