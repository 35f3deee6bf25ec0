"""What baselines are made of: the service's messages, checks and server kit, over another store.

A baseline answers CreateBooking and GetDaySlots with the codecs, the offerings, the rules and the
slot engine of the service, behind the same interceptors, in a process of its own. Only where
bookings are decided and kept is its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final, Protocol, TypeVar

import grpc
from pydantic import Field

from holdfast.availability.v1 import availability_pb2, booking_pb2
from services.availability.app.book import Order
from services.availability.app.find_slots import DaySlots
from services.availability.app.port import RequestKey
from services.availability.domain.booking import Booking, BookingItem, BookingState
from services.availability.domain.claim import DayState
from services.availability.rpc import booking_codec, codec
from services.availability.rpc.errors import ERRORS
from services.availability.upstream.catalog import Catalog
from shared.runtime.call import Context
from shared.runtime.clock import Clock
from shared.runtime.failure import Failure
from shared.runtime.identity import uuid7
from shared.runtime.server import Service, Servicer
from shared.runtime.settings import ServerSettings
from shared.slots.engine import day_slots, days_needed

StoreT = TypeVar("StoreT")

_PACKAGE: Final = "holdfast.availability.v1"


class BaselineSettings(ServerSettings):
    """HOLDFAST_* variables of a baseline, beside those of every server."""

    postgres_url: str = Field(description="libpq URL of the baseline's own database")
    postgres_connections: int = Field(default=10, ge=1, description="all of them always open")
    catalog_address: str = Field(description="host:port of the catalog")


class Store(Protocol):
    """Where a baseline decides bookings."""

    async def answer(self, key: RequestKey) -> bytes | None:
        """Returns the answer that the key was given before."""

    async def create(self, key: RequestKey, booking: Booking, answer: bytes) -> bytes:
        """Writes the booking, or refuses; returns the key's answer."""


class Days(Protocol):
    """Where a baseline reads days."""

    async def of_resource(
        self, organization_id: str, resource_id: str, days: range
    ) -> Mapping[int, DayState]:
        """Returns what is taken of a resource, by UTC day."""


def wired(
    name: str,
    opened: Callable[[BaselineSettings], AbstractAsyncContextManager[StoreT]],
    served: Callable[[Catalog, StoreT, Clock], Sequence[Servicer]],
) -> Callable[[BaselineSettings], AbstractAsyncContextManager[Service]]:
    """Returns what the server kit wants: a baseline's service while its store is open."""

    @asynccontextmanager
    async def wire(settings: BaselineSettings) -> AsyncIterator[Service]:
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(opened(settings))
            catalog = Catalog(settings.catalog_address, fresh_seconds=1.0)
            stack.push_async_callback(catalog.close)
            servicers = served(catalog, store, settings.clock())
            yield Service(name, servicers, ERRORS, frozenset({"CreateBooking"}))

    return wire


def day_slots_of(catalog: Catalog, days: Days, clock: Clock) -> Servicer:
    """GetDaySlots over days."""

    async def get_day_slots(
        request: availability_pb2.GetDaySlotsRequest, context: Context
    ) -> bytes:
        query = codec.day_slots_query(request)
        offering = await catalog.offering(query.name)
        zone = offering.viewed_in(query.zone)
        offering.require_link()
        rules = offering.schedule, offering.rules
        needed = days_needed(*rules, query.first, query.last, query.duration, zone)
        organization_id, resource_id, _ = query.name
        states = await days.of_resource(organization_id, resource_id, needed)
        busy = {day: state.busy for day, state in states.items()}
        found = day_slots(*rules, query.first, query.duration, clock.now(), busy, zone)
        return codec.day_slots_response(DaySlots(found, zone, [*states.items()]), resource_id)

    handler: Any = grpc.unary_unary_rpc_method_handler(
        get_day_slots, availability_pb2.GetDaySlotsRequest.FromString
    )
    return _servicer("AvailabilityService", "GetDaySlots", handler)


def bookings_in(catalog: Catalog, store: Store, clock: Clock) -> Servicer:
    """CreateBooking into a store."""

    async def create_booking(request: booking_pb2.CreateBookingRequest, context: Context) -> bytes:
        key, order = booking_codec.order(request)
        try:
            booking = await _judged(order, catalog, clock)
        except Failure:
            answer = await store.answer(key)
            if answer is None:
                raise
            return answer
        return await store.create(key, booking, booking_codec.create_answer(booking))

    handler: Any = grpc.unary_unary_rpc_method_handler(
        create_booking, booking_pb2.CreateBookingRequest.FromString
    )
    return _servicer("BookingService", "CreateBooking", handler)


def _servicer(service: str, method: str, handler: Any) -> Servicer:
    name = f"{_PACKAGE}.{service}"

    def add(implementation: Any, server: grpc.aio.Server) -> None:
        handlers = grpc.method_handlers_generic_handler(name, implementation)
        server.add_generic_rpc_handlers((handlers,))

    return Servicer(add, {method: handler}, name)


async def _judged(order: Order, catalog: Catalog, clock: Clock) -> Booking:
    offering = await catalog.offering(order.name)
    now = clock.now()
    occupancy = offering.admit(order.start, order.duration, order.location, now)
    return Booking(
        organization_id=order.name.organization_id,
        booking_id=order.booking_id or uuid7(now),
        items=(BookingItem(order.name.resource_id, 1, occupancy),),
        event_type_id=order.name.event_type_id,
        event_type_title=offering.title,
        start=order.start,
        end=order.start + order.duration,
        booker=order.booker,
        location=order.location,
        time_zone=order.time_zone,
        state=BookingState.CONFIRMED,
        cancel_reason="",
        created_at=now,
        updated_at=now,
        revision=0,
    )
