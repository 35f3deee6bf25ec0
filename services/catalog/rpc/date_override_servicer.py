"""The calls about date overrides: decode, call, encode."""

from __future__ import annotations

from holdfast.catalog.v1 import schedule_pb2 as pb
from services.catalog.app.delete_date_override import delete_date_override
from services.catalog.app.list_date_overrides import list_date_overrides
from services.catalog.app.port import Change
from services.catalog.app.set_date_override import set_date_override
from services.catalog.rpc.call import Calls
from services.catalog.rpc.codec import schedule as codec
from services.catalog.rpc.codec.page import cut
from shared.runtime.call import Context


class DateOverrideCalls(Calls):
    """Overrides of schedules by date."""

    async def SetDateOverride(
        self, request: pb.SetDateOverrideRequest, context: Context
    ) -> pb.SetDateOverrideResponse:
        """Sets the hours of one date."""
        schedule_id, override = codec.set_override(request)

        async def effect(change: Change) -> pb.SetDateOverrideResponse:
            await set_date_override(change, schedule_id, override)
            return pb.SetDateOverrideResponse(date_override=codec.encode_override(override))

        return await self._once(request, pb.SetDateOverrideResponse, effect)

    async def ListDateOverrides(
        self, request: pb.ListDateOverridesRequest, context: Context
    ) -> pb.ListDateOverridesResponse:
        """Lists overrides by date."""
        schedule_id, dates, after, limit = codec.override_page(request)
        overrides = await self._read(
            request,
            lambda view: list_date_overrides(view, schedule_id, dates, after=after, limit=limit),
        )
        shown, token = cut(request, overrides, limit, lambda one: one.date.isoformat())
        return pb.ListDateOverridesResponse(
            date_overrides=map(codec.encode_override, shown), next_page_token=token
        )

    async def DeleteDateOverride(
        self, request: pb.DeleteDateOverrideRequest, context: Context
    ) -> pb.DeleteDateOverrideResponse:
        """Gives a date its weekday's hours back."""
        schedule_id, day = codec.delete_override(request)

        async def effect(change: Change) -> pb.DeleteDateOverrideResponse:
            await delete_date_override(change, schedule_id, day)
            return pb.DeleteDateOverrideResponse()

        return await self._once(request, pb.DeleteDateOverrideResponse, effect)
