"""Servers that speak a contract and fail as a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from holdfast.availability.v1 import availability_pb2, booking_pb2
from holdfast.presence.v1 import presence_pb2
from shared.client.address import Address

Behavior = Callable[[Any, Any], Awaitable[None]]

_SERVICES = {
    "availability": availability_pb2.DESCRIPTOR.services_by_name["AvailabilityService"],
    "bookings": booking_pb2.DESCRIPTOR.services_by_name["BookingService"],
    "presence": presence_pb2.DESCRIPTOR.services_by_name["PresenceService"],
}


@asynccontextmanager
async def spoken(service: str, behaviors: Mapping[str, Behavior]) -> AsyncIterator[Address]:
    """Serves streaming methods: coroutines that write to the context."""
    found = _SERVICES[service]
    handlers: dict[str, Any] = {}
    for name, behavior in behaviors.items():
        method = found.methods_by_name[name]
        make: Any = (
            grpc.stream_stream_rpc_method_handler
            if method.client_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        handlers[name] = make(
            behavior,
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(found.full_name, handlers)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Address(f"127.0.0.1:{port}", "the test")
    finally:
        await server.stop(None)


async def refuse(context: Any, code: grpc.StatusCode, reason: str) -> None:
    """Refuses as the services do."""
    status = status_pb2.Status(code=code.value[0], message="told to")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="holdfast"))
    await context.abort_with_status(rpc_status.to_status(status))
