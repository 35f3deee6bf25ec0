"""A watch of bookings, as tests read it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from holdfast.availability.v1.booking_event_pb2 import BookingEventKind
from holdfast.availability.v1.booking_pb2 import WatchBookingsRequest, WatchBookingsResponse
from tests.contract.availability.watching import PATIENCE
from tests.contract.availability.world import Caller, Refusal, read_refusal, request_class


class EventWatch:
    """One stream of events."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.token = b""
        """Of the newest message."""

    async def message(self, seconds: float = PATIENCE) -> WatchBookingsResponse:
        """The next message, a sign of life or an event."""
        async with asyncio.timeout(seconds):
            message = await self._call.read()
        assert message is not grpc.aio.EOF, "the stream ended"
        assert isinstance(message, WatchBookingsResponse)
        assert message.resume_token
        assert message.HasField("event") == message.HasField("booking")
        self.token = message.resume_token
        return message

    async def opened(self) -> None:
        """Reads the first message, which tells that nothing is missed from here on."""
        assert not (await self.message()).HasField("event")

    async def event(self) -> WatchBookingsResponse:
        """The next event."""
        while True:
            message = await self.message()
            if message.HasField("event"):
                return message

    async def told(self, count: int) -> list[str]:
        """The next events, in short."""
        return [short(await self.event()) for _ in range(count)]

    async def refusal(self) -> Refusal:
        """Reads until the stream ends."""
        try:
            async with asyncio.timeout(PATIENCE):
                while await self._call.read() is not grpc.aio.EOF:
                    pass
        except grpc.aio.AioRpcError as error:
            return read_refusal(error)
        raise AssertionError("the stream ended well")


def short(message: WatchBookingsResponse) -> str:
    """An event in a word: the booking, its revision and what happened."""
    event = message.event
    kind = BookingEventKind.Name(event.kind).removeprefix("BOOKING_EVENT_KIND_")
    return f"{event.booking_id}/{event.revision} {kind}"


@asynccontextmanager
async def following(caller: Caller, **fields: Any) -> AsyncIterator[EventWatch]:
    """Watches until the block ends."""
    request = WatchBookingsRequest(organization_id=caller.organization_id, **fields)
    call: Any = caller.bookings.WatchBookings(request)
    try:
        yield EventWatch(call)
    finally:
        call.cancel()


async def change(caller: Caller, method: str, booking_id: str, **fields: Any) -> Any:
    """Changes a booking; returns the answer's booking."""
    request = request_class(method)(
        organization_id=caller.organization_id,
        request_id=str(uuid.uuid4()),
        booking_id=booking_id,
        **fields,
    )
    return (await caller.send(method, request)).booking
