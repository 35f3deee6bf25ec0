"""What is booked and asked for: resources open daily, each day with some bookings already."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from google.protobuf.message import Message

from holdfast.catalog.v1 import event_type_pb2, link_pb2, resource_pb2, schedule_pb2
from holdfast.common.v1.time_pb2 import TimeWindow
from shared.client.value import to_duration, to_time_of_day
from tests.load.history import Entry
from tests.load.http2 import Connection, Method, connect

ZONE: Final = "Europe/Berlin"
EVENT_TYPE: Final = "session"
OPENS, CLOSES = 8, 22  # by the clock on the wall
DURATIONS: Final = (1, 2, 5)  # hours
INTERVAL_MINUTES: Final = 30
_MOST_BOOKED: Final = 5  # hours of a day, when the bench begins
_HOUR: Final = timedelta(hours=1)
_HOURS: Final = CLOSES - OPENS
_AT_ONCE: Final = 32
_CATALOG: Final = "/holdfast.catalog.v1.CatalogService/"
_QUANTA_AN_HOUR: Final = 4
_QUANTUM_SECONDS: Final = 900


@dataclass(frozen=True, slots=True)
class World:
    """An organization with resources of the same opening hours, on days that lie ahead.

    Attributes:
        organization_id: Its id.
        resources: How many.
        first: The first of its dates.
        days: How many dates have bookings when the bench begins; later ones have none.
    """

    organization_id: str
    resources: int
    first: date
    days: int

    def date(self, day: int) -> date:
        """One of its dates, counted from 0."""
        return self.first + timedelta(days=day)

    def booked_hours(self, resource: int, day: int) -> list[int]:
        """The hours, by the clock on the wall, that are booked when the bench begins."""
        if day >= self.days:
            return []
        count = (resource * 7 + day * 3) % (_MOST_BOOKED + 1)
        return self._hours(resource, day)[:count]

    def free_hours(self, resource: int, day: int) -> list[int]:
        """The other hours."""
        return self._hours(resource, day)[len(self.booked_hours(resource, day)) :]

    def starts(self, resource: int, day: int, hours: int) -> list[datetime]:
        """What GetDaySlots must answer, worked out without any code of the service."""
        booked = {hour * 60 for hour in self.booked_hours(resource, day)}
        last = CLOSES * 60 - hours * 60
        return [
            wall(self.date(day), minute)
            for minute in range(OPENS * 60, last + 1, INTERVAL_MINUTES)
            if not any(minute - 60 < other < minute + hours * 60 for other in booked)
        ]

    def entries(self) -> Iterator[Entry]:
        """The bookings that are there when the bench begins."""
        for day in range(self.days):
            for resource in range(self.resources):
                for hour in self.booked_hours(resource, day):
                    first = quantum_of(wall(self.date(day), hour * 60))
                    yield Entry(resource_name(resource), first, first + _QUANTA_AN_HOUR)

    @property
    def entry_count(self) -> int:
        """How many ``entries`` are."""
        return sum(
            len(self.booked_hours(resource, day))
            for day in range(self.days)
            for resource in range(self.resources)
        )

    def _hours(self, resource: int, day: int) -> list[int]:
        # Five and the hours of a day have no common divisor: every hour comes once.
        return [OPENS + (resource + day + 5 * step) % _HOURS for step in range(_HOURS)]


def resource_name(number: int) -> str:
    """The id of a resource."""
    return f"studio-{number:04}"


def wall(day: date, minute: int) -> datetime:
    """The instant of a wall clock's reading."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(ZONE))
    return (midnight + timedelta(minutes=minute)).astimezone(UTC)


def quantum_of(instant: datetime) -> int:
    """The quarter hour that begins then, counted from 1970."""
    return int(instant.timestamp()) // _QUANTUM_SECONDS


def today() -> date:
    """Today's date where the resources are."""
    return datetime.now(ZoneInfo(ZONE)).date()


async def create_catalog(target: str, world: World) -> None:
    """Creates the world's resources, their schedule and their event type.

    Raises:
        CallFailed: The catalog refused.
    """
    connection = await connect(target)
    try:
        await _create(connection, "CreateSchedule", _schedule(world))
        await _create(connection, "CreateEventType", _event_type(world))
        names = [resource_name(number) for number in range(world.resources)]
        turns = asyncio.Semaphore(_AT_ONCE)

        async def create(name: str) -> None:
            async with turns:
                await _create(connection, "CreateResource", _resource(world, name))

        await asyncio.gather(*(create(name) for name in names))
        await _create(connection, "SetResources", _links(world, names))
    finally:
        connection.close()


async def _create(connection: Connection, method: str, request: Message) -> None:
    await connection.unary(Method(_CATALOG + method), request.SerializeToString())


def _schedule(world: World) -> Message:
    window = TimeWindow(start=to_time_of_day(OPENS * 60), end=to_time_of_day(CLOSES * 60))
    return schedule_pb2.CreateScheduleRequest(
        organization_id=world.organization_id,
        request_id=str(uuid.uuid4()),
        schedule=schedule_pb2.Schedule(
            schedule_id="hours",
            name="Hours",
            time_zone=ZONE,
            windows=[schedule_pb2.WeeklyWindow(day=day, window=window) for day in _weekdays()],
        ),
    )


def _weekdays() -> Sequence[int]:
    return range(1, 8)


def _resource(world: World, name: str) -> Message:
    return resource_pb2.CreateResourceRequest(
        organization_id=world.organization_id,
        request_id=str(uuid.uuid4()),
        resource=resource_pb2.Resource(
            resource_id=name,
            name=name.title(),
            type=resource_pb2.RESOURCE_TYPE_ROOM,
            time_zone=ZONE,
            schedule_id="hours",
        ),
    )


def _event_type(world: World) -> Message:
    return event_type_pb2.CreateEventTypeRequest(
        organization_id=world.organization_id,
        request_id=str(uuid.uuid4()),
        event_type=event_type_pb2.EventType(
            event_type_id=EVENT_TYPE,
            slug=EVENT_TYPE,
            title="Session",
            duration_options=[to_duration(hours * _HOUR) for hours in DURATIONS],
            slot_interval=to_duration(timedelta(minutes=INTERVAL_MINUTES)),
        ),
    )


def _links(world: World, names: Sequence[str]) -> Message:
    return link_pb2.SetResourcesRequest(
        organization_id=world.organization_id,
        request_id=str(uuid.uuid4()),
        event_type_id=EVENT_TYPE,
        resource_ids=names,
    )
