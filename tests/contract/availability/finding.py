"""FindAvailability as tests ask it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from holdfast.availability.v1 import availability_pb2, booking_pb2
from tests.contract.availability.world import HOUR, Caller, Refusal, interval, length

MINUTE: Final = timedelta(minutes=1)
DAY: Final = timedelta(days=1)
MONDAY: Final = datetime(2027, 3, 8, tzinfo=UTC)

Found = availability_pb2.FindAvailabilityResponse
Told = list[tuple[datetime, datetime, datetime, int]]


def request_of(caller: Caller, **fields: Any) -> availability_pb2.FindAvailabilityRequest:
    """A question for the free hours of Monday."""
    given: dict[str, Any] = {
        "organization_id": caller.organization_id,
        "event_type_id": "session",
        "duration": length(HOUR),
        "window": interval(MONDAY, MONDAY + DAY),
    }
    return availability_pb2.FindAvailabilityRequest(**(given | fields))


async def find(caller: Caller, **fields: Any) -> Found:
    found: Found = await caller.send("FindAvailability", request_of(caller, **fields))
    return found


async def refused(caller: Caller, **fields: Any) -> Refusal:
    return await caller.refusal_of("FindAvailability", request_of(caller, **fields))


async def take(
    caller: Caller, resource_id: str, start: datetime, units: int = 1, **fields: Any
) -> booking_pb2.Booking:
    item = booking_pb2.BookingItem(resource_id=resource_id, units=units)
    return await caller.book(start, items=[item], **fields)


async def resize(caller: Caller, resource_id: str, units: int) -> None:
    request = availability_pb2.SetCapacityRequest(
        organization_id=caller.organization_id,
        request_id=str(uuid.uuid4()),
        resource_id=resource_id,
        units=units,
    )
    await caller.send("SetCapacity", request)


def wanted(resource_id: str, units: int = 0) -> availability_pb2.InventoryItem:
    return availability_pb2.InventoryItem(resource_id=resource_id, units=units)


def told(slots: Sequence[availability_pb2.Slot]) -> Told:
    return [
        (
            slot.start_time.ToDatetime(UTC),
            slot.occupancy_start_time.ToDatetime(UTC),
            slot.occupancy_end_time.ToDatetime(UTC),
            slot.units_free,
        )
        for slot in slots
    ]


def names(found: Found) -> list[str]:
    return [resource.resource_id for resource in found.resources]


def starts(found: Found) -> dict[str, list[datetime]]:
    return {
        resource.resource_id: [start for start, *_ in told(resource.slots)]
        for resource in found.resources
    }
