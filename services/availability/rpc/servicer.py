"""AvailabilityService and BookingService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.availability.v1 import (
    availability_pb2,
    availability_pb2_grpc,
    booking_pb2,
    booking_pb2_grpc,
)
from services.availability.app.book import Book
from services.availability.app.cancel import Cancel
from services.availability.app.check_inventory import CheckInventory
from services.availability.app.find_slots import FindSlots
from services.availability.app.get_booking import GetBooking
from services.availability.app.list_bookings import ListBookings
from services.availability.app.read_days import ReadDays
from services.availability.app.verify import Verify
from services.availability.app.watch_days import WatchDays
from services.availability.domain.day_change import DayChange
from services.availability.rpc import booking_codec, codec, watch
from shared.runtime.call import Context
from shared.runtime.mailbox import Mailbox
from shared.runtime.watch import serve_watch


@dataclass(frozen=True)
class AvailabilityServicer(availability_pb2_grpc.AvailabilityServiceServicer):
    """The contract of reads over the use cases."""

    find_slots: FindSlots
    check_inventory: CheckInventory
    read_days: ReadDays
    watch_days: WatchDays
    verify: Verify

    async def GetDaySlots(  # type: ignore[override]  # encoded already
        self, request: availability_pb2.GetDaySlotsRequest, context: Context
    ) -> bytes:
        """Free starts of one local date."""
        found = await self.find_slots.of_day(codec.day_slots_query(request))
        return codec.day_slots_response(found, request.resource_id)

    async def GetMonthAvailability(
        self, request: availability_pb2.GetMonthAvailabilityRequest, context: Context
    ) -> availability_pb2.GetMonthAvailabilityResponse:
        """Which local dates have a free start."""
        query = codec.month_query(request)
        available, zone = await self.find_slots.of_dates(query)
        return codec.month_response(query.first, available, zone)

    async def CheckInventory(
        self, request: availability_pb2.CheckInventoryRequest, context: Context
    ) -> availability_pb2.CheckInventoryResponse:
        """Whether resources are free over a range."""
        return codec.inventory_response(await self.check_inventory(*codec.inventory_query(request)))

    async def GetDays(
        self, request: availability_pb2.GetDaysRequest, context: Context
    ) -> availability_pb2.GetDaysResponse:
        """Raw bitmaps."""
        query = codec.days_query(request)
        return codec.days_response(query, await self.read_days(*query))

    async def WatchDays(  # type: ignore[override]  # it writes, and is no iterator
        self, request: availability_pb2.WatchDaysRequest, context: Context
    ) -> None:
        """Days, then their changes."""
        asked = watch.days_watch(request)
        mailbox = Mailbox[str, DayChange]()
        at_least = asked.resumed.revision if asked.resumed else 0
        async with self.watch_days(
            asked.organization_id, asked.resource_ids, asked.days, mailbox, at_least=at_least
        ) as known:
            await serve_watch(context, mailbox, watch.DaysView(asked, known))

    async def VerifyInventory(
        self, request: availability_pb2.VerifyInventoryRequest, context: Context
    ) -> availability_pb2.VerifyInventoryResponse:
        """Compares bitmaps with bookings."""
        return codec.verify_response(await self.verify(*codec.verify_query(request)))


@dataclass(frozen=True)
class BookingServicer(booking_pb2_grpc.BookingServiceServicer):
    """The contract of bookings over the use cases."""

    book: Book
    cancel: Cancel
    get: GetBooking
    list: ListBookings

    async def CreateBooking(  # type: ignore[override]  # the ledger keeps answers encoded
        self, request: booking_pb2.CreateBookingRequest, context: Context
    ) -> bytes:
        """Books."""
        return await self.book(*booking_codec.order(request))

    async def GetBooking(
        self, request: booking_pb2.GetBookingRequest, context: Context
    ) -> booking_pb2.GetBookingResponse:
        """Reads one booking."""
        return booking_codec.get_response(await self.get(*booking_codec.booking_name(request)))

    async def ListBookings(
        self, request: booking_pb2.ListBookingsRequest, context: Context
    ) -> booking_pb2.ListBookingsResponse:
        """Reads a page of bookings."""
        found, end = await self.list(*booking_codec.listing(request))
        return booking_codec.list_response(request, found, end)

    async def CancelBooking(  # type: ignore[override]  # the ledger keeps answers encoded
        self, request: booking_pb2.CancelBookingRequest, context: Context
    ) -> bytes:
        """Cancels a booking."""
        return await self.cancel(*booking_codec.cancellation(request))
