"""The calls about schedules: decode, call, encode."""

from __future__ import annotations

from holdfast.catalog.v1 import schedule_pb2 as pb
from services.catalog.app.create_schedule import create_schedule
from services.catalog.app.delete_schedule import delete_schedule
from services.catalog.app.find import default_schedule, existing
from services.catalog.app.get_effective_hours import hours_of_resource, hours_of_schedule
from services.catalog.app.port import Change, View
from services.catalog.app.update_schedule import update_schedule
from services.catalog.domain.offering import EffectiveHours
from services.catalog.rpc.call import Calls
from services.catalog.rpc.codec import schedule as codec
from services.catalog.rpc.codec.page import cut
from shared.runtime.call import Context


class ScheduleCalls(Calls):
    """Schedules and the hours that follow from them."""

    async def CreateSchedule(
        self, request: pb.CreateScheduleRequest, context: Context
    ) -> pb.CreateScheduleResponse:
        """Creates a schedule."""
        draft = codec.create(request)

        async def effect(change: Change) -> pb.CreateScheduleResponse:
            record = await create_schedule(change, draft)
            return pb.CreateScheduleResponse(schedule=codec.encode(request.organization_id, record))

        return await self._once(request, pb.CreateScheduleResponse, effect)

    async def GetSchedule(
        self, request: pb.GetScheduleRequest, context: Context
    ) -> pb.GetScheduleResponse:
        """Reads a schedule."""
        key = codec.key(request)
        record = await self._read(request, lambda view: existing(view.schedules, key))
        return pb.GetScheduleResponse(schedule=codec.encode(request.organization_id, record))

    async def GetDefaultSchedule(
        self, request: pb.GetDefaultScheduleRequest, context: Context
    ) -> pb.GetDefaultScheduleResponse:
        """Reads the default schedule."""
        codec.check_header(request)
        record = await self._read(request, lambda view: default_schedule(view.schedules))
        return pb.GetDefaultScheduleResponse(schedule=codec.encode(request.organization_id, record))

    async def ListSchedules(
        self, request: pb.ListSchedulesRequest, context: Context
    ) -> pb.ListSchedulesResponse:
        """Lists schedules by id."""
        page = codec.page(request)
        records = await self._read(request, lambda view: view.schedules.page(page))
        shown, token = cut(request, records, page.limit, lambda record: record.value.schedule_id)
        return pb.ListSchedulesResponse(
            schedules=[codec.encode(request.organization_id, record) for record in shown],
            next_page_token=token,
        )

    async def UpdateSchedule(
        self, request: pb.UpdateScheduleRequest, context: Context
    ) -> pb.UpdateScheduleResponse:
        """Changes fields of a schedule."""
        wanted = codec.update(request)

        async def effect(change: Change) -> pb.UpdateScheduleResponse:
            record = await update_schedule(change, *wanted)
            return pb.UpdateScheduleResponse(schedule=codec.encode(request.organization_id, record))

        return await self._once(request, pb.UpdateScheduleResponse, effect)

    async def DeleteSchedule(
        self, request: pb.DeleteScheduleRequest, context: Context
    ) -> pb.DeleteScheduleResponse:
        """Removes a schedule for good."""
        key, etag = codec.delete(request)

        async def effect(change: Change) -> pb.DeleteScheduleResponse:
            await delete_schedule(change, key, etag)
            return pb.DeleteScheduleResponse()

        return await self._once(request, pb.DeleteScheduleResponse, effect)

    async def GetEffectiveHours(
        self, request: pb.GetEffectiveHoursRequest, context: Context
    ) -> pb.GetEffectiveHoursResponse:
        """Computes opening hours of a schedule or a resource."""
        first, last = codec.hours(request)

        async def hours(view: View) -> EffectiveHours:
            if request.schedule_id:
                return await hours_of_schedule(view, request.schedule_id, first, last)
            return await hours_of_resource(
                view, request.resource_id, request.event_type_id, first, last
            )

        return codec.encode_hours(await self._read(request, hours))
