"""Two sides in turns, orders without end, and the verdicts drawn from them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice, repeat
from typing import Any

import grpc
import pytest

from holdfast.availability.v1 import booking_pb2
from tests.load import booking, month, versus
from tests.load.closed_loop import Load, Request
from tests.load.http2 import CallFailed, Method, framed
from tests.load.orders import Orders
from tests.load.pairs import Pacing, Pairs, Side, in_turns
from tests.load.report import Figure
from tests.load.world import World

PREFIX_BYTES = 5
CHECKS = {"answered": 6, "timeout": 1}


def nothing() -> Iterator[Request]:
    raise AssertionError("no request was to be made")


def side(name: str, *beside: str) -> Side:
    return Side(name, "127.0.0.1:1", Method("/test.Load/Echo"), nothing, lambda: [0.0], beside)


def load(rate: int, *cpu: float) -> Load:
    return Load(calls=rate, wall_seconds=1.0, cpu_seconds=[each * rate for each in cpu])


def pairs(rates: Sequence[tuple[int, int]], name: str = "B") -> Pairs:
    found = [(load(own, 0.0004, 0.0002), load(other, 0.0001)) for own, other in rates]
    return Pairs(found, side("", "PostgreSQL"), side(name))


def test_ratios_are_of_rates_and_of_times_the_other_way_round() -> None:
    found = pairs([(50, 100), (80, 100), (180, 300)])

    assert (found.ratio.median, found.ratio.low, found.ratio.high) == (0.6, 0.5, 0.8)
    assert found.time_ratio.text() == "1.67 (1.25-2.00)"


def test_cpu_a_call_is_told_of_both_and_of_what_they_lean_on() -> None:
    found = pairs([(50, 100), (80, 100)])

    assert found.cpu_text() == "CPU 400 us per call, B 100 us"
    assert found.beside_text() == "CPU per call beside it: PostgreSQL 200 us"
    assert found.rates_text() == (
        "65 (50-80) calls/s, B 100 (100-100); by CPU alone 0.17 (0.17-0.17) x"
    )


def test_nothing_is_said_of_cpu_that_was_too_little_to_count() -> None:
    found = Pairs([(load(50, 0.0), load(100, 0.0001))], side(""), side("B"))

    assert found.rates_text() == "50 (50-50) calls/s, B 100 (100-100)"
    assert found.data()["ratio_by_cpu"] is None


def test_every_half_is_told_to_programs() -> None:
    data = pairs([(50, 100)]).data()

    assert data["ratio"] == [0.5, 0.5, 0.5]
    assert data["ratio_by_cpu"] == pytest.approx([1 / 6] * 3)
    assert data["calls_per_second"] == [[50, 100]]
    assert data["cpu_seconds_per_call_beside"] == [[{"PostgreSQL": pytest.approx(0.0002)}, {}]]


async def test_both_sides_get_warm_and_then_take_turns() -> None:
    halves: list[str] = []
    told: list[int] = []

    async def echo(request: bytes, _: Any) -> bytes:
        return request

    server = grpc.aio.server()
    method: Any = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test.Load", {"Echo": method}),)
    )
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()

    def one(name: str) -> Side:
        def requests() -> Iterator[Request]:
            halves.append(name)
            return repeat(Request(framed(b"abc"), lambda _: ""))

        return Side(name, target, Method("/test.Load/Echo"), requests, lambda: [0.0])

    found = await in_turns(one("A"), one("B"), Pacing(2, 0.05, 4), told.append)
    await server.stop(None)

    assert "".join(halves) == "ABABBA"
    assert told == [0, 1]
    assert found.ratio.low > 0


async def test_a_side_that_cannot_be_reached_is_no_measurement() -> None:
    with pytest.raises((CallFailed, OSError)):
        async with asyncio.timeout(10):
            await in_turns(side("A"), side("B"), Pacing(1, 0.05, 1), lambda _: None)


def asked_by(request: Request) -> tuple[str, int]:
    message = booking_pb2.CreateBookingRequest.FromString(request.message[PREFIX_BYTES:])
    return message.items[0].resource_id, message.start_time.seconds


def test_no_slot_is_ordered_twice_and_none_that_is_booked_already() -> None:
    world = World("org", 3, date(2031, 3, 1), 15)
    orders = Orders(world, 10)
    booked = {(entry.resource_id, entry.first * 900) for entry in world.entries()}

    # More than the booked days have room for: it goes on with the days after them.
    found = [asked_by(request) for request in islice(orders, 1_500)]

    assert len(set(found)) == orders.count == 1_500
    assert not booked & set(found)
    assert max(start for _, start in found) > max(start for _, start in booked)


def test_as_many_orders_are_ready_as_the_half_before_took() -> None:
    orders = Orders(World("org", 3, date(2031, 3, 1), 15), 10)

    first = asked_by(next(orders()))
    rest = [asked_by(request) for request in islice(orders(), 3_000)]
    orders()

    assert first not in rest
    assert orders.count == 3_001


def test_two_servers_get_the_same_orders_in_the_same_order() -> None:
    world = World("org", 3, date(2031, 3, 1), 15)

    one, other = (Orders(world, 10).some(50) for _ in range(2))

    assert list(map(asked_by, one)) == list(map(asked_by, other))


def verdicts(figure: Figure) -> list[bool]:
    assert figure.lines()[0].endswith(" ... met" if figure.is_met else " ... not met")
    return [part.is_met for part in figure.parts]


@pytest.mark.parametrize(
    ("rates", "met"), [([(45, 100)], True), ([(44, 100), (46, 100), (44, 100)], False)]
)
def test_bookings_are_judged_by_the_median_against_the_echo(
    rates: list[tuple[int, int]], *, met: bool
) -> None:
    lone = booking.Lone([(1.0, 1.0)], [(1.0, 1.0)])

    figure = booking.figure(pairs(rates), pairs([(300, 100)], "single"), lone, 7, CHECKS)

    assert verdicts(figure) == [met, True, True]
    assert figure.cpu == "CPU 400 us per call, B 100 us, single 100 us"


def test_a_lone_booking_may_not_be_slower_than_one_transaction() -> None:
    lone = booking.Lone([(1.0, 1.0)], [(1.2, 1.0), (1.15, 1.0), (1.0, 1.0)])

    figure = booking.figure(pairs([(50, 100)]), pairs([(299, 100)], "single"), lone, 7, CHECKS)

    assert verdicts(figure) == [True, False, False]


def test_bookings_and_reads_must_both_beat_the_constraint() -> None:
    figure = versus.figure(
        pairs([(200, 100)], "exclusion"), pairs([(199, 100)], "exclusion"), made=5
    )

    assert verdicts(figure) == [True, False]
    assert "bookings: CPU 400 us per call, exclusion 100 us" in figure.cpu


@pytest.mark.parametrize(
    ("rows", "alone", "met"),
    [(32.0, 3.0, [True, True, True]), (32.1, 3.1, [False, False, True])],
)
def test_a_month_is_judged_by_its_rows_and_its_time(
    rows: float, alone: float, met: list[bool]
) -> None:
    loaded = pairs([(100, 300), (100, 200), (100, 400)], "GetDaySlots")

    assert verdicts(month.figure(rows, [(alone, 1.0)], loaded)) == met
