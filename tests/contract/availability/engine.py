"""The engine's calls as tests make them, and a server whose clock they move."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc

from holdfast.availability.v1 import availability_pb2, booking_event_pb2, booking_pb2
from services.availability.bootstrap import wired
from shared.runtime.clock import Clock
from shared.runtime.server import started
from tests.clock import ManualClock
from tests.contract.availability.conftest import StillSettings
from tests.contract.availability.world import (
    NOW,
    Caller,
    civil,
    interval,
    length,
    read_date,
    request_class,
    stamp,
)
from tests.integration.availability.database import dump, rows

MONDAY = date(2027, 3, 8)
NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
HALF_DAY = {
    "minimum": length(QUARTER),
    "maximum": length(48 * QUARTER),
    "step": length(QUARTER),
}
"""Lengths of an event type that allows any number of quarter hours up to half a day."""

Item = booking_pb2.BookingItem


def at(hour: int, minute: int = 0, *, days: int = 0) -> datetime:
    """A time of the Monday, or of so many days after it."""
    return NINE.replace(hour=hour, minute=minute) + timedelta(days=days)


def items(*names: str, **units: int) -> list[booking_pb2.BookingItem]:
    """Resources, and so many of others."""
    return [
        *(Item(resource_id=name) for name in names),
        *(Item(resource_id=name, units=count) for name, count in units.items()),
    ]


def request(caller: Caller, method: str, **fields: Any) -> Any:
    """A mutating request with an id of its own."""
    header = {"organization_id": caller.organization_id, "request_id": str(uuid.uuid4())}
    return request_class(method)(**(header | fields))


def moving(caller: Caller, booking_id: str, start: datetime, **fields: Any) -> Any:
    """A request to move a booking."""
    return request(
        caller, "RescheduleBooking", booking_id=booking_id, start_time=stamp(start), **fields
    )


async def move(caller: Caller, booking_id: str, start: datetime, **fields: Any) -> Any:
    """Moves a booking."""
    answer = await caller.send("RescheduleBooking", moving(caller, booking_id, start, **fields))
    return answer.booking


def blocking(caller: Caller, start: datetime, end: datetime, **fields: Any) -> Any:
    """A request to take studio-a out of use."""
    given: dict[str, Any] = {"resource_id": "studio-a", "range": interval(start, end)}
    return request(caller, "CreateBlock", **(given | fields))


async def block(caller: Caller, start: datetime, end: datetime, **fields: Any) -> Any:
    """Takes studio-a out of use."""
    answer = await caller.send("CreateBlock", blocking(caller, start, end, **fields))
    return answer.booking


def sizing(caller: Caller, resource_id: str, units: int, **fields: Any) -> Any:
    """A request to set a pool's units."""
    return request(caller, "SetCapacity", resource_id=resource_id, units=units, **fields)


async def size(caller: Caller, resource_id: str, units: int) -> None:
    """Sets a pool's units."""
    answer = await caller.send("SetCapacity", sizing(caller, resource_id, units))
    assert (answer.capacity.resource_id, answer.capacity.units) == (resource_id, units)


async def units_of(caller: Caller, resource_id: str) -> int:
    """A resource's units."""
    asked = availability_pb2.GetCapacityRequest(
        organization_id=caller.organization_id, resource_id=resource_id
    )
    answer = await caller.send("GetCapacity", asked)
    return int(answer.capacity.units)


async def counters(
    caller: Caller, resource_id: str, first: date = MONDAY, last: date = MONDAY
) -> dict[date, list[int]]:
    """Units taken by UTC date, as GetDays has them."""
    asked = availability_pb2.GetDaysRequest(
        organization_id=caller.organization_id,
        resource_ids=[resource_id],
        first_date=civil(first),
        last_date=civil(last),
    )
    answer = await caller.send("GetDays", asked)
    return {read_date(day.date): list(day.units_taken) for day in answer.days}


async def got(caller: Caller, booking_id: str, **fields: Any) -> booking_pb2.GetBookingResponse:
    """A booking and its history."""
    asked = booking_pb2.GetBookingRequest(
        organization_id=caller.organization_id, booking_id=booking_id, **fields
    )
    answer: booking_pb2.GetBookingResponse = await caller.send("GetBooking", asked)
    return answer


async def listed(caller: Caller, **filters: Any) -> list[booking_pb2.Booking]:
    """A page of bookings."""
    asked = booking_pb2.ListBookingsRequest(organization_id=caller.organization_id, **filters)
    answer = await caller.send("ListBookings", asked)
    return list(answer.bookings)


def state_of(message: Any) -> str:
    """The state of a booking or after an event, in a word."""
    name = booking_event_pb2.BookingState.Name(message.state)
    return name.removeprefix("BOOKING_STATE_")


def kind_of(event: booking_event_pb2.BookingEvent) -> str:
    """What happened, in a word."""
    name = booking_event_pb2.BookingEventKind.Name(event.kind)
    return name.removeprefix("BOOKING_EVENT_KIND_")


def told(events: Sequence[booking_event_pb2.BookingEvent]) -> list[tuple[str, str, str, str]]:
    """What happened, the state after it, who and why."""
    return [(kind_of(event), state_of(event), event.actor_id, event.reason) for event in events]


def announced(url: str, caller: Caller) -> list[tuple[Any, ...]]:
    """The outbox in the order of commits: kind, booking, revision."""
    return rows(
        url,
        "select kind, booking_id, revision from outbox"
        " where organization_id = %s order by feed, ordinal",
        caller.organization_id,
    )


def everything(url: str, caller: Caller) -> dict[str, list[str]]:
    """Every row of the caller's organization."""
    return dump(url, caller.organization_id)


async def clean(caller: Caller) -> None:
    """Holds VerifyInventory to finding nothing."""
    found = await caller.verification()
    assert found.difference_count == 0, found.differences


@asynccontextmanager
async def timed(
    url: str,
    catalog_address: str,
    organization_id: str | None = None,
    present: datetime = NOW,
    **changes: Any,
) -> AsyncIterator[tuple[Caller, ManualClock]]:
    """A server of the test's own, and the clock that all of it reads."""
    clock = ManualClock(present)

    class MovedSettings(StillSettings):
        def clock(self) -> Clock:
            return clock

    given = {"postgres_url": url, "catalog_address": catalog_address, "throwaway_data": True}
    async with (
        started(MovedSettings.model_validate(given | changes), wired) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield Caller(channel, organization_id, address=server.address), clock
