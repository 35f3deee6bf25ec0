"""BookingService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.availability.v1 import booking_event_pb2 as event_pb
from holdfast.availability.v1 import booking_pb2 as pb
from holdfast.availability.v1 import booking_pb2_grpc
from services.availability.app.block import Block
from services.availability.app.book import Book
from services.availability.app.get_booking import GetBooking
from services.availability.app.list_bookings import ListBookings
from services.availability.app.list_history import ListHistory
from services.availability.app.reschedule import Reschedule
from services.availability.app.transition import Transition
from services.availability.app.watch_bookings import WatchBookings
from services.availability.domain.management_token import ManagementTokens
from services.availability.rpc import booking_codec as codec
from services.availability.rpc import booking_event_codec, booking_list_codec, booking_watch
from shared.runtime.call import Context


@dataclass(frozen=True)
class BookingServicer(booking_pb2_grpc.BookingServiceServicer):
    """The contract of bookings over the use cases."""

    book: Book
    block: Block
    confirm: Transition
    decline: Transition
    cancel: Transition
    complete: Transition
    reschedule: Reschedule
    tokens: ManagementTokens
    get: GetBooking
    list: ListBookings
    list_history: ListHistory
    watch_bookings: WatchBookings

    # What changes bookings is answered with bytes: the ledger keeps answers encoded.

    async def CreateBooking(  # type: ignore[override]
        self, request: pb.CreateBookingRequest, context: Context
    ) -> bytes:
        """Books."""
        key, order = codec.order(request)
        return codec.with_token(await self.book(key, order), key, self.tokens)

    async def CreateBlock(  # type: ignore[override]
        self, request: pb.CreateBlockRequest, context: Context
    ) -> bytes:
        """Takes time out of use."""
        return await self.block(*codec.closure(request))

    async def ConfirmBooking(  # type: ignore[override]
        self, request: pb.ConfirmBookingRequest, context: Context
    ) -> bytes:
        """Accepts a booking."""
        return await self.confirm(*codec.target(request, "ConfirmBooking"))

    async def DeclineBooking(  # type: ignore[override]
        self, request: pb.DeclineBookingRequest, context: Context
    ) -> bytes:
        """Turns a booking down."""
        return await self.decline(*codec.target(request, "DeclineBooking"))

    async def CancelBooking(  # type: ignore[override]
        self, request: pb.CancelBookingRequest, context: Context
    ) -> bytes:
        """Cancels a booking, or ends a block."""
        return await self.cancel(*codec.cancellation(request))

    async def CompleteBooking(  # type: ignore[override]
        self, request: pb.CompleteBookingRequest, context: Context
    ) -> bytes:
        """Says that a booking took place."""
        return await self.complete(*codec.target(request, "CompleteBooking"))

    async def RescheduleBooking(  # type: ignore[override]
        self, request: pb.RescheduleBookingRequest, context: Context
    ) -> bytes:
        """Moves a booking."""
        return await self.reschedule(*codec.new_time(request))

    async def GetBooking(
        self, request: pb.GetBookingRequest, context: Context
    ) -> pb.GetBookingResponse:
        """Reads one booking and its history."""
        found = await self.get(*booking_event_codec.booking_query(request))
        return booking_event_codec.get_response(*found)

    async def ListBookings(
        self, request: pb.ListBookingsRequest, context: Context
    ) -> pb.ListBookingsResponse:
        """Reads a page of bookings, or of blocks."""
        page = await self.list(*booking_list_codec.listing(request))
        return booking_list_codec.list_response(request, page)

    async def ListBookingHistory(
        self, request: event_pb.ListBookingHistoryRequest, context: Context
    ) -> event_pb.ListBookingHistoryResponse:
        """Reads a page of what happened to a booking."""
        found = await self.list_history(*booking_event_codec.history_query(request))
        return booking_event_codec.history_response(request, *found)

    async def WatchBookings(  # type: ignore[override]  # it writes, and is no iterator
        self, request: pb.WatchBookingsRequest, context: Context
    ) -> None:
        """Events, as they are committed."""
        asked = booking_watch.bookings_watch(request)
        async with self.watch_bookings(asked.organization_id, asked.begin) as following:
            await booking_watch.serve_events(context, following, asked.tokens)
