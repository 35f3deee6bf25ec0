"""F3: bookings and day queries against ranges with an exclusion constraint."""

from __future__ import annotations

from itertools import cycle
from typing import Final

from tests.load.bench import BOOKED_DAYS, READ_DAYS, Bench
from tests.load.booking import require_right_inventory
from tests.load.closed_loop import Caller
from tests.load.day_slots import COLD_AT_ONCE, METHOD, ask_all, read_days, requests_of
from tests.load.orders import CREATE
from tests.load.pairs import Pairs
from tests.load.report import Figure, Part
from tests.load.rival import EXCLUSION

TITLE: Final = "against ranges with an exclusion constraint"
_TARGET: Final = 2.0
_LOOKED_INTO: Final = 2_000  # answers of the baseline: it must be right, too


def measure(bench: Bench) -> Figure:
    """Measures it, and counts on both sides what was written.

    Raises:
        CallFailed: A call did, an answer was wrong, or an acknowledged booking is not there.
    """
    orders = bench.orders
    server, rival = bench.system.availability, bench.rival(EXCLUSION)
    questions = requests_of(bench.world, READ_DAYS)

    async def work() -> Figure:
        bench.progress.step("F3: asking every question once, and looking into answers")
        await read_days(server, bench.world, BOOKED_DAYS)
        await ask_all(server, questions)
        for each in (server, rival.server):
            caller = await Caller.to(each.target, METHOD)
            try:
                await caller.all_of(questions[:_LOOKED_INTO], COLD_AT_ONCE, every_answer=True)
            finally:
                caller.close()
        following, rivals_following = cycle(questions), cycle(questions)
        reads = await bench.in_turns(
            "F3, day slots",
            bench.own_side(METHOD, server, lambda: following),
            bench.rival_side(METHOD, rival, lambda: rivals_following),
        )
        bookings = await bench.in_turns(
            "F3, bookings",
            bench.own_side(CREATE, server, orders),
            bench.rival_side(CREATE, rival, rival.orders),
        )
        bench.progress.step("F3: counting what was written")
        await require_right_inventory(
            server, bench.world.organization_id, bench.world.entry_count + orders.count
        )
        rival.require_rows()
        return figure(bookings, reads, made=rival.orders.count)

    return bench.run(work())


def figure(bookings: Pairs, reads: Pairs, *, made: int) -> Figure:
    """Draws the verdicts."""
    asked = {"bookings": bookings, "day-slot queries": reads}
    return Figure(
        "F3",
        TITLE,
        [
            Part(
                f"{pairs.ratio.text()} x its {what}/s",
                f">= {_TARGET:g} x",
                pairs.ratio.median >= _TARGET,
            )
            for what, pairs in asked.items()
        ],
        "; ".join(f"{what}: {pairs.cpu_text()}" for what, pairs in asked.items()),
        [
            *(
                f"{what}: {text}"
                for what, pairs in asked.items()
                for text in (pairs.rates_text(), pairs.beside_text())
            ),
            f"the baseline wrote all rows of its {made:,} bookings, and answered as it must",
        ],
        {"bookings": bookings.data(), "day_slot_queries": reads.data()},
    )
