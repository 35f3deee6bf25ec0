"""F4: what a long history costs those who read the days ahead of it: nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from statistics import median
from typing import Any, Final, LiteralString

import psycopg

from services.availability.storage.day import OF_RESOURCE
from services.availability.storage.feed import FEED
from services.availability.storage.session import options_for
from tests.load import history, world
from tests.load.bench import READ_DAYS, Bench
from tests.load.booking import require_right_inventory
from tests.load.closed_loop import Caller, Request
from tests.load.day_slots import METHOD, requests_of
from tests.load.history import Entry
from tests.load.http2 import CallFailed
from tests.load.measure import Spread, interleaved, ratios
from tests.load.report import Figure, Part, milliseconds
from tests.load.system import Server
from tests.load.world import World, quantum_of, resource_name, wall

TITLE: Final = "history"
_PAGES_TARGET: Final = 2
_LATENCY_TARGET: Final = 1.25
_QUIET, _CROWDED = "quiet", "crowded"
_CANCELLED_A_DAY: Final = 200
_RESOURCES: Final = 1_000  # the first of them has a tenth of all
# Halves are short here: so many more pairs are measured, each question once in a half.
_MORE_PAIRS: Final = 3
_QUANTA_PER_DAY: Final = 96
_FIRST_QUANTUM, _SPAN_QUANTA = 24, 2  # bookings of half an hour, from 06:00 UTC on
_MOST_A_DAY: Final = 28
_OTHERS_A_DAY: Final = 10

Pages = Mapping[str, Sequence[int]]


def measure(bench: Bench) -> Figure:
    """Measures an organization with a history against one of the same days without.

    Raises:
        CallFailed: A call did, an answer was wrong, or a bitmap is.
    """
    first = world.today() + timedelta(days=1)
    quiet, crowded = (World(name, 1, first, READ_DAYS) for name in (_QUIET, _CROWDED))
    url = bench.system.availability_database
    bench.add_world(quiet)
    without = _pages_of(url, quiet)
    bench.run(world.create_catalog(bench.system.catalog.target, crowded))
    past = bench.options.past_bookings
    entries = past + crowded.entry_count + READ_DAYS * _CANCELLED_A_DAY
    bar = bench.progress.bar("F4: loading bookings:", entries)
    bench.progress.step(f"F4: loading {entries:,} bookings by COPY")
    loaded = history.load(url, crowded.organization_id, entries_of(crowded, past), bar.at)
    bench.progress.step("F4: vacuum, and a checkpoint")
    history.settle(url)
    pages = without, _pages_of(url, crowded)
    with bench.system.another_availability({"HOLDFAST_DAY_ENTRIES": "1"}) as forgetful:
        return bench.run(_measure(bench, crowded, quiet, forgetful, loaded, pages))


async def _measure(
    bench: Bench,
    crowded: World,
    quiet: World,
    forgetful: Server,
    loaded: history.Loaded,
    pages: tuple[Pages, Pages],
) -> Figure:
    bench.progress.step(f"F4: comparing {loaded.days:,} bitmaps with their bookings")
    await require_right_inventory(forgetful, crowded.organization_id, loaded.occupying)
    cold = await _latencies(bench, "cold", forgetful, crowded, quiet)
    warm = await _latencies(bench, "warm", bench.system.availability, crowded, quiet)
    return _figure(loaded, pages, cold, warm)


async def _latencies(
    bench: Bench, what: str, server: Server, crowded: World, quiet: World
) -> list[tuple[float, float]]:
    caller = await Caller.to(server.target, METHOD, connections=1)

    async def measure(requests: Sequence[Request]) -> float:
        load = await caller.all_of(requests, 1)
        return median(load.latencies)

    asked = [requests_of(each, READ_DAYS) for each in (crowded, quiet)]
    pairs = _MORE_PAIRS * bench.options.pairs
    bench.progress.step(f"F4: {what} reads, {pairs} pairs")
    try:
        for requests in asked:
            await caller.all_of(requests, 1, every_answer=True)
        return await interleaved(
            pairs,
            lambda: measure(asked[0]),
            lambda: measure(asked[1]),
            lambda done: bench.progress.state(f"pair {done + 1} of {pairs}"),
        )
    finally:
        caller.close()


def entries_of(crowded: World, past: int) -> Iterator[Entry]:
    """The past bookings, a tenth of them on one resource, and then those of the days ahead.

    Each day ahead has its bookings, and such as were cancelled.
    """
    today = quantum_of(wall(world.today(), 12 * 60)) // _QUANTA_PER_DAY
    on_first = past // 10
    others = past - on_first
    a_day = (_RESOURCES - 1) * _OTHERS_A_DAY
    days = max(-(-on_first // _MOST_A_DAY), -(-others // a_day))
    for back in range(days, 0, -1):
        for number in range(_MOST_A_DAY * (back - 1), min(_MOST_A_DAY * back, on_first)):
            yield _past_entry(today - back, 0, number % _MOST_A_DAY)
        for number in range(a_day * (back - 1), min(a_day * back, others)):
            slot, resource = divmod(number % a_day, _RESOURCES - 1)
            yield _past_entry(today - back, resource + 1, slot)
    yield from crowded.entries()
    for day in range(crowded.days):
        free = crowded.free_hours(0, day)
        for number in range(_CANCELLED_A_DAY):
            hour = free[number % len(free)]
            first = quantum_of(wall(crowded.date(day), hour * 60))
            yield Entry(resource_name(0), first, first + _SPAN_QUANTA, is_cancelled=True)


def _past_entry(day: int, resource: int, slot: int) -> Entry:
    first = day * _QUANTA_PER_DAY + _FIRST_QUANTUM + slot * _SPAN_QUANTA
    return Entry(resource_name(resource), first, first + _SPAN_QUANTA)


def _pages_of(url: str, asked: World) -> Pages:
    """The pages that each statement behind GetDaySlots reads, for each day that has a row."""
    options: dict[str, Any] = options_for(url, timedelta(minutes=1), lookups_only=True)
    with psycopg.connect(**options, cursor_factory=psycopg.ClientCursor) as connection:
        days = [
            _pages(
                connection,
                OF_RESOURCE,
                {
                    "org": asked.organization_id,
                    "resource": resource_name(0),
                    "first": asked.date(day),
                    "last": asked.date(day),
                },
            )
            for day in range(asked.days)
            if asked.booked_hours(0, day)  # else there is no row to read
        ]
        row = connection.execute(
            "select number from feeds where organization_id = %s", (asked.organization_id,)
        ).fetchone()
        assert row is not None  # every organization with bookings has one
        look = {"orgs": [asked.organization_id], "positions": [row[0]], "limit": 1_000}
        return {"the day": days, "what changed": [_pages(connection, FEED, look)]}


def _pages(
    connection: psycopg.Connection[Any], statement: LiteralString, parameters: Mapping[str, Any]
) -> int:
    explained = "explain (analyze, buffers, format json) " + statement
    connection.execute(explained, parameters)  # planning reads the catalogs' pages, once
    row = connection.execute(explained, parameters).fetchone()
    assert row is not None  # explain has one
    plan = row[0][0]["Plan"]
    if not plan["Actual Rows"]:
        raise CallFailed("a statement read nothing")
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


def _figure(
    loaded: history.Loaded,
    pages: tuple[Pages, Pages],
    cold: Sequence[tuple[float, float]],
    warm: Sequence[tuple[float, float]],
) -> Figure:
    without, with_history = pages
    differences = [
        after - before
        for name in without
        for before, after in zip(without[name], with_history[name], strict=True)
    ]
    most = max(differences, key=abs)
    latencies = {"cold": ratios(cold), "warm": ratios(warm)}
    return Figure(
        "F4",
        f"{loaded.bookings:,} bookings of {TITLE}",
        [
            Part(f"{most:+d} pages at most", f"+-{_PAGES_TARGET}", abs(most) <= _PAGES_TARGET),
            *(
                Part(
                    f"{name} latency {ratio.text()} x that without",
                    f"<= {_LATENCY_TARGET} x",
                    ratio.median <= _LATENCY_TARGET,
                )
                for name, ratio in latencies.items()
            ),
        ],
        "",
        [
            _pages_text(without, with_history),
            f"cold read {_median_text(cold)}, warm {_median_text(warm)} with history",
            f"a tenth on one resource, and {_CANCELLED_A_DAY} cancelled on each day read",
            f"VerifyInventory compared {loaded.days:,} days: none is wrong",
        ],
        {
            "bookings": loaded.bookings,
            "days": loaded.days,
            "pages": {"without": without, "with": with_history},
            "latency_seconds": {"cold": cold, "warm": warm},
            "latency_ratio": {
                name: [ratio.median, ratio.low, ratio.high] for name, ratio in latencies.items()
            },
        },
    )


def _pages_text(without: Pages, with_history: Pages) -> str:
    words = []
    for name, before in without.items():
        spans = [Spread.of(values) for values in (before, with_history[name])]
        words.append(f"{name} {' and '.join(span.text('.0f') for span in spans)}")
    return f"pages without and with: {', '.join(words)}"


def _median_text(pairs: Sequence[tuple[float, float]]) -> str:
    return milliseconds(median(own for own, _ in pairs))
