"""F2: CreateBooking, each of another slot, durable: against the echo, and against one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from holdfast.availability.v1 import availability_pb2
from tests.load.bench import BOOKED_DAYS, Bench
from tests.load.closed_loop import Caller, Load
from tests.load.counter import HOLD_CHECKS, counted
from tests.load.day_slots import COLD_AT_ONCE, read_days
from tests.load.http2 import CallFailed, Method, connect
from tests.load.measure import Spread, interleaved, percentile, ratios
from tests.load.orders import CREATE, Orders
from tests.load.pairs import Pairs
from tests.load.report import Figure, Part, milliseconds
from tests.load.rival import SINGLE
from tests.load.system import Server

TITLE: Final = "CreateBooking, different slots, durable"
_VERIFY: Final = Method(
    "/holdfast.availability.v1.AvailabilityService/VerifyInventory", seconds=300
)
_TARGET: Final = 0.45
_SINGLE_TARGET: Final = 3.0
# Two equal servers differ by a few percent, either way: that much is not worse.
_LONE_TARGET: Final = 1.1
_SIZED: Final = 500  # calls whose answers' sizes the echo copies
_LONE: Final = 300  # of each half of a pair
_MEDIAN, _SLOWEST = 50, 99


class Lone(NamedTuple):
    """Latencies of bookings with no other call under way, in pairs: the service, one by one."""

    p50: list[tuple[float, float]]
    p99: list[tuple[float, float]]


def measure(bench: Bench) -> Figure:
    """Measures it, and compares every bitmap with the bookings when it is done.

    Raises:
        CallFailed: A call did, an answer was wrong, or an acknowledged booking is not there.
    """
    orders = bench.orders
    server, single = bench.system.availability, bench.rival(SINGLE)

    async def work() -> Figure:
        bench.progress.step("F2: reading the days to book once, as whoever books has")
        await read_days(server, bench.world, BOOKED_DAYS)
        requests = orders.some(_SIZED)
        caller = await Caller.to(server.target, CREATE)
        try:
            sized = await caller.all_of(requests, COLD_AT_ONCE)
        finally:
            caller.close()
        own = bench.own_side(CREATE, server, orders)
        echo = await bench.in_turns("F2", own, bench.echo_side(requests, sized.sizes))
        one_by_one = await bench.in_turns(
            "F2, one transaction per booking", own, bench.rival_side(CREATE, single, single.orders)
        )
        lone = await _lone(bench, server, single.server, single.orders)
        checks = counted(server, HOLD_CHECKS, "outcome")
        bench.progress.step(f"F2: comparing bitmaps with {orders.count:,} bookings made")
        await require_right_inventory(
            server, bench.world.organization_id, bench.world.entry_count + orders.count
        )
        single.require_rows()
        return figure(echo, one_by_one, lone, orders.count, checks)

    return bench.run(work())


async def require_right_inventory(server: Server, organization_id: str, bookings: int) -> None:
    """Asks for VerifyInventory.

    Args:
        server: Where.
        organization_id: Whose inventory.
        bookings: How many occupying ones there must be.

    Raises:
        CallFailed: Some are missing, or a bitmap is wrong.
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


async def _lone(bench: Bench, server: Server, single: Server, single_orders: Orders) -> Lone:
    """One booking after the other, some hundred on each server in turns."""
    callers = [await Caller.to(each.target, CREATE, connections=1) for each in (server, single)]

    async def measure(caller: Caller, orders: Orders) -> Load:
        return await caller.all_of(orders.some(_LONE), 1)

    pairs = bench.options.pairs
    bench.progress.step(f"F2: lone bookings, {pairs} pairs")
    try:
        found = await interleaved(
            pairs,
            lambda: measure(callers[0], bench.orders),
            lambda: measure(callers[1], single_orders),
            lambda done: bench.progress.state(f"pair {done + 1} of {pairs}"),
        )
    finally:
        for caller in callers:
            caller.close()
    return Lone(
        *(
            [
                (percentile(own.latencies, percent), percentile(other.latencies, percent))
                for own, other in found
            ]
            for percent in (_MEDIAN, _SLOWEST)
        )
    )


def figure(
    echo: Pairs, one_by_one: Pairs, lone: Lone, made: int, checks: Mapping[str, int]
) -> Figure:
    """Draws the verdicts."""
    of_echo, of_single = echo.ratio, one_by_one.ratio
    slowest, usual = ratios(lone.p99), ratios(lone.p50)
    p50, p99 = (
        milliseconds(Spread.of([own for own, _ in each]).median) for each in (lone.p50, lone.p99)
    )
    return Figure(
        "F2",
        TITLE,
        [
            Part(f"{of_echo.text()} x B", f">= {_TARGET} x B", of_echo.median >= _TARGET),
            Part(
                f"{of_single.text()} x one transaction per booking",
                f">= {_SINGLE_TARGET:g} x",
                of_single.median >= _SINGLE_TARGET,
            ),
            Part(
                f"p99 of a lone booking {slowest.text()} x one transaction's",
                f"<= {_LONE_TARGET:g} x (no worse, within noise)",
                slowest.median <= _LONE_TARGET,
            ),
        ],
        f"{echo.cpu_text()}, {one_by_one.other_cpu_text()}",
        [
            echo.rates_text(),
            one_by_one.rates_text(),
            echo.beside_text(),
            one_by_one.beside_text(),
            f"checked against holds in time: {checks['answered']:,} of {sum(checks.values()):,}",
            f"lone booking p50 {p50}, {usual.text()} x one transaction's; p99 {p99}",
            f"{made:,} bookings acknowledged, all of them there; no bitmap is wrong",
        ],
        {
            "against_echo": echo.data(),
            "against_one_transaction_each": one_by_one.data(),
            "lone_seconds": lone._asdict(),
            "acknowledged": made,
            "hold_checks": dict(checks),
        },
    )
