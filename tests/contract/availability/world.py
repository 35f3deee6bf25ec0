"""What tests of availability say to it, and a catalog that says what they want."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from google.type import date_pb2, timeofday_pb2
from grpc_status import rpc_status

from holdfast.availability.v1 import (
    availability_pb2,
    availability_pb2_grpc,
    booking_pb2,
    booking_pb2_grpc,
)
from holdfast.catalog.v1 import event_type_pb2, link_pb2, offering_pb2, resource_pb2
from holdfast.catalog.v1.schedule_pb2 import DateOverride, Schedule, WeeklyWindow
from holdfast.common.v1.time_pb2 import Interval, TimeWindow

# A Monday; the Monday of the week after is 2027-03-08.
NOW = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALL_DAY = (0, 1440)

SERVICES = {
    "AvailabilityService": availability_pb2.DESCRIPTOR.services_by_name["AvailabilityService"],
    "BookingService": booking_pb2.DESCRIPTOR.services_by_name["BookingService"],
}
METHODS = {method.name: method for service in SERVICES.values() for method in service.methods}


class FakeCatalog:
    """A catalog that knows what a test tells it, and fails when told to."""

    def __init__(self) -> None:
        self.offerings: dict[tuple[str, str, str], offering_pb2.Offering] = {}
        self.resources: dict[tuple[str, str], resource_pb2.Resource] = {}
        self.asked: list[str] = []
        self.fails_with: grpc.StatusCode | None = None
        self.silent = False

    def offer(
        self,
        organization_id: str,
        resource_id: str = "studio-a",
        event_type_id: str = "session",
        *,
        schedule: Schedule | None = None,
        overrides: Sequence[DateOverride] = (),
        resource: Mapping[str, Any] | None = None,
        linked: bool = True,
        **rules: Any,
    ) -> offering_pb2.Offering:
        """Makes a pair bookable: around the clock in UTC, for one hour, unless told otherwise."""
        facts: dict[str, Any] = {"active": True, "standalone": True, "time_zone": "UTC"}
        facts |= resource or {}
        known: dict[str, Any] = {"title": "Session", "active": True}
        if "flexible_duration" not in rules:
            rules = {"duration_options": [length(HOUR)]} | rules
        offering = offering_pb2.Offering(
            resource=resource_pb2.Resource(
                organization_id=organization_id, resource_id=resource_id, **facts
            ),
            event_type=event_type_pb2.EventType(
                organization_id=organization_id,
                event_type_id=event_type_id,
                **(known | rules),
            ),
            schedule=schedule or around_the_clock("UTC"),
            date_overrides=overrides,
            linked=linked,
            version=1,
        )
        self.offerings[organization_id, resource_id, event_type_id] = offering
        self.resources[organization_id, resource_id] = offering.resource
        return offering

    async def get_offering(self, request: Any, context: Any) -> offering_pb2.GetOfferingResponse:
        self.asked.append(f"{request.resource_id}/{request.event_type_id}")
        await self._fail(context)
        found = self.offerings.get(
            (request.organization_id, request.resource_id, request.event_type_id)
        )
        if found is None:
            known = (request.organization_id, request.resource_id) in self.resources
            if known:
                await not_found(context, "event_type", request.event_type_id)
            await not_found(context, "resource", request.resource_id)
        return offering_pb2.GetOfferingResponse(offering=found)

    async def get_resource(self, request: Any, context: Any) -> resource_pb2.GetResourceResponse:
        self.asked.append(request.resource_id)
        await self._fail(context)
        found = self.resources.get((request.organization_id, request.resource_id))
        if found is None:
            await not_found(context, "resource", request.resource_id)
        return resource_pb2.GetResourceResponse(resource=found)

    async def get_event_type(
        self, request: Any, context: Any
    ) -> event_type_pb2.GetEventTypeResponse:
        self.asked.append(request.event_type_id)
        await self._fail(context)
        for (organization_id, _, event_type_id), offering in self.offerings.items():
            if (organization_id, event_type_id) == (request.organization_id, request.event_type_id):
                return event_type_pb2.GetEventTypeResponse(event_type=offering.event_type)
        await not_found(context, "event_type", request.event_type_id)
        raise AssertionError

    async def list_resources(
        self, request: Any, context: Any
    ) -> resource_pb2.ListResourcesResponse:
        self.asked.append("resources")
        await self._fail(context)
        found = [
            resource
            for (organization_id, _), resource in sorted(self.resources.items())
            if organization_id == request.organization_id
            and request.type in (0, resource.type)
            and (not request.HasField("active") or request.active == resource.active)
        ]
        return resource_pb2.ListResourcesResponse(resources=found)

    async def list_linked(
        self, request: Any, context: Any
    ) -> link_pb2.ListResourcesForEventTypeResponse:
        self.asked.append(f"resources/{request.event_type_id}")
        await self._fail(context)
        found = [
            offering
            for (organization_id, _, event_type_id), offering in sorted(self.offerings.items())
            if (organization_id, event_type_id) == (request.organization_id, request.event_type_id)
        ]
        if not found:
            await not_found(context, "event_type", request.event_type_id)
        return link_pb2.ListResourcesForEventTypeResponse(
            resources=[offering.resource for offering in found if offering.linked]
        )

    async def _fail(self, context: Any) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.fails_with is not None:
            await context.abort(self.fails_with, "told to")


async def not_found(context: Any, kind: str, key: str) -> None:
    """Refuses as the catalog does."""
    status = status_pb2.Status(code=5, message="no such row")
    info = error_details_pb2.ErrorInfo(reason="NOT_FOUND", domain="holdfast")
    info.metadata.update({"kind": kind, "id": key})
    status.details.add().Pack(info)
    await context.abort_with_status(rpc_status.to_status(status))


@asynccontextmanager
async def running(catalog: FakeCatalog, address: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """Serves a catalog; yields its address."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    behaviors: dict[str, tuple[Any, Any]] = {
        "GetOffering": (catalog.get_offering, offering_pb2.GetOfferingRequest),
        "GetResource": (catalog.get_resource, resource_pb2.GetResourceRequest),
        "GetEventType": (catalog.get_event_type, event_type_pb2.GetEventTypeRequest),
        "ListResources": (catalog.list_resources, resource_pb2.ListResourcesRequest),
        "ListResourcesForEventType": (
            catalog.list_linked,
            link_pb2.ListResourcesForEventTypeRequest,
        ),
    }
    handlers: dict[str, Any] = {
        name: grpc.unary_unary_rpc_method_handler(
            behavior, kind.FromString, lambda answer: answer.SerializeToString()
        )
        for name, (behavior, kind) in behaviors.items()
    }
    generic = grpc.method_handlers_generic_handler("holdfast.catalog.v1.CatalogService", handlers)
    server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port(address)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@dataclass(frozen=True)
class Refusal:
    """What a refused call says."""

    code: grpc.StatusCode
    reason: str
    metadata: Mapping[str, str]
    fields: Sequence[str]
    message: str


class Caller:
    """Calls on behalf of one organization."""

    def __init__(
        self, channel: grpc.aio.Channel, organization_id: str | None = None, *, address: str = ""
    ) -> None:
        self.channel = channel
        self.address = address
        self.availability = availability_pb2_grpc.AvailabilityServiceStub(channel)
        self.bookings = booking_pb2_grpc.BookingServiceStub(channel)
        self.organization_id = organization_id or f"org-{uuid.uuid4().hex}"

    def elsewhere(self) -> Caller:
        """A caller of another organization."""
        return Caller(self.channel, address=self.address)

    async def send(self, method: str, request: Any, timeout: float = 30) -> Any:
        """Sends a request and returns the response."""
        stub = self.availability if hasattr(self.availability, method) else self.bookings
        return await getattr(stub, method)(request, timeout=timeout)

    async def refusal_of(self, method: str, request: Any, timeout: float = 30) -> Refusal:
        """Sends a request that is refused."""
        try:
            answer = await self.send(method, request, timeout)
        except grpc.aio.AioRpcError as error:
            return read_refusal(error)
        raise AssertionError(f"{method} was not refused but answered: {answer}")

    def order(
        self, start: datetime, length_: timedelta = HOUR, **fields: Any
    ) -> booking_pb2.CreateBookingRequest:
        """A request to book studio-a."""
        given: dict[str, Any] = {
            "organization_id": self.organization_id,
            "request_id": str(uuid.uuid4()),
            "items": [booking_pb2.BookingItem(resource_id="studio-a")],
            "event_type_id": "session",
            "start_time": stamp(start),
            "duration": length(length_),
            "booker": booking_pb2.Booker(booker_id="ann"),
        }
        return booking_pb2.CreateBookingRequest(**(given | fields))

    async def book(
        self, start: datetime, length_: timedelta = HOUR, **fields: Any
    ) -> booking_pb2.Booking:
        """Books studio-a."""
        answer = await self.send("CreateBooking", self.order(start, length_, **fields))
        booking: booking_pb2.Booking = answer.booking
        return booking

    async def refused_book(
        self, start: datetime, length_: timedelta = HOUR, **fields: Any
    ) -> Refusal:
        """Is refused to book studio-a."""
        return await self.refusal_of("CreateBooking", self.order(start, length_, **fields))

    def cancellation(self, booking_id: str, **fields: Any) -> booking_pb2.CancelBookingRequest:
        """A request to cancel."""
        given: dict[str, Any] = {
            "organization_id": self.organization_id,
            "request_id": str(uuid.uuid4()),
            "booking_id": booking_id,
        }
        return booking_pb2.CancelBookingRequest(**(given | fields))

    async def cancel(self, booking_id: str, **fields: Any) -> booking_pb2.Booking:
        """Cancels."""
        answer = await self.send("CancelBooking", self.cancellation(booking_id, **fields))
        booking: booking_pb2.Booking = answer.booking
        return booking

    def slots_request(
        self, day: date, length_: timedelta = HOUR, **fields: Any
    ) -> availability_pb2.GetDaySlotsRequest:
        """A question for the slots of studio-a."""
        given: dict[str, Any] = {
            "organization_id": self.organization_id,
            "resource_id": "studio-a",
            "event_type_id": "session",
            "date": civil(day),
            "duration": length(length_),
        }
        return availability_pb2.GetDaySlotsRequest(**(given | fields))

    async def starts(self, day: date, length_: timedelta = HOUR, **fields: Any) -> list[datetime]:
        """The starts that GetDaySlots offers."""
        answer = await self.send("GetDaySlots", self.slots_request(day, length_, **fields))
        return [slot.start_time.ToDatetime(UTC) for slot in answer.slots]

    def month_request(
        self, first: date, last: date, length_: timedelta = HOUR, **fields: Any
    ) -> availability_pb2.GetMonthAvailabilityRequest:
        """A question for the dates of studio-a."""
        given: dict[str, Any] = {
            "organization_id": self.organization_id,
            "resource_id": "studio-a",
            "event_type_id": "session",
            "first_date": civil(first),
            "last_date": civil(last),
            "duration": length(length_),
        }
        return availability_pb2.GetMonthAvailabilityRequest(**(given | fields))

    async def open_dates(
        self, first: date, last: date, length_: timedelta = HOUR, **fields: Any
    ) -> dict[date, bool]:
        """What GetMonthAvailability says."""
        request = self.month_request(first, last, length_, **fields)
        answer = await self.send("GetMonthAvailability", request)
        return {read_date(entry.date): entry.available for entry in answer.dates}

    async def busy(
        self, first: date, last: date, resource_id: str = "studio-a"
    ) -> dict[date, list[int]]:
        """The taken quanta by UTC date, as GetDays has them."""
        request = availability_pb2.GetDaysRequest(
            organization_id=self.organization_id,
            resource_ids=[resource_id],
            first_date=civil(first),
            last_date=civil(last),
        )
        answer = await self.send("GetDays", request)
        return {read_date(day.date): set_quanta(day.busy) for day in answer.days}

    def question(self, method: str, start: datetime, **fields: Any) -> Any:
        """A request of any method that would be answered, but for the fields given."""
        day = civil(start.date())
        given: dict[str, Any] = {
            "GetDaySlots": {"date": day, "duration": length(HOUR)},
            "GetMonthAvailability": {
                "first_date": day,
                "last_date": day,
                "duration": length(HOUR),
            },
            "CheckInventory": {
                "items": [availability_pb2.InventoryItem(resource_id="studio-a")],
                "range": interval(start, start + HOUR),
            },
            "GetDays": {"resource_ids": ["studio-a"], "first_date": day, "last_date": day},
        }.get(method, {})
        kind = request_class(method)
        header = {
            "organization_id": self.organization_id,
            "request_id": str(uuid.uuid4()),
            "resource_id": "studio-a",
            "event_type_id": "session",
            "booking_id": "mine",
        }
        known = {
            name: value for name, value in header.items() if name in kind.DESCRIPTOR.fields_by_name
        }
        if method == "ListBookings":
            del known["event_type_id"]
        return kind(**(known | given | fields))

    async def verification(self, resource_id: str = "") -> availability_pb2.VerifyInventoryResponse:
        """What VerifyInventory finds."""
        request = availability_pb2.VerifyInventoryRequest(
            organization_id=self.organization_id, resource_id=resource_id
        )
        answer: availability_pb2.VerifyInventoryResponse = await self.send(
            "VerifyInventory", request
        )
        return answer


def request_class(method: str) -> Any:
    """The class of a method's requests."""
    return GetMessageClass(METHODS[method].input_type)


def read_refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """Reads the details of a status."""
    call: Any = error
    status = rpc_status.from_call(call)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status else ():
        detail.Unpack(info)
        detail.Unpack(bad)
    return Refusal(
        code=error.code(),
        reason=info.reason,
        metadata=dict(info.metadata),
        fields=[violation.field for violation in bad.field_violations],
        message=error.details() or "",
    )


def around_the_clock(zone: str) -> Schedule:
    """A schedule that never closes."""
    return weekly(zone, {day: [ALL_DAY] for day in range(1, 8)})


def weekly(zone: str, windows: Mapping[int, Sequence[tuple[int, int]]]) -> Schedule:
    """A schedule: windows in minutes, by ISO weekday."""
    return Schedule(
        schedule_id="hours",
        time_zone=zone,
        windows=[
            WeeklyWindow(day=day, window=window(*bounds))
            for day, entries in windows.items()
            for bounds in entries
        ],
    )


def window(start: int, end: int) -> TimeWindow:
    """Opening hours, in minutes of the day."""
    return TimeWindow(
        start=timeofday_pb2.TimeOfDay(hours=start // 60, minutes=start % 60),
        end=timeofday_pb2.TimeOfDay(hours=end // 60, minutes=end % 60),
    )


def stamp(instant: datetime) -> Timestamp:
    """An instant."""
    message = Timestamp()
    message.FromDatetime(instant)
    return message


def interval(start: datetime, end: datetime) -> Interval:
    """A range of instants."""
    return Interval(start_time=stamp(start), end_time=stamp(end))


def length(duration: timedelta) -> Duration:
    """A length."""
    message = Duration()
    message.FromTimedelta(duration)
    return message


def civil(day: date) -> Any:
    """A civil date."""
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def read_date(message: Any) -> date:
    """A civil date."""
    return date(message.year, message.month, message.day)


def set_quanta(busy: bytes) -> list[int]:
    """The set bits of 12 bytes, the highest of the first byte being quantum 0."""
    assert len(busy) == 12
    return [index for index in range(96) if busy[index // 8] >> (7 - index % 8) & 1]
