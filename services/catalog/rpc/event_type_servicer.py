"""The calls about event types: decode, call, encode."""

from __future__ import annotations

from holdfast.catalog.v1 import event_type_pb2 as pb
from services.catalog.app.create_event_type import create_event_type
from services.catalog.app.delete import delete
from services.catalog.app.find import event_type_by_slug, existing
from services.catalog.app.port import Change
from services.catalog.app.undelete import undelete
from services.catalog.app.update_event_type import update_event_type
from services.catalog.rpc.call import Calls
from services.catalog.rpc.codec import event_type as codec
from services.catalog.rpc.codec.page import cut
from shared.runtime.call import Context


class EventTypeCalls(Calls):
    """Event types."""

    async def CreateEventType(
        self, request: pb.CreateEventTypeRequest, context: Context
    ) -> pb.CreateEventTypeResponse:
        """Creates an event type."""
        draft = codec.create(request)

        async def effect(change: Change) -> pb.CreateEventTypeResponse:
            record = await create_event_type(change, draft)
            return pb.CreateEventTypeResponse(
                event_type=codec.encode(request.organization_id, record)
            )

        return await self._once(request, pb.CreateEventTypeResponse, effect)

    async def GetEventType(
        self, request: pb.GetEventTypeRequest, context: Context
    ) -> pb.GetEventTypeResponse:
        """Reads an event type, deleted or not."""
        key = codec.key(request)
        record = await self._read(request, lambda view: existing(view.event_types, key))
        return pb.GetEventTypeResponse(event_type=codec.encode(request.organization_id, record))

    async def GetEventTypeBySlug(
        self, request: pb.GetEventTypeBySlugRequest, context: Context
    ) -> pb.GetEventTypeBySlugResponse:
        """Reads an event type that is not deleted."""
        slug = codec.slug(request)
        record = await self._read(request, lambda view: event_type_by_slug(view, slug))
        return pb.GetEventTypeBySlugResponse(
            event_type=codec.encode(request.organization_id, record)
        )

    async def ListEventTypes(
        self, request: pb.ListEventTypesRequest, context: Context
    ) -> pb.ListEventTypesResponse:
        """Lists event types by id."""
        wanted, page = codec.page(request)
        records = await self._read(request, lambda view: view.event_types.page(wanted, page))
        shown, token = cut(request, records, page.limit, lambda record: record.value.event_type_id)
        return pb.ListEventTypesResponse(
            event_types=[codec.encode(request.organization_id, record) for record in shown],
            next_page_token=token,
        )

    async def UpdateEventType(
        self, request: pb.UpdateEventTypeRequest, context: Context
    ) -> pb.UpdateEventTypeResponse:
        """Changes fields of an event type."""
        wanted = codec.update(request)

        async def effect(change: Change) -> pb.UpdateEventTypeResponse:
            record = await update_event_type(change, *wanted)
            return pb.UpdateEventTypeResponse(
                event_type=codec.encode(request.organization_id, record)
            )

        return await self._once(request, pb.UpdateEventTypeResponse, effect)

    async def DeleteEventType(
        self, request: pb.DeleteEventTypeRequest, context: Context
    ) -> pb.DeleteEventTypeResponse:
        """Takes an event type out of lists and offerings."""
        key, etag = codec.delete(request)

        async def effect(change: Change) -> pb.DeleteEventTypeResponse:
            record = await delete(change, change.event_types, key, etag)
            return pb.DeleteEventTypeResponse(
                event_type=codec.encode(request.organization_id, record)
            )

        return await self._once(request, pb.DeleteEventTypeResponse, effect)

    async def UndeleteEventType(
        self, request: pb.UndeleteEventTypeRequest, context: Context
    ) -> pb.UndeleteEventTypeResponse:
        """Restores a deleted event type."""
        key = codec.key(request)

        async def effect(change: Change) -> pb.UndeleteEventTypeResponse:
            record = await undelete(change, change.event_types, key)
            return pb.UndeleteEventTypeResponse(
                event_type=codec.encode(request.organization_id, record)
            )

        return await self._once(request, pb.UndeleteEventTypeResponse, effect)
