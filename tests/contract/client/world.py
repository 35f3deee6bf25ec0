"""What tests of the client look at and book."""

from __future__ import annotations

import asyncio
import re
import urllib.request
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from holdfast.availability.v1 import booking_pb2
from shared.client.client import Client
from shared.client.day_merge import SlotState
from shared.client.day_view import DayPicture
from shared.client.value import to_duration, to_timestamp

DAY = date(2027, 3, 9)
NOON = datetime(2027, 3, 9, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Far more than anything takes, far less than a test may.
PATIENCE_SECONDS = 20

Seen = TypeVar("Seen")


async def first(events: AsyncIterator[Seen], fact: Callable[[Seen], object]) -> Seen:
    """The first of which the fact is true."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for event in events:
            if fact(event):
                return event
    raise AssertionError("the iterator has ended")


async def until(fact: Callable[[], object]) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not fact():  # noqa: ASYNC110  # facts of another side, without an event
            await asyncio.sleep(0.005)


async def soon(call: Awaitable[Seen]) -> Seen:
    """What comes within the patience of a test."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await call


def reserved(picture: DayPicture) -> list[datetime]:
    """The starts that others hold."""
    return [slot.start for slot in picture.slots if slot.state is SlotState.RESERVED]


def available(picture: DayPicture) -> list[datetime]:
    """The starts that can be booked."""
    return [slot.start for slot in picture.slots if slot.state is SlotState.AVAILABLE]


async def open_streams(port: int, method: str) -> int:
    """How many streams of a method a service says are open."""

    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return str(answer.read().decode())

    text = await asyncio.to_thread(read)
    found = re.search(rf'^holdfast_open_streams{{method="{method}"}} (\S+)$', text, re.MULTILINE)
    return int(float(found[1])) if found else 0


async def book(client: Client, start: datetime, length: timedelta = HOUR) -> str:
    """Books studio-a; returns the booking's id."""
    request = booking_pb2.CreateBookingRequest(
        organization_id=client.organization_id,
        request_id=str(uuid.uuid4()),
        items=[booking_pb2.BookingItem(resource_id="studio-a")],
        event_type_id="session",
        start_time=to_timestamp(start),
        duration=to_duration(length),
        booker=booking_pb2.Booker(booker_id="ann"),
    )
    return (await client.call(client.bookings.CreateBooking, request)).booking.booking_id


async def cancel(client: Client, booking_id: str) -> None:
    """Cancels a booking."""
    request = booking_pb2.CancelBookingRequest(
        organization_id=client.organization_id,
        request_id=str(uuid.uuid4()),
        booking_id=booking_id,
    )
    await client.call(client.bookings.CancelBooking, request)
