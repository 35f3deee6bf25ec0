"""AvailabilityService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.availability.v1 import availability_pb2, availability_pb2_grpc
from services.availability.app.capacity import Capacities
from services.availability.app.check_inventory import CheckInventory
from services.availability.app.find_availability import FindAvailability
from services.availability.app.find_slots import FindSlots
from services.availability.app.read_days import ReadDays
from services.availability.app.rebuild_day import RebuildDay
from services.availability.app.verify import Verify
from services.availability.app.watch_days import WatchDays
from services.availability.domain.day_change import DayChange
from services.availability.rpc import codec, find_codec, inventory_codec, watch
from services.availability.rpc.day_slots import DaySlotAnswers
from shared.runtime.call import Context
from shared.runtime.mailbox import Mailbox
from shared.runtime.watch import serve_watch


@dataclass(frozen=True)
class AvailabilityServicer(availability_pb2_grpc.AvailabilityServiceServicer):
    """The contract of reads over the use cases."""

    day_slots: DaySlotAnswers
    find_slots: FindSlots
    check_inventory: CheckInventory
    read_days: ReadDays
    watch_days: WatchDays
    find: FindAvailability
    capacities: Capacities
    rebuild: RebuildDay
    verify: Verify

    async def GetDaySlots(  # type: ignore[override]  # not decoded, and encoded already
        self, request: bytes, context: Context
    ) -> bytes:
        """Free starts of one local date."""
        return await self.day_slots(request)

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

    async def FindAvailability(  # type: ignore[override]  # encoded already
        self, request: availability_pb2.FindAvailabilityRequest, context: Context
    ) -> bytes:
        """Free resources."""
        return find_codec.find_response(await self.find(find_codec.find_query(request)))

    async def SetCapacity(  # type: ignore[override]  # the ledger keeps answers encoded
        self, request: availability_pb2.SetCapacityRequest, context: Context
    ) -> bytes:
        """Gives a pool another number of units."""
        return await self.capacities.set(*inventory_codec.set_capacity(request))

    async def GetCapacity(
        self, request: availability_pb2.GetCapacityRequest, context: Context
    ) -> availability_pb2.GetCapacityResponse:
        """How many units a resource has."""
        found = await self.capacities.get(*inventory_codec.get_capacity(request))
        return inventory_codec.capacity_response(found)

    async def RebuildDay(  # type: ignore[override]  # the ledger keeps answers encoded
        self, request: availability_pb2.RebuildDayRequest, context: Context
    ) -> bytes:
        """Writes a day anew from its bookings."""
        return await self.rebuild(*inventory_codec.rebuild(request))

    async def VerifyInventory(
        self, request: availability_pb2.VerifyInventoryRequest, context: Context
    ) -> availability_pb2.VerifyInventoryResponse:
        """Compares bitmaps with bookings."""
        return codec.verify_response(await self.verify(*codec.verify_query(request)))
