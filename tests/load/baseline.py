"""What baselines are made of: the service's messages, checks and server kit, over another store.

A baseline answers CreateBooking and GetDaySlots with the codecs, the offerings, the rules and the
slot engine of the service, behind the same wrapping of calls, in a process of its own. Only where
bookings are decided and kept is its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final, Protocol, TypeVar, cast

import grpc

from holdfast.availability.v1 import availability_pb2, booking_pb2
from services.availability.app.book import Book
from services.availability.app.find_slots import DaySlots
from services.availability.app.hold_gate import HoldGate
from services.availability.app.port import Answered, DayReader, Ledger, OnCommit, nothing
from services.availability.bootstrap import holds_of
from services.availability.domain.booking import Booking, Note
from services.availability.domain.claim import FREE, DayState
from services.availability.domain.request_key import RequestKey
from services.availability.rpc import booking_codec, codec
from services.availability.rpc.errors import ERRORS
from services.availability.settings import AvailabilitySettings
from services.availability.upstream.catalog import Catalog
from services.availability.upstream.hold_metrics import HoldMetrics
from shared.runtime.background import running
from shared.runtime.call import Context
from shared.runtime.server import Service, Servicer
from shared.slots.engine import FreeStarts, planned

StoreT = TypeVar("StoreT")

_PACKAGE: Final = "holdfast.availability.v1"


class Store(Protocol):
    """Where a baseline decides bookings."""

    async def answer(self, key: RequestKey) -> bytes | None:
        """Returns the answer that the key was given before."""

    async def create(
        self,
        key: RequestKey,
        booking: Booking,
        note: Note,
        encode: Callable[[Booking], bytes],
        *,
        is_named: bool = True,
        committed: OnCommit = nothing,
    ) -> Answered:
        """Writes the booking, or refuses; returns the key's answer."""


class Days(Protocol):
    """Where a baseline reads days."""

    async def of_resource(
        self, organization_id: str, resource_id: str, days: range
    ) -> Mapping[int, DayState]:
        """Returns what is taken of a resource, by UTC day."""


def wired(
    name: str,
    opened: Callable[[AvailabilitySettings], AbstractAsyncContextManager[StoreT]],
    served: Callable[[AvailabilitySettings, Catalog, HoldGate, StoreT], Sequence[Servicer]],
) -> Callable[[AvailabilitySettings], AbstractAsyncContextManager[Service]]:
    """Returns what the server kit wants: a baseline's service while its store is open."""

    @asynccontextmanager
    async def wire(settings: AvailabilitySettings) -> AsyncIterator[Service]:
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(opened(settings))
            catalog = Catalog(
                settings.catalog_address,
                fresh_seconds=settings.catalog_fresh_seconds,
                stale_seconds=settings.catalog_stale_seconds,
            )
            stack.push_async_callback(catalog.close)
            metrics = HoldMetrics()
            presence = holds_of(settings, metrics)
            stack.push_async_callback(presence.close)
            # Days are read of held pools only, and there are none.
            gate = HoldGate(presence, cast("DayReader", store))
            servicers = served(settings, catalog, gate, store)
            async with running(presence.run()):
                writes = frozenset({"CreateBooking"})
                yield Service(name, servicers, ERRORS, writes, metrics.collectors)

    return wire


def day_slots_of(settings: AvailabilitySettings, catalog: Catalog, days: Days) -> Servicer:
    """GetDaySlots over days."""
    clock = settings.clock()

    async def get_day_slots(
        request: availability_pb2.GetDaySlotsRequest, context: Context
    ) -> bytes:
        query = codec.day_slots_query(request)
        offering = await catalog.offering(query.name)
        zone = offering.viewed_in(query.zone)
        offering.require_link()
        rules = offering.schedule, offering.rules
        plan = planned(*rules, query.first, query.last, query.duration, zone)
        organization_id, resource_id, _ = query.name
        stored = await days.of_resource(organization_id, resource_id, plan.days)
        states = [stored.get(day, FREE) for day in plan.days]
        found = FreeStarts(plan, plan.free([state.busy for state in states], clock.now()))
        return codec.day_slots_response(DaySlots(found, zone, states), resource_id)

    handler: Any = grpc.unary_unary_rpc_method_handler(
        get_day_slots, availability_pb2.GetDaySlotsRequest.FromString
    )
    return _servicer("AvailabilityService", "GetDaySlots", handler)


def bookings_in(
    settings: AvailabilitySettings, catalog: Catalog, gate: HoldGate, store: Store
) -> Servicer:
    """CreateBooking into a store."""
    tokens = settings.management_tokens()
    # Of its ledger, this use case asks no more than a store has.
    ledger = cast("Ledger", store)
    book = Book(
        catalog, gate, ledger, settings.clock(), tokens, booking_codec.answer, administration=False
    )

    async def create_booking(request: booking_pb2.CreateBookingRequest, context: Context) -> bytes:
        key, order = booking_codec.order(request)
        return booking_codec.with_token(await book(key, order), key, tokens)

    handler: Any = grpc.unary_unary_rpc_method_handler(
        create_booking, booking_pb2.CreateBookingRequest.FromString
    )
    return _servicer("BookingService", "CreateBooking", handler)


def _servicer(service: str, method: str, handler: Any) -> Servicer:
    name = f"{_PACKAGE}.{service}"

    def add(implementation: Any, server: Any) -> None:
        server.add_registered_method_handlers(name, implementation)

    return Servicer(add, {method: handler}, name)
