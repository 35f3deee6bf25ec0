"""The calls about links and offerings: decode, call, encode."""

from __future__ import annotations

from holdfast.catalog.v1 import link_pb2 as pb
from holdfast.catalog.v1 import offering_pb2
from services.catalog.app.get_offering import get_offering
from services.catalog.app.link import link
from services.catalog.app.list_linked import event_types_of_resource, resources_of_event_type
from services.catalog.app.port import Change
from services.catalog.app.set_event_types import set_event_types
from services.catalog.app.set_resources import set_resources
from services.catalog.app.unlink import unlink
from services.catalog.rpc.call import Calls
from services.catalog.rpc.codec import event_type, offering, resource
from services.catalog.rpc.codec import link as codec
from services.catalog.rpc.codec.page import cut
from shared.runtime.call import Context


class LinkCalls(Calls):
    """Which event types book which resources, and what a booking is judged by."""

    async def SetResources(
        self, request: pb.SetResourcesRequest, context: Context
    ) -> pb.SetResourcesResponse:
        """Replaces the resources that an event type books."""
        event_type_id, keys = codec.set_resources(request)

        async def effect(change: Change) -> pb.SetResourcesResponse:
            linked = await set_resources(change, event_type_id, keys)
            return pb.SetResourcesResponse(resource_ids=linked)

        return await self._once(request, pb.SetResourcesResponse, effect)

    async def SetEventTypes(
        self, request: pb.SetEventTypesRequest, context: Context
    ) -> pb.SetEventTypesResponse:
        """Replaces the event types that book a resource."""
        resource_id, keys = codec.set_event_types(request)

        async def effect(change: Change) -> pb.SetEventTypesResponse:
            linked = await set_event_types(change, resource_id, keys)
            return pb.SetEventTypesResponse(event_type_ids=linked)

        return await self._once(request, pb.SetEventTypesResponse, effect)

    async def Link(self, request: pb.LinkRequest, context: Context) -> pb.LinkResponse:
        """Lets an event type book a resource."""
        pair = codec.pair(request)

        async def effect(change: Change) -> pb.LinkResponse:
            await link(change, *pair)
            return pb.LinkResponse()

        return await self._once(request, pb.LinkResponse, effect)

    async def Unlink(self, request: pb.UnlinkRequest, context: Context) -> pb.UnlinkResponse:
        """Ends that."""
        pair = codec.pair(request)

        async def effect(change: Change) -> pb.UnlinkResponse:
            await unlink(change, *pair)
            return pb.UnlinkResponse()

        return await self._once(request, pb.UnlinkResponse, effect)

    async def ListEventTypesForResource(
        self, request: pb.ListEventTypesForResourceRequest, context: Context
    ) -> pb.ListEventTypesForResourceResponse:
        """Lists the event types that book a resource, by id."""
        key, page = codec.event_types_page(request)
        records = await self._read(request, lambda view: event_types_of_resource(view, key, page))
        shown, token = cut(request, records, page.limit, lambda one: one.value.event_type_id)
        return pb.ListEventTypesForResourceResponse(
            event_types=[event_type.encode(request.organization_id, one) for one in shown],
            next_page_token=token,
        )

    async def ListResourcesForEventType(
        self, request: pb.ListResourcesForEventTypeRequest, context: Context
    ) -> pb.ListResourcesForEventTypeResponse:
        """Lists the resources that an event type books, by id."""
        key, page = codec.resources_page(request)
        records = await self._read(request, lambda view: resources_of_event_type(view, key, page))
        shown, token = cut(request, records, page.limit, lambda one: one.value.resource_id)
        return pb.ListResourcesForEventTypeResponse(
            resources=[resource.encode(request.organization_id, one) for one in shown],
            next_page_token=token,
        )

    async def GetOffering(
        self, request: offering_pb2.GetOfferingRequest, context: Context
    ) -> offering_pb2.GetOfferingResponse:
        """Reads what a booking is judged by."""
        pair = offering.get(request)
        now = self._clock.now()
        found = await self._read(request, lambda view: get_offering(view, *pair, now))
        return offering_pb2.GetOfferingResponse(
            offering=offering.encode(request.organization_id, found)
        )
