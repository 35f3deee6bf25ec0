"""F8: FindAvailability over thousands of resources, of days in memory and of others."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

import psycopg
from google.protobuf.timestamp_pb2 import Timestamp

from holdfast.availability.v1 import availability_pb2 as pb
from holdfast.common.v1.time_pb2 import Interval
from shared.client.value import to_duration
from tests.load import history, world
from tests.load.bench import Bench
from tests.load.closed_loop import Caller, Load, Request
from tests.load.http2 import CallFailed, Method, framed
from tests.load.measure import Spread, percentile
from tests.load.orders import CREATE, Orders
from tests.load.process import cpu_of_process
from tests.load.report import Figure, Part, milliseconds
from tests.load.system import Server
from tests.load.world import DURATIONS, EVENT_TYPE, World, resource_name, wall

TITLE: Final = "FindAvailability"
METHOD: Final = Method("/holdfast.availability.v1.AvailabilityService/FindAvailability")
_ORGANIZATION: Final = "finding"
_RESOURCES: Final = 10_000
_DAYS: Final = 7
# Of these dates no day is booked: a question for them makes all but the days known.
_FAR_DAYS: Final = 300
_WARM_TARGET: Final = 0.100
_COLD_TARGET: Final = 0.500
_ROUNDS: Final = 10  # of all questions, a pair
_PATIENCE_SECONDS: Final = 60.0
_LIMIT: Final = 50
_STARTS: Final = 10

_MORE_RESOURCES: Final = """
insert into resources select p.* from resources r, unnest(%(names)s::text[]) as n (id),
  jsonb_populate_record(r, jsonb_build_object('resource_id', n.id, 'name', initcap(n.id))) p
where r.organization_id = %(org)s
"""
_MORE_LINKS: Final = """
insert into links select p.* from links l, unnest(%(names)s::text[]) as n (id),
  jsonb_populate_record(l, jsonb_build_object('resource_id', n.id)) p
where l.organization_id = %(org)s
"""

_Answer = list[tuple[str, list[datetime]]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The seconds that each call took, and that the server's process used in all."""

    latencies: list[float]
    cpu_seconds: float

    def __add__(self, other: _Asked) -> _Asked:
        return _Asked(self.latencies + other.latencies, self.cpu_seconds + other.cpu_seconds)

    @property
    def cpu_per_call(self) -> float:
        return self.cpu_seconds / len(self.latencies)


def measure(bench: Bench) -> Figure:
    """Measures it, one call at a time.

    Raises:
        CallFailed: A call did, or an answer was wrong.
    """
    searched = World(_ORGANIZATION, _RESOURCES, world.today() + timedelta(days=1), _DAYS)
    _add(bench, searched)
    bench.progress.step("F8: working out the answers")
    requests = [_request_of(searched, 0, hours) for hours in DURATIONS]
    far = _request_of(searched, _FAR_DAYS, DURATIONS[0])
    first: list[float] = []
    cold = _Asked([], 0.0)
    for number in range(bench.options.pairs):
        bench.progress.step(f"F8: new server {number + 1} of {bench.options.pairs}")
        with bench.system.another_availability({}) as server:
            first.append(bench.run(_first(server, far)))
            bench.run(_ask(server, [far]))
            cold += bench.run(_ask(server, [requests[number % len(requests)]]))
    server = bench.system.availability
    bench.progress.step("F8: asking again and again")
    bench.run(_first(server, far))
    bench.run(_ask(server, requests))
    warm = bench.run(_ask(server, requests * _ROUNDS * bench.options.pairs))
    bench.progress.step("F8: asking after bookings")
    after = bench.run(_ask_after_bookings(bench, searched, requests))
    return _figure(first, cold, warm, after)


def _add(bench: Bench, searched: World) -> None:
    """Makes the organization: one resource by calls, the others as its rows' copies.

    Ten thousand calls to create and as many to link would take longer than all that is measured.
    """
    catalog = bench.system.postgres.url("catalog")
    one = dataclasses.replace(searched, resources=1)
    bench.progress.step(f"F8: creating {searched.resources:,} resources")
    bench.run(world.create_catalog(bench.system.catalog.target, one))
    names = [resource_name(number) for number in range(1, searched.resources)]
    with psycopg.connect(catalog) as connection:
        for statement in (_MORE_RESOURCES, _MORE_LINKS):
            connection.execute(statement, {"org": searched.organization_id, "names": names})
    bar = bench.progress.bar("F8: bookings that are there already:", searched.entry_count)
    url = bench.system.availability_database
    history.load(url, searched.organization_id, searched.entries(), bar.at)
    for each in (catalog, url):
        history.settle(each)


def _figure(first: Sequence[float], cold: _Asked, warm: _Asked, after: Sequence[float]) -> Figure:
    return Figure(
        "F8",
        f"{TITLE}, {_RESOURCES:,} resources x {_DAYS} days",
        [
            _part("warm", warm.latencies, _WARM_TARGET),
            _part("cold", cold.latencies, _COLD_TARGET),
        ],
        f"CPU {milliseconds(warm.cpu_per_call)} per warm call,"
        f" {milliseconds(cold.cpu_per_call)} per cold one",
        remarks=[
            f"warm p99 {milliseconds(percentile(warm.latencies, 99))}, one call at a time",
            f"right after a booking {milliseconds(median(after))}",
            "cold: the days are not in memory, the catalog's list is",
            f"a new server's first answer, with neither: {milliseconds(median(first))}",
        ],
        data={
            "warm_seconds": list(warm.latencies),
            "warm_cpu_seconds_per_call": warm.cpu_per_call,
            "cold_seconds": list(cold.latencies),
            "cold_cpu_seconds_per_call": cold.cpu_per_call,
            "after_booking_seconds": list(after),
            "first_seconds": list(first),
        },
    )


def _part(what: str, seconds: Sequence[float], target: float) -> Part:
    found = Spread.of(seconds)
    text = found.scaled(1_000).text(".0f")
    return Part(f"{what} {text} ms", f"<= {target * 1_000:.0f} ms", found.median <= target)


async def _first(server: Server, request: Request) -> float:
    """Asks until there is an answer; returns the seconds since the first question."""
    began = time.perf_counter()
    while True:
        try:
            await _ask(server, [request])
        except CallFailed:
            if time.perf_counter() - began > _PATIENCE_SECONDS:
                raise
        else:
            return time.perf_counter() - began


async def _ask(server: Server, requests: Sequence[Request]) -> _Asked:
    caller = await Caller.to(server.target, METHOD, connections=1)
    used = cpu_of_process(server.pid)
    try:
        load = await caller.all_of(requests, 1, every_answer=True)
    finally:
        caller.close()
    return _Asked(list(load.latencies), cpu_of_process(server.pid) - used)


async def _ask_after_bookings(
    bench: Bench, searched: World, requests: Sequence[Request]
) -> Sequence[float]:
    """Asks each time for what a booking that was just made has changed."""
    target = bench.system.availability.target
    booker = await Caller.to(target, CREATE, connections=1)
    caller = await Caller.to(target, METHOD, connections=1)
    # Later than all that is asked for is checked: those answers stay what they were.
    orders = Orders(searched, searched.days)
    found: list[float] = []
    try:
        for request in [*requests] * bench.options.pairs:
            await booker.all_of(orders.some(1), 1, every_answer=True)
            load: Load = await caller.all_of([request], 1, every_answer=True)
            found.append(load.latencies[0])
    finally:
        booker.close()
        caller.close()
    return found


def _request_of(searched: World, day: int, hours: int) -> Request:
    """The question for the free starts of some days, and the check of its answer."""
    window = wall(searched.date(day), 0), wall(searched.date(day + _DAYS), 0)
    request = pb.FindAvailabilityRequest(
        organization_id=searched.organization_id,
        event_type_id=EVENT_TYPE,
        duration=to_duration(timedelta(hours=hours)),
        window=Interval(start_time=_stamp(window[0]), end_time=_stamp(window[1])),
        limit=_LIMIT,
        starts_per_resource=_STARTS,
    )
    earliest, count = _expected(searched, day, hours)

    def check(body: bytes) -> str:
        answer = pb.FindAvailabilityResponse.FromString(body)
        found = [
            (resource.resource_id, [slot.start_time.ToDatetime(UTC) for slot in resource.slots])
            for resource in answer.resources
        ]
        if answer.resource_count != count:
            return f"{answer.resource_count} resources were found, not {count}"
        return "" if found == earliest else "other resources or starts were found"

    return Request(framed(request.SerializeToString()), check)


def _expected(searched: World, day: int, hours: int) -> tuple[_Answer, int]:
    """What must be answered, worked out without any code of the service."""
    found = []
    for resource in range(searched.resources):
        starts: list[datetime] = []
        for later in range(_DAYS):
            if len(starts) < _STARTS:
                starts += searched.starts(resource, day + later, hours)
        if starts:
            found.append((starts[0], resource_name(resource), starts[:_STARTS]))
    return [(name, starts) for _, name, starts in sorted(found)[:_LIMIT]], len(found)


def _stamp(instant: datetime) -> Timestamp:
    return Timestamp(seconds=int(instant.timestamp()))
