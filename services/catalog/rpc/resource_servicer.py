"""The calls about resources: decode, call, encode."""

from __future__ import annotations

from holdfast.catalog.v1 import resource_pb2 as pb
from services.catalog.app.create_resource import create_resource
from services.catalog.app.delete import delete
from services.catalog.app.find import existing
from services.catalog.app.port import Change
from services.catalog.app.undelete import undelete
from services.catalog.app.update_resource import update_resource
from services.catalog.rpc.call import Calls
from services.catalog.rpc.codec import resource as codec
from services.catalog.rpc.codec.page import cut
from shared.runtime.call import Context


class ResourceCalls(Calls):
    """Resources."""

    async def CreateResource(
        self, request: pb.CreateResourceRequest, context: Context
    ) -> pb.CreateResourceResponse:
        """Creates a resource."""
        draft = codec.create(request)

        async def effect(change: Change) -> pb.CreateResourceResponse:
            record = await create_resource(change, draft)
            return pb.CreateResourceResponse(resource=codec.encode(request.organization_id, record))

        return await self._once(request, pb.CreateResourceResponse, effect)

    async def GetResource(
        self, request: pb.GetResourceRequest, context: Context
    ) -> pb.GetResourceResponse:
        """Reads a resource, deleted or not."""
        key = codec.key(request)
        record = await self._read(request, lambda view: existing(view.resources, key))
        return pb.GetResourceResponse(resource=codec.encode(request.organization_id, record))

    async def ListResources(
        self, request: pb.ListResourcesRequest, context: Context
    ) -> pb.ListResourcesResponse:
        """Lists resources by id."""
        wanted, page = codec.page(request)
        records = await self._read(request, lambda view: view.resources.page(wanted, page))
        shown, token = cut(request, records, page.limit, lambda record: record.value.resource_id)
        return pb.ListResourcesResponse(
            resources=[codec.encode(request.organization_id, record) for record in shown],
            next_page_token=token,
        )

    async def UpdateResource(
        self, request: pb.UpdateResourceRequest, context: Context
    ) -> pb.UpdateResourceResponse:
        """Changes fields of a resource."""
        wanted = codec.update(request)

        async def effect(change: Change) -> pb.UpdateResourceResponse:
            record = await update_resource(change, *wanted)
            return pb.UpdateResourceResponse(resource=codec.encode(request.organization_id, record))

        return await self._once(request, pb.UpdateResourceResponse, effect)

    async def DeleteResource(
        self, request: pb.DeleteResourceRequest, context: Context
    ) -> pb.DeleteResourceResponse:
        """Takes a resource out of lists and offerings."""
        key, etag = codec.delete(request)

        async def effect(change: Change) -> pb.DeleteResourceResponse:
            record = await delete(change, change.resources, key, etag)
            return pb.DeleteResourceResponse(resource=codec.encode(request.organization_id, record))

        return await self._once(request, pb.DeleteResourceResponse, effect)

    async def UndeleteResource(
        self, request: pb.UndeleteResourceRequest, context: Context
    ) -> pb.UndeleteResourceResponse:
        """Restores a deleted resource."""
        key = codec.key(request)

        async def effect(change: Change) -> pb.UndeleteResourceResponse:
            record = await undelete(change, change.resources, key)
            return pb.UndeleteResourceResponse(
                resource=codec.encode(request.organization_id, record)
            )

        return await self._once(request, pb.UndeleteResourceResponse, effect)
