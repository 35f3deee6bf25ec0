"""F9: what a day's view computes for each change: the starts merged with the holds."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from shared.client.day_merge import OfferedSlots, SlotState, ViewSlot, merge
from shared.client.live_hold import HoldName, LiveHold
from shared.slots.quantum import QUANTA_PER_DAY, Span, instant
from tests.load.bench import Bench
from tests.load.measure import Spread
from tests.load.report import Figure, Part, microseconds

TITLE: Final = f"DayView merge, {QUANTA_PER_DAY} quanta"
_TARGET: Final = 100e-6
_HOLDS: Final = 50
_OVERDUE: Final = 10
_START_QUANTA: Final = 4
_FIRST: Final = 20_000 * QUANTA_PER_DAY
_OWN: Final = "holder-0"
_SAMPLES: Final = 15
_MERGES: Final = 100  # a sample


def measure(bench: Bench) -> Figure:
    """Measures it: once with holds that all are renewed, once with some that are not."""
    bench.progress.step(f"F9: {2 * _SAMPLES * _MERGES:,} merges")
    slots = OfferedSlots(_starts())
    renewed = _seconds_of(slots, _holds(overdue=0))
    # When a start is free again is then told, too.
    overdue = _seconds_of(slots, _holds(overdue=_OVERDUE))
    return Figure(
        "F9",
        TITLE,
        [_part(f"{_HOLDS} holds", renewed), _part(f"{_OVERDUE} of them overdue", overdue)],
        remarks=[f"{_SAMPLES} samples of {_MERGES} merges"],
        data={"seconds": renewed, "seconds_with_some_overdue": overdue},
    )


def _part(what: str, seconds: Sequence[float]) -> Part:
    found = Spread.of(seconds)
    shown = found.scaled(1e6).text(",.0f")
    return Part(f"{what} {shown} us", f"<= {microseconds(_TARGET)}", found.median <= _TARGET)


def _seconds_of(slots: OfferedSlots, holds: Sequence[LiveHold]) -> list[float]:
    found = []
    for _ in range(_SAMPLES):
        began = time.perf_counter()
        for _ in range(_MERGES):
            merged = merge(slots, holds, _OWN)
        found.append((time.perf_counter() - began) / _MERGES)
    # A merge that does nothing would be the fastest.
    assert len(merged) == QUANTA_PER_DAY
    assert {slot.state for slot in merged} == set(SlotState)
    return found


def _starts() -> list[tuple[Span, ViewSlot]]:
    """A start at each quarter hour; the last ones end on the next day."""
    spans = [
        Span(_FIRST + quantum, _FIRST + quantum + _START_QUANTA)
        for quantum in range(QUANTA_PER_DAY)
    ]
    return [(span, _slot(span)) for span in spans]


def _slot(span: Span) -> ViewSlot:
    start, end = instant(span.first), instant(span.stop)
    return ViewSlot(start, end, start, end, 1)


def _holds(*, overdue: int) -> list[LiveHold]:
    """Holds of a quarter hour each, all of different holders and times; one is the viewer's."""
    quanta = random.Random(1).sample(range(QUANTA_PER_DAY), _HOLDS)
    return [
        _hold(number, _FIRST + quantum, number <= overdue and number > 0)
        for number, quantum in enumerate(quanta)
    ]


def _hold(number: int, first: int, is_overdue: bool) -> LiveHold:  # noqa: FBT001  # one of its facts
    start, end = instant(first), instant(first + 1)
    expires_at = instant(_FIRST) + timedelta(seconds=number)
    name = HoldName(f"holder-{number}", "")
    return LiveHold("studio", name, Span(first, first + 1), start, end, expires_at, is_overdue)
