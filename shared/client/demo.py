"""Data to try things with: two studios, two pieces of equipment and microphones in Berlin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from holdfast.availability.v1.availability_pb2 import GetCapacityRequest, SetCapacityRequest
from holdfast.catalog.v1 import event_type_pb2, link_pb2, resource_pb2, schedule_pb2
from holdfast.common.v1.time_pb2 import TimeWindow
from shared.client.client import Client, new_request_id
from shared.client.failure import HoldfastError
from shared.client.value import to_duration, to_time_of_day

ORGANIZATION: Final = "demo"
_ZONE: Final = "Europe/Berlin"
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_TAKEN: Final = frozenset({"ID_TAKEN", "SLUG_TAKEN"})


@dataclass(slots=True)
class Loaded:
    """What loading did, as ``resource studio-a``."""

    created: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # it was there already, or has been deleted


async def load_demo(client: Client) -> Loaded:
    """Creates what is missing of the demo data; what is there is left as it is.

    Loading it again changes nothing; what an interrupted load left out is added. An id that was
    ever taken is not created anew, so that what somebody changed or deleted stays so.

    Raises:
        HoldfastError: A call did not succeed.
    """
    loaded = Loaded()
    has_default = await _has_default_schedule(client)
    for schedule in _schedules(with_default=not has_default):
        await _create_schedule(client, loaded, schedule)
    for resource in _RESOURCES:
        await _create_resource(client, loaded, resource)
    for event_type in _EVENT_TYPES:
        await _create_event_type(client, loaded, event_type)
    for resource_id, event_type_id in _LINKS:
        await _link(client, resource_id, event_type_id)
    for resource_id, units in _UNITS:
        await _count(client, resource_id, units)
    return loaded


async def _has_default_schedule(client: Client) -> bool:
    request = schedule_pb2.GetDefaultScheduleRequest(organization_id=client.organization_id)
    try:
        await client.call(client.catalog.GetDefaultSchedule, request)
    except HoldfastError as error:
        if error.reason != "NOT_FOUND":
            raise
        return False
    return True


async def _create_schedule(client: Client, loaded: Loaded, schedule: schedule_pb2.Schedule) -> None:
    request = schedule_pb2.CreateScheduleRequest(
        organization_id=client.organization_id, request_id=new_request_id(), schedule=schedule
    )
    with _Noting(loaded, f"schedule {schedule.schedule_id}"):
        await client.call(client.catalog.CreateSchedule, request)


async def _create_resource(client: Client, loaded: Loaded, resource: resource_pb2.Resource) -> None:
    request = resource_pb2.CreateResourceRequest(
        organization_id=client.organization_id, request_id=new_request_id(), resource=resource
    )
    with _Noting(loaded, f"resource {resource.resource_id}"):
        await client.call(client.catalog.CreateResource, request)


async def _create_event_type(
    client: Client, loaded: Loaded, event_type: event_type_pb2.EventType
) -> None:
    request = event_type_pb2.CreateEventTypeRequest(
        organization_id=client.organization_id, request_id=new_request_id(), event_type=event_type
    )
    with _Noting(loaded, f"event type {event_type.event_type_id}"):
        await client.call(client.catalog.CreateEventType, request)


async def _link(client: Client, resource_id: str, event_type_id: str) -> None:
    request = link_pb2.LinkRequest(
        organization_id=client.organization_id,
        request_id=new_request_id(),
        resource_id=resource_id,
        event_type_id=event_type_id,
    )
    try:
        await client.call(client.catalog.Link, request)
    except HoldfastError as error:
        if error.reason != "NOT_FOUND":  # somebody deleted one side: that stands
            raise


async def _count(client: Client, resource_id: str, units: int) -> None:
    """Says how many there are, unless somebody has: a pool has 1 until then."""
    name = {"organization_id": client.organization_id, "resource_id": resource_id}
    try:
        found = await client.call(client.availability.GetCapacity, GetCapacityRequest(**name))
        if found.capacity.units == 1:
            request = SetCapacityRequest(**name, request_id=new_request_id(), units=units)
            await client.call(client.availability.SetCapacity, request)
    except HoldfastError as error:
        if error.reason != "NOT_FOUND":  # somebody deleted it: that stands
            raise


class _Noting:
    """Notes whether a creation happened or its id was taken before."""

    def __init__(self, loaded: Loaded, name: str) -> None:
        self._loaded = loaded
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if error is None:
            self._loaded.created.append(self._name)
            return True
        is_taken = isinstance(error, HoldfastError) and error.reason in _TAKEN
        if is_taken:
            self._loaded.kept.append(self._name)
        return is_taken


def _schedules(*, with_default: bool) -> Sequence[schedule_pb2.Schedule]:
    return (
        schedule_pb2.Schedule(
            schedule_id="business-hours",
            name="Business Hours",
            time_zone=_ZONE,
            windows=_weekly(range(1, 6), 9, 17),
            is_default=with_default,
        ),
        schedule_pb2.Schedule(
            schedule_id="studio-hours",
            name="Studio Hours",
            time_zone=_ZONE,
            windows=_weekly(range(1, 8), 8, 22),
        ),
    )


def _weekly(
    weekdays: Sequence[int], first_hour: int, last_hour: int
) -> list[schedule_pb2.WeeklyWindow]:
    window = TimeWindow(start=to_time_of_day(first_hour * 60), end=to_time_of_day(last_hour * 60))
    return [schedule_pb2.WeeklyWindow(day=day, window=window) for day in weekdays]


_RESOURCES: Final = (
    resource_pb2.Resource(
        resource_id="studio-a",
        name="StudioA",
        type=resource_pb2.RESOURCE_TYPE_ROOM,
        description="The large room: a grand piano and space for ten.",
        time_zone=_ZONE,
        schedule_id="studio-hours",
    ),
    resource_pb2.Resource(
        resource_id="studio-b",
        name="StudioB",
        type=resource_pb2.RESOURCE_TYPE_ROOM,
        description="The small room: voice and podcasts.",
        time_zone=_ZONE,
        schedule_id="studio-hours",
    ),
    resource_pb2.Resource(
        resource_id="shure-sm7b",
        name="Shure SM7b",
        type=resource_pb2.RESOURCE_TYPE_EQUIPMENT,
        description="A microphone.",
        time_zone=_ZONE,
    ),
    resource_pb2.Resource(
        resource_id="keyboard-fp88",
        name="Keyboard FP88",
        type=resource_pb2.RESOURCE_TYPE_EQUIPMENT,
        description="A stage piano with 88 keys.",
        time_zone=_ZONE,
    ),
    resource_pb2.Resource(
        resource_id="microphone",
        name="Microphones",
        type=resource_pb2.RESOURCE_TYPE_EQUIPMENT,
        description="Six alike, for sessions in the studios.",
        time_zone=_ZONE,
        schedule_id="studio-hours",
        pool=True,
        standalone=False,
    ),
)

_EVENT_TYPES: Final = (
    event_type_pb2.EventType(
        event_type_id="session-1h",
        slug="session-1h",
        title="Session of 1 hour",
        duration_options=[to_duration(_HOUR)],
    ),
    event_type_pb2.EventType(
        event_type_id="session-5h",
        slug="session-5h",
        title="Session of 5 hours",
        duration_options=[to_duration(5 * _HOUR)],
        slot_interval=to_duration(_HOUR),
    ),
    event_type_pb2.EventType(
        event_type_id="session",
        slug="session",
        title="Session of your choice",
        duration_options=[to_duration(hours * _HOUR) for hours in (1, 2, 5)],
        slot_interval=to_duration(_HOUR / 2),
    ),
    event_type_pb2.EventType(
        event_type_id="rental",
        slug="rental",
        title="Rental by the day",
        description="Picked up and brought back in opening hours; nights and weekends between.",
        duration_options=[to_duration(days * _DAY) for days in (1, 2, 3, 7)],
        slot_interval=to_duration(_HOUR),
        closed_hours_policy=event_type_pb2.CLOSED_HOURS_POLICY_OPEN_AT_ENDS,
    ),
)

_UNITS: Final = (("microphone", 6),)

_LINKS: Final = (
    *((resource, f"session{kind}") for resource in ("studio-a", "studio-b", "microphone")
      for kind in ("-1h", "-5h", "")),
    *((piece, "rental") for piece in ("shure-sm7b", "keyboard-fp88")),
)  # fmt: skip
