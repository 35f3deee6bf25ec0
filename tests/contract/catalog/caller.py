"""A caller of the catalog: requests by method name and fields, refusals as values."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from google.type.date_pb2 import Date
from google.type.timeofday_pb2 import TimeOfDay
from grpc_status import rpc_status

from holdfast.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from holdfast.catalog.v1.event_type_pb2 import EventType
from holdfast.catalog.v1.resource_pb2 import RESOURCE_TYPE_ROOM, Resource
from holdfast.catalog.v1.schedule_pb2 import DateOverride, Schedule, WeeklyWindow
from holdfast.common.v1.time_pb2 import TimeWindow

SERVICE = catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"]
METHODS = {method.name: method for method in SERVICE.methods}


@dataclass(frozen=True)
class Refusal:
    """What a refused call says."""

    code: grpc.StatusCode
    reason: str
    metadata: Mapping[str, str]
    fields: Sequence[str]
    message: str
    has_retry_info: bool


class Caller:
    """Calls on behalf of one organization."""

    def __init__(self, channel: grpc.aio.Channel, organization_id: str | None = None) -> None:
        self._channel = channel
        self._stub = catalog_pb2_grpc.CatalogServiceStub(channel)
        self.organization_id = organization_id or f"org-{uuid.uuid4().hex}"

    def elsewhere(self) -> Caller:
        """A caller of another organization."""
        return Caller(self._channel)

    def request(self, method: str, **fields: Any) -> Any:
        """A request with the organization, and a request_id of its own where one is due."""
        kind = request_class(method)
        header = {"organization_id": self.organization_id, "request_id": str(uuid.uuid4())}
        known = {
            name: value for name, value in header.items() if name in kind.DESCRIPTOR.fields_by_name
        }
        return kind(**(known | fields))

    async def send(self, method: str, request: Any) -> Any:
        """Sends a request and returns the response, or the first one of a stream."""
        call = getattr(self._stub, method)(request)
        if not METHODS[method].server_streaming:
            return await call
        try:
            return await call.read()
        finally:
            call.cancel()

    def watch(self, token: bytes = b"") -> Any:
        """Opens a watch of the organization's catalog."""
        return self._stub.WatchCatalog(self.request("WatchCatalog", resume_token=token))

    async def ask(self, method: str, **fields: Any) -> Any:
        """Makes a request and sends it."""
        return await self.send(method, self.request(method, **fields))

    async def refusal(self, method: str, **fields: Any) -> Refusal:
        """Makes a request that is refused."""
        return await self.refusal_of(method, self.request(method, **fields))

    async def refusal_of(self, method: str, request: Any) -> Refusal:
        """Sends a request that is refused."""
        try:
            answer = await self.send(method, request)
        except grpc.aio.AioRpcError as error:
            return read_refusal(error)
        raise AssertionError(f"{method} was not refused but answered: {answer}")

    async def resource(self, resource_id: str, **fields: Any) -> Resource:
        """Creates a room."""
        answer = await self.ask("CreateResource", resource=room(resource_id, **fields))
        found: Resource = answer.resource
        return found

    async def schedule(self, schedule_id: str, **fields: Any) -> Schedule:
        """Creates a schedule."""
        answer = await self.ask("CreateSchedule", schedule=weekly(schedule_id, **fields))
        found: Schedule = answer.schedule
        return found

    async def event_type(self, event_type_id: str, **fields: Any) -> EventType:
        """Creates an event type."""
        answer = await self.ask("CreateEventType", event_type=hourly(event_type_id, **fields))
        found: EventType = answer.event_type
        return found

    async def everything(self) -> list[str]:
        """All that the organization has, to compare before with after."""
        rows: list[str] = []
        for method in ("ListResources", "ListSchedules", "ListEventTypes"):
            request = self.request(method, page_size=1_000)
            if "show_deleted" in request.DESCRIPTOR.fields_by_name:
                request.show_deleted = True
            rows.append(str(await self.send(method, request)))
        return rows


def read_refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """Reads the details of a status."""
    status = rpc_status.from_call(cast("Any", error))
    info, bad, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    has_retry_info = False
    for detail in status.details if status else ():
        detail.Unpack(info)
        detail.Unpack(bad)
        has_retry_info = detail.Unpack(retry) or has_retry_info
    return Refusal(
        code=error.code(),
        reason=info.reason,
        metadata=dict(info.metadata),
        fields=[violation.field for violation in bad.field_violations],
        message=error.details() or "",
        has_retry_info=has_retry_info,
    )


def request_class(method: str) -> Any:
    """The class of a method's requests."""
    return GetMessageClass(METHODS[method].input_type)


def room(resource_id: str = "", **fields: Any) -> Resource:
    """A resource with all that is required."""
    given: dict[str, Any] = {
        "name": "Studio A",
        "type": RESOURCE_TYPE_ROOM,
        "time_zone": "Europe/Berlin",
    }
    return Resource(resource_id=resource_id, **(given | fields))


def weekly(schedule_id: str = "", **fields: Any) -> Schedule:
    """A schedule, Mondays 09:00 to 17:00."""
    given: dict[str, Any] = {
        "name": "Business Hours",
        "time_zone": "Europe/Berlin",
        "windows": [weekday(1, 9 * 60, 17 * 60)],
    }
    return Schedule(schedule_id=schedule_id, **(given | fields))


def hourly(event_type_id: str = "", **fields: Any) -> EventType:
    """An event type of one hour."""
    given: dict[str, Any] = {"title": "One hour", "slug": event_type_id.lower()}
    if "flexible_duration" not in fields:
        given["duration_options"] = [minutes(60)]
    return EventType(event_type_id=event_type_id, **(given | fields))


def weekday(day: int, start: int, end: int) -> WeeklyWindow:
    """Opening hours, in minutes of the day."""
    return WeeklyWindow(day=day, window=window(start, end))


def window(start: int, end: int) -> TimeWindow:
    """A window, in minutes of the day."""
    return TimeWindow(
        start=TimeOfDay(hours=start // 60, minutes=start % 60),
        end=TimeOfDay(hours=end // 60, minutes=end % 60),
    )


def override(year: int, month: int, day: int, *windows: TimeWindow, **fields: Any) -> DateOverride:
    """The hours of one date; closed when no windows are given."""
    return DateOverride(
        date=date(year, month, day), unavailable=not windows, windows=windows, **fields
    )


def date(year: int, month: int, day: int) -> Any:
    """A civil date."""
    return Date(year=year, month=month, day=day)


def minutes(count: int) -> Duration:
    """A length."""
    return Duration(seconds=60 * count)
