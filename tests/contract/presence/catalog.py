"""A catalog that says what tests of presence want, and can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc

from holdfast.catalog.v1 import event_type_pb2, link_pb2, resource_pb2
from shared.runtime.call import REQUEST_ID_KEY

_NOTHING = timedelta(0)


class Catalog:
    """A catalog that knows what a test tells it, every other resource too, and can fail."""

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self.resources: dict[str, resource_pb2.Resource] = {}
        self.event_types: dict[str, event_type_pb2.EventType] = {}
        self.links: dict[str, tuple[str, ...]] = {}
        self.asked: list[str] = []
        self.asked_for: list[str] = []
        self.fails_with: grpc.StatusCode | None = None
        self.was_asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    def know(self, resource_id: str, **facts: Any) -> None:
        self.resources[resource_id] = resource_pb2.Resource(resource_id=resource_id, **facts)

    def offer(
        self,
        event_type_id: str,
        *resource_ids: str,
        lengths: tuple[timedelta, ...] = (timedelta(hours=1),),
        before: timedelta = _NOTHING,
        after: timedelta = _NOTHING,
    ) -> None:
        """An event type that books some resources."""
        event_type = event_type_pb2.EventType(event_type_id=event_type_id, active=True)
        for length in lengths:
            event_type.duration_options.add().FromTimedelta(length)
        event_type.buffer_before.FromTimedelta(before)
        event_type.buffer_after.FromTimedelta(after)
        self.event_types[event_type_id] = event_type
        self.links[event_type_id] = resource_ids

    def withdraw(self, event_type_id: str) -> None:
        """Deletes an event type."""
        del self.event_types[event_type_id], self.links[event_type_id]

    async def get_resource(
        self, request: resource_pb2.GetResourceRequest, context: Any
    ) -> resource_pb2.GetResourceResponse:
        self.asked.append(request.resource_id)
        ids = [value for key, value in context.invocation_metadata() if key == REQUEST_ID_KEY]
        self.asked_for += ids
        await self._answer(context)
        if request.resource_id in self.unknown:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        known = self.resources.get(request.resource_id)
        return resource_pb2.GetResourceResponse(
            resource=known or resource_pb2.Resource(resource_id=request.resource_id)
        )

    async def get_event_type(
        self, request: event_type_pb2.GetEventTypeRequest, context: Any
    ) -> event_type_pb2.GetEventTypeResponse:
        await self._answer(context)
        known = self.event_types.get(request.event_type_id)
        if known is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        return event_type_pb2.GetEventTypeResponse(event_type=known)

    async def list_resources_for_event_type(
        self, request: link_pb2.ListResourcesForEventTypeRequest, context: Any
    ) -> link_pb2.ListResourcesForEventTypeResponse:
        await self._answer(context)
        linked = self.links.get(request.event_type_id, ())
        return link_pb2.ListResourcesForEventTypeResponse(
            resources=[resource_pb2.Resource(resource_id=resource_id) for resource_id in linked]
        )

    async def _answer(self, context: Any) -> None:
        self.was_asked.set()
        await self.answers.wait()
        if self.fails_with is not None:
            await context.abort(self.fails_with, "told to")


@asynccontextmanager
async def running_catalog(catalog: Catalog, listen: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """Serves it; yields its address."""
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "GetResource": grpc.unary_unary_rpc_method_handler(
            catalog.get_resource,
            request_deserializer=resource_pb2.GetResourceRequest.FromString,
            response_serializer=resource_pb2.GetResourceResponse.SerializeToString,
        ),
        "GetEventType": grpc.unary_unary_rpc_method_handler(
            catalog.get_event_type,
            request_deserializer=event_type_pb2.GetEventTypeRequest.FromString,
            response_serializer=event_type_pb2.GetEventTypeResponse.SerializeToString,
        ),
        "ListResourcesForEventType": grpc.unary_unary_rpc_method_handler(
            catalog.list_resources_for_event_type,
            request_deserializer=link_pb2.ListResourcesForEventTypeRequest.FromString,
            response_serializer=link_pb2.ListResourcesForEventTypeResponse.SerializeToString,
        ),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("holdfast.catalog.v1.CatalogService", handlers)]
    )
    port = server.add_insecure_port(listen)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        catalog.answers.set()
        await server.stop(0)
