"""F1: GetDaySlots, warm, as it is served in production, against the echo."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import cycle
from typing import Final

from google.type import date_pb2

from holdfast.availability.v1 import availability_pb2 as pb
from shared.client.value import to_duration
from tests.load.bench import READ_DAYS, Bench
from tests.load.closed_loop import Caller, Load, Request
from tests.load.counter import counted
from tests.load.http2 import Method, framed
from tests.load.pairs import Pairs
from tests.load.report import Figure, Part
from tests.load.system import Server
from tests.load.world import DURATIONS, EVENT_TYPE, World, resource_name

TITLE: Final = "GetDaySlots, warm"
METHOD: Final = Method("/holdfast.availability.v1.AvailabilityService/GetDaySlots")
_TARGET: Final = 0.8
_MEMORY: Final = "HOLDFAST_ANSWER_MEGABYTES"
_ANSWERS: Final = "holdfast_day_slot_answers_total"
_GET_DAYS: Final = Method("/holdfast.availability.v1.AvailabilityService/GetDays")
_SIZED: Final = 6_000  # calls whose answers' sizes the echo copies
_RESOURCES_A_CALL: Final = 10
_EACH: Final = range(_RESOURCES_A_CALL)
_AT_ONCE: Final = 4
# While caches are empty: what a crowd would do to them then is another question.
COLD_AT_ONCE: Final = 8


def measure(bench: Bench) -> Figure:
    """Measures it: the same questions over and over, as those of a page that many look at.

    What they cost where no answer is kept is told beside it.

    Raises:
        CallFailed: A call did, or an answer was wrong.
    """
    requests = requests_of(bench.world, READ_DAYS)
    server = bench.system.availability

    async def compared(what: str, asked: Server) -> Pairs:
        following = cycle(requests)
        own = bench.own_side(METHOD, asked, lambda: following)
        return await bench.in_turns(what, own, bench.echo_side(requests[:_SIZED], sizes))

    bench.progress.step("F1: asking every question once, so that all is in memory")
    sizes = bench.run(ask_all(server, requests)).sizes[:_SIZED]
    before = _answers(server)
    pairs = bench.run(compared("F1", server))
    answers = _answers(server) - before
    with bench.system.another_availability({_MEMORY: "0"}) as forgetful:
        bench.run(read_days(forgetful, bench.world))
        anew = bench.run(compared("F1, no answer kept", forgetful))
    ratio = pairs.ratio
    return Figure(
        "F1",
        TITLE,
        [Part(f"{ratio.text()} x B", f">= {_TARGET} x B", ratio.median >= _TARGET)],
        pairs.cpu_text(),
        [
            pairs.rates_text(),
            pairs.beside_text(),
            f"{answers['remembered'] / answers.total():.1%} of the answers were remembered",
            f"where none is kept {anew.ratio.text()} x B; {anew.cpu_text()}",
        ],
        {**pairs.data(), "none_kept": anew.data()},
    )


async def ask_all(server: Server, requests: Sequence[Request]) -> Load:
    """Asks each question once: the service has days and answers in memory then."""
    caller = await Caller.to(server.target, METHOD)
    try:
        return await caller.all_of(requests, COLD_AT_ONCE)
    finally:
        caller.close()


async def read_days(server: Server, world: World, days: range = range(READ_DAYS)) -> None:
    """Reads each day once, as raw bitmaps: a service keeps them in memory then."""
    first, last = world.date(days[0]), world.date(days[-1])

    def as_many_days(body: bytes) -> str:
        count = len(pb.GetDaysResponse.FromString(body).days)
        return "" if count == _RESOURCES_A_CALL * len(days) else f"{count} days were read"

    caller = await Caller.to(server.target, _GET_DAYS)
    try:
        await caller.all_of(
            [
                Request(
                    framed(
                        pb.GetDaysRequest(
                            organization_id=world.organization_id,
                            resource_ids=[resource_name(start + at) for at in _EACH],
                            first_date=civil(first),
                            last_date=civil(last),
                        ).SerializeToString()
                    ),
                    as_many_days,
                )
                for start in range(0, world.resources, _RESOURCES_A_CALL)
            ],
            _AT_ONCE,
        )
    finally:
        caller.close()


def requests_of(world: World, days: int) -> list[Request]:
    """Every resource, day and duration once, shuffled; the answers are known."""
    questions = [
        (resource, day, hours)
        for resource in range(world.resources)
        for day in range(days)
        for hours in DURATIONS
    ]
    random.Random(1).shuffle(questions)
    return [request_of(world, *question) for question in questions]


def request_of(world: World, resource: int, day: int, hours: int) -> Request:
    """One question, and the check of its answer."""
    asked = world.date(day)
    request = pb.GetDaySlotsRequest(
        organization_id=world.organization_id,
        resource_id=resource_name(resource),
        event_type_id=EVENT_TYPE,
        date=civil(asked),
        duration=to_duration(timedelta(hours=hours)),
    )

    def check(body: bytes) -> str:
        answer = pb.GetDaySlotsResponse.FromString(body)
        starts = [slot.start_time.ToDatetime(UTC) for slot in answer.slots]
        expected = world.starts(resource, day, hours)
        if starts == expected:
            return ""
        return (
            f"{resource_name(resource)} on {asked} for {hours} h has the starts"
            f" {_clock(expected)}, and the answer is {_clock(starts)}"
        )

    return Request(framed(request.SerializeToString()), check)


def civil(day: date) -> date_pb2.Date:
    """A date as the contracts say it."""
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def _answers(server: Server) -> Counter[str]:
    return Counter(counted(server, _ANSWERS, "outcome"))


def _clock(starts: list[datetime]) -> str:
    return " ".join(f"{start:%H:%M}" for start in starts) or "none"
