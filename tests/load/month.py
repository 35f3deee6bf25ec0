"""F5: GetMonthAvailability: the rows a cold one reads, and a warm one beside a single day's."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import timedelta
from itertools import cycle
from statistics import median
from typing import Final

import psycopg

from holdfast.availability.v1 import availability_pb2 as pb
from services.availability.storage.migration import migrate
from shared.client.value import to_duration
from tests.load import day_slots, history
from tests.load.bench import READ_DAYS, Bench
from tests.load.closed_loop import Caller, Request
from tests.load.day_slots import COLD_AT_ONCE, civil
from tests.load.http2 import CallFailed, Method, framed
from tests.load.measure import Spread, interleaved, ratios
from tests.load.pairs import Pairs
from tests.load.report import Figure, Part, milliseconds
from tests.load.system import Server
from tests.load.world import DURATIONS, EVENT_TYPE, World, resource_name

TITLE: Final = "GetMonthAvailability"
_METHOD: Final = Method("/holdfast.availability.v1.AvailabilityService/GetMonthAvailability")
_DATABASE: Final = "cold"
_COLD_RESOURCES: Final = 120
# The dates and one more, for where they are no UTC dates, and those that one booking touches.
_BOUND: Final = READ_DAYS + 1 + 1
_TIME_TARGET: Final = 3.0
_LONE: Final = 300  # of each half of a pair
_STEADY_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 30.0
# Of what bookings and days are kept in; the feed is read twice a second, whoever asks for what.
_ROWS_READ: Final = """
select (select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes where relname = any(%(t)s))
  + (select coalesce(sum(seq_tup_read), 0) from pg_stat_user_tables where relname = any(%(t)s))
"""
_TABLES: Final = ["days", "capacities", "bookings", "booking_items", "booking_history"]


def measure(bench: Bench) -> Figure:
    """Measures it.

    Raises:
        CallFailed: A call did, or an answer was wrong.
    """
    rows = _rows_read(bench)
    server = bench.system.availability
    months = _months(bench.world, range(bench.world.resources))
    days = day_slots.requests_of(bench.world, READ_DAYS)

    async def work() -> Figure:
        bench.progress.step("F5: asking every question once, so that all is in memory")
        await day_slots.ask_all(server, days)
        lone = await _lone(bench, server, months, days)
        following, following_days = cycle(months), cycle(days)
        own = bench.own_side(_METHOD, server, lambda: following)
        other = bench.own_side(day_slots.METHOD, server, lambda: following_days, name="GetDaySlots")
        return figure(rows, lone, await bench.in_turns("F5", own, other))

    return bench.run(work())


def _rows_read(bench: Bench) -> float:
    """The rows that a month reads of which nothing is in memory, as PostgreSQL counts them.

    They are counted in a database of their own, which nobody else asks.

    Raises:
        CallFailed: An answer was wrong.
    """
    bench.progress.step("F5: counting the rows that a cold month reads")
    world = World(bench.world.organization_id, _COLD_RESOURCES, bench.world.first, bench.world.days)
    postgres = bench.system.postgres
    postgres.create_database(_DATABASE)
    url = postgres.url(_DATABASE)
    migrate(url)
    history.load(url, world.organization_id, world.entries(), lambda _: None)
    history.settle(url)
    # Only of those that have a row for each date.
    asked = [
        number
        for number in range(_COLD_RESOURCES)
        if all(world.booked_hours(number, day) for day in range(world.days))
    ]
    months = _months(world, asked, durations=1)
    before = _steady_count(url)
    with bench.system.another_availability({"HOLDFAST_POSTGRES_URL": url}) as server:
        bench.run(_ask(server, months))
    # A connection that ends has told what it read.
    return (_steady_count(url) - before) / len(months)


async def _ask(server: Server, requests: Sequence[Request]) -> None:
    caller = await Caller.to(server.target, _METHOD, connections=1)
    try:
        await caller.all_of(requests, 1, every_answer=True)
    finally:
        caller.close()


def _steady_count(url: str) -> int:
    """The rows read so far, once the count stands still."""
    until = time.monotonic() + _PATIENCE_SECONDS
    last, since = -1, time.monotonic()
    while time.monotonic() < until:
        with psycopg.connect(url) as connection:
            row = connection.execute(_ROWS_READ, {"t": _TABLES}).fetchone()
        assert row is not None  # a select without a table has one
        if row[0] != last:
            last, since = int(row[0]), time.monotonic()
        elif time.monotonic() - since >= _STEADY_SECONDS:
            return last
        time.sleep(0.1)
    raise CallFailed("somebody keeps reading the database that nobody asks")


async def _lone(
    bench: Bench, server: Server, months: Sequence[Request], days: Sequence[Request]
) -> list[tuple[float, float]]:
    """Median latencies with no other call under way, in pairs: of months, of days."""
    asked = (_METHOD, cycle(months)), (day_slots.METHOD, cycle(days))
    callers = [await Caller.to(server.target, method, connections=1) for method, _ in asked]
    pairs = bench.options.pairs

    async def measure(number: int) -> float:
        following = asked[number][1]
        load = await callers[number].all_of([next(following) for _ in range(_LONE)], 1)
        return median(load.latencies)

    bench.progress.step(f"F5: lone reads, {pairs} pairs")
    try:
        for number, requests in enumerate((months, days)):
            await callers[number].all_of(requests[:_LONE], COLD_AT_ONCE, every_answer=True)
        return await interleaved(
            pairs,
            lambda: measure(0),
            lambda: measure(1),
            lambda done: bench.progress.state(f"pair {done + 1} of {pairs}"),
        )
    finally:
        for caller in callers:
            caller.close()


def _months(
    world: World, resources: Sequence[int], durations: int = len(DURATIONS)
) -> list[Request]:
    """Each resource and duration once, shuffled; the answers are known."""
    questions = [(resource, hours) for resource in resources for hours in DURATIONS[:durations]]
    random.Random(5).shuffle(questions)
    return [_month(world, *question) for question in questions]


def _month(world: World, resource: int, hours: int) -> Request:
    request = pb.GetMonthAvailabilityRequest(
        organization_id=world.organization_id,
        resource_id=resource_name(resource),
        event_type_id=EVENT_TYPE,
        first_date=civil(world.date(0)),
        last_date=civil(world.date(READ_DAYS - 1)),
        duration=to_duration(timedelta(hours=hours)),
    )

    def check(body: bytes) -> str:
        answer = pb.GetMonthAvailabilityResponse.FromString(body)
        found = [each.available for each in answer.dates]
        expected = [bool(world.starts(resource, day, hours)) for day in range(READ_DAYS)]
        if found == expected:
            return ""
        return f"{resource_name(resource)} for {hours} h is free on {expected}, not {found}"

    return Request(framed(request.SerializeToString()), check)


def figure(rows: float, lone: list[tuple[float, float]], loaded: Pairs) -> Figure:
    """Draws the verdicts."""
    alone, under_load = ratios(lone), loaded.time_ratio
    own, other = (
        milliseconds(Spread.of([pair[side] for pair in lone]).median) for side in range(2)
    )
    return Figure(
        "F5",
        f"{TITLE} of {READ_DAYS} dates",
        [
            Part(f"{rows:.1f} rows read cold", f"<= {_BOUND}", rows <= _BOUND),
            *(
                Part(
                    f"{what} {ratio.text()} x the time of GetDaySlots",
                    f"<= {_TIME_TARGET:g} x",
                    ratio.median <= _TIME_TARGET,
                )
                for what, ratio in (("warm", alone), ("and under load", under_load))
            ),
        ],
        loaded.cpu_text(),
        [
            f"alone {own}, GetDaySlots {other}",
            loaded.rates_text(),
            loaded.beside_text(),
            "rows are counted of resources that have one for each date",
        ],
        {"rows": rows, "lone_seconds": lone, **loaded.data()},
    )
