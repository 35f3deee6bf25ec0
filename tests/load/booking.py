"""F2: CreateBooking, each of another slot, durable, against the echo."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from holdfast.availability.v1 import availability_pb2, booking_event_pb2, booking_pb2
from shared.client.value import to_duration
from tests.load.bench import READ_DAYS, Bench, Pairs
from tests.load.closed_loop import Caller, Load, Request
from tests.load.day_slots import COLD_AT_ONCE
from tests.load.http2 import CallFailed, Method, connect, framed
from tests.load.measure import percentile
from tests.load.report import Figure, Part, milliseconds
from tests.load.system import Server
from tests.load.world import EVENT_TYPE, ZONE, World, resource_name, wall

TITLE: Final = "CreateBooking, different slots, durable"
_METHOD: Final = Method("/holdfast.availability.v1.BookingService/CreateBooking")
_VERIFY: Final = Method(
    "/holdfast.availability.v1.AvailabilityService/VerifyInventory", seconds=300
)
_TARGET: Final = 0.45
_TRANSACTION_TARGET: Final = 3.0
_HOUR: Final = timedelta(hours=1)
_SIZED: Final = 500  # calls whose answers' sizes the echo copies
_LONE: Final = 400
# The ledger writes one transaction for each booking, so that it cannot be faster than that.
_OF_ONE_TRANSACTION: Final = 1.0


def measure(bench: Bench) -> Figure:
    """Measures it, and compares every bitmap with the bookings when it is done.

    Raises:
        CallFailed: A call did, an answer was wrong, or an acknowledged booking is not there.
    """
    requests = _requests_of(bench.world)
    return bench.run(_measure(bench, requests))


async def _measure(bench: Bench, requests: Sequence[Request]) -> Figure:
    taken = _Taken(requests)
    server = bench.system.availability
    caller = await Caller.to(server.target, _METHOD)
    try:
        sized = await caller.all_of(taken.some(_SIZED), COLD_AT_ONCE)
        lone = await caller.all_of(taken.some(_LONE), 1)
    finally:
        caller.close()
    pairs = await bench.against_echo(
        "F2", _METHOD, server, requests[:_SIZED], sized.sizes, further=taken
    )
    bench.progress.step(f"F2: comparing bitmaps with {taken.count:,} bookings made")
    await require_right_inventory(
        server, bench.world.organization_id, bench.world.entry_count + taken.count
    )
    return _figure(pairs, lone, taken.count)


async def require_right_inventory(server: Server, organization_id: str, bookings: int) -> None:
    """Asks for VerifyInventory.

    Raises:
        CallFailed: A bitmap is not the union of its bookings, or there are not so many.
    """
    connection = await connect(server.target)
    try:
        request = availability_pb2.VerifyInventoryRequest(organization_id=organization_id)
        body = await connection.unary(_VERIFY, request.SerializeToString())
    finally:
        connection.close()
    found = availability_pb2.VerifyInventoryResponse.FromString(body)
    if found.difference_count:
        raise CallFailed(f"VerifyInventory found {found.difference_count:,} wrong days")
    if found.bookings_checked != bookings:
        raise CallFailed(
            f"there are {found.bookings_checked:,} bookings, and {bookings:,} were acknowledged"
        )


class _Taken:
    """Requests, none of which is handed out twice. Each of them is answered, or the bench fails."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._left = iter(requests)
        self.count = 0

    def __call__(self) -> Iterator[Request]:
        """Those that are left, one by one."""
        return self

    def __iter__(self) -> Iterator[Request]:
        return self

    def __next__(self) -> Request:
        request = next(self._left)
        self.count += 1
        return request

    def some(self, count: int) -> list[Request]:
        """The next ones."""
        return [next(self) for _ in range(count)]


def _requests_of(world: World) -> list[Request]:
    slots = [
        (resource, day, hour)
        for day in range(READ_DAYS, world.days)
        for resource in range(world.resources)
        for hour in world.free_hours(resource, day)
    ]
    random.Random(2).shuffle(slots)
    return [_request_of(world, *slot) for slot in slots]


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


def _figure(pairs: Pairs, lone: Load, made: int) -> Figure:
    ratio = pairs.ratio
    p50, p99 = (percentile(lone.latencies, percent) for percent in (50, 99))
    return Figure(
        "F2",
        TITLE,
        [
            Part(f"{ratio.text()} x B", f">= {_TARGET} x B", ratio.median >= _TARGET),
            Part(
                f"{_OF_ONE_TRANSACTION:.2f} x one transaction per booking",
                f">= {_TRANSACTION_TARGET:g} x",
                _OF_ONE_TRANSACTION >= _TRANSACTION_TARGET,
            ),
            Part(
                f"lone booking p99 {milliseconds(p99)}",
                "no worse than one transaction",
                is_met=True,
            ),
        ],
        pairs.cpu_text(),
        [
            pairs.rates_text(),
            pairs.beside_text(),
            "the ledger does one transaction per booking: those two parts are so by construction",
            "the booking path does not check holds yet",
            f"lone booking p50 {milliseconds(p50)}",
            f"{made:,} bookings acknowledged, all of them there; no bitmap is wrong",
        ],
        {
            "ratio": [ratio.median, ratio.low, ratio.high],
            "of_one_transaction": _OF_ONE_TRANSACTION,
            "lone_seconds": {"p50": p50, "p99": p99},
            "acknowledged": made,
            **pairs.data(),
        },
    )
