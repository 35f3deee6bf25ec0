"""Bookings to make: each of another slot, without end."""

from __future__ import annotations

import random
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from holdfast.availability.v1 import booking_event_pb2, booking_pb2
from shared.client.value import to_duration
from tests.load.closed_loop import Request
from tests.load.http2 import Method, framed
from tests.load.world import EVENT_TYPE, ZONE, World, resource_name, wall

CREATE: Final = Method("/holdfast.availability.v1.BookingService/CreateBooking")
_HOUR: Final = timedelta(hours=1)
_DAYS_AT_ONCE: Final = 12
_FIRST_READY: Final = 2_000
_MORE_THAN_BEFORE: Final = 1.5

_Slot = tuple[int, int, int]


class Orders:
    """Requests to book one server, none of which is handed out twice.

    Each of them is answered, or the bench fails: ``count`` bookings are made.
    """

    def __init__(self, world: World, first_day: int) -> None:
        """Begins.

        Args:
            world: Whose resources are booked.
            first_day: The first of its days that is.
        """
        self._slots = _slots(world, first_day)
        self._request_of: Callable[[_Slot], Request] = lambda slot: _request_of(world, *slot)
        self._ready: deque[Request] = deque()
        self._want_ready = _FIRST_READY
        self._taken_at = 0
        self.count = 0

    def __call__(self) -> Iterator[Request]:
        """Makes as many ready as a half may need, so that none is made while the clock runs."""
        used, self._taken_at = self.count - self._taken_at, self.count
        self._want_ready = max(self._want_ready, int(used * _MORE_THAN_BEFORE))
        while len(self._ready) < self._want_ready:
            self._ready.append(self._request_of(next(self._slots)))
        return self

    def __iter__(self) -> Iterator[Request]:
        return self

    def __next__(self) -> Request:
        self.count += 1
        return self._ready.popleft() if self._ready else self._request_of(next(self._slots))

    def some(self, count: int) -> list[Request]:
        """The next ones."""
        return [next(self) for _ in range(count)]


def _slots(world: World, first_day: int) -> Iterator[_Slot]:
    """Free hours as (resource, day, hour), some days' after the other, shuffled."""
    chance = random.Random(2)
    while True:
        slots = [
            (resource, day, hour)
            for day in range(first_day, first_day + _DAYS_AT_ONCE)
            for resource in range(world.resources)
            for hour in world.free_hours(resource, day)
        ]
        chance.shuffle(slots)
        yield from slots
        first_day += _DAYS_AT_ONCE


def _request_of(world: World, resource: int, day: int, hour: int) -> Request:
    name = resource_name(resource)
    start = wall(world.date(day), hour * 60)
    person = f"person-{resource}"
    message = booking_pb2.CreateBookingRequest(
        organization_id=world.organization_id,
        request_id=str(uuid.uuid4()),
        items=[booking_pb2.BookingItem(resource_id=name)],
        event_type_id=EVENT_TYPE,
        start_time=Timestamp(seconds=int(start.timestamp())),
        duration=to_duration(_HOUR),
        booker=booking_pb2.Booker(
            booker_id=person, name=person.title(), email=f"{person}@example.com"
        ),
        time_zone=ZONE,
    )

    def check(body: bytes) -> str:
        made = booking_pb2.CreateBookingResponse.FromString(body).booking
        expected = [name], start, start + _HOUR, booking_event_pb2.BOOKING_STATE_CONFIRMED
        found = (
            [item.resource_id for item in made.items],
            made.start_time.ToDatetime(UTC),
            made.end_time.ToDatetime(UTC),
            made.state,
        )
        return "" if found == expected else f"{expected} was to be booked, and {found} was"

    return Request(framed(message.SerializeToString()), check)
