"""Two servers under the same load, in turns, and how they compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.load.closed_loop import Caller, Load, Request
from tests.load.http2 import Method
from tests.load.measure import Spread, interleaved, ratios
from tests.load.report import microseconds


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two.

    Attributes:
        name: As it is called in a report; empty for the service itself.
        target: Where it listens.
        method: What is called.
        requests: What is sent next, asked before each half.
        cpu: Tells the CPU seconds used so far: the server's first, then those ``beside`` it.
        beside: The names of what it leans on.
    """

    name: str
    target: str
    method: Method
    requests: Callable[[], Iterator[Request]]
    cpu: Callable[[], Sequence[float]]
    beside: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Pacing:
    """How long, and under how much load.

    Attributes:
        pairs: How many pairs.
        seconds: That each half of a pair counts calls.
        concurrency: Calls under way at any time.
    """

    pairs: int
    seconds: float
    concurrency: int


async def in_turns(own: Side, other: Side, pacing: Pacing, told: Callable[[int], None]) -> Pairs:
    """Measures both, in interleaved pairs, after each got warm.

    Args:
        own: The service.
        other: What it is compared with.
        pacing: How long.
        told: Told before each pair how many are done.

    Raises:
        CallFailed: A call did, or an answer was wrong.
    """
    callers = [await Caller.to(side.target, side.method) for side in (own, other)]

    async def measure(caller: Caller, side: Side) -> Load:
        return await caller.for_seconds(
            pacing.seconds, side.requests(), pacing.concurrency, side.cpu
        )

    try:
        # What is measured while a server gets warm does not count.
        for caller, side in zip(callers, (own, other), strict=True):
            await measure(caller, side)
        found = await interleaved(
            pacing.pairs,
            lambda: measure(callers[0], own),
            lambda: measure(callers[1], other),
            told,
        )
    finally:
        for caller in callers:
            caller.close()
    return Pairs(found, own, other)


class Pairs:
    """What was measured of both."""

    def __init__(self, found: Sequence[tuple[Load, Load]], own: Side, other: Side) -> None:
        self._found = found
        self._sides = own, other
        self._loads = [load for load, _ in found], [load for _, load in found]

    @property
    def ratio(self) -> Spread:
        """The service's calls a second, of the other's."""
        return ratios([(own.rate, other.rate) for own, other in self._found])

    @property
    def time_ratio(self) -> Spread:
        """The service's time a call under the same load, of the other's."""
        return ratios([(other.rate, own.rate) for own, other in self._found])

    @property
    def cpu_ratio(self) -> Spread | None:
        """The other's CPU a call, of the service's: with all that they lean on.

        It is what the ratio of the rates would be where nothing but CPU is short, and stays
        readable on a machine that is busy with something else. None where halves were too short
        for the clock by which CPU is counted.
        """
        found = [(sum(b.cpu_per_call), sum(a.cpu_per_call)) for a, b in self._found]
        return ratios(found) if all(map(min, found)) else None

    def cpu_text(self) -> str:
        """CPU a call, of both servers, in words."""
        own = _medians(self._loads[0])[0]
        return f"CPU {microseconds(own)} per call, {self.other_cpu_text()}"

    def other_cpu_text(self) -> str:
        """The same of the other alone."""
        return f"{self._sides[1].name} {microseconds(_medians(self._loads[1])[0])}"

    def beside_text(self) -> str:
        """The same of what they lean on."""
        words = []
        for side, loads in zip(self._sides, self._loads, strict=True):
            if side.beside:
                _, *beside = _medians(loads)
                each = zip(side.beside, beside, strict=True)
                said = ", ".join(f"{name} {microseconds(seconds)}" for name, seconds in each)
                words.append(f"beside {side.name or 'it'}: {said}")
        return f"CPU per call {'; '.join(words)}"

    def rates_text(self) -> str:
        """Calls a second in words."""
        own, other = (Spread.of([load.rate for load in loads]) for loads in self._loads)
        rates = f"{own.text(',.0f')} calls/s, {self._sides[1].name} {other.text(',.0f')}"
        by_cpu = self.cpu_ratio
        return f"{rates}; by CPU alone {by_cpu.text()} x" if by_cpu else rates

    def data(self) -> dict[str, Any]:
        """For programs: every half as it was measured."""
        ratio, by_cpu = self.ratio, self.cpu_ratio
        return {
            "ratio": [ratio.median, ratio.low, ratio.high],
            "ratio_by_cpu": [by_cpu.median, by_cpu.low, by_cpu.high] if by_cpu else None,
            "calls_per_second": [[own.rate, other.rate] for own, other in self._found],
            "cpu_seconds_per_call": [
                [own.cpu_per_call[0], other.cpu_per_call[0]] for own, other in self._found
            ],
            "cpu_seconds_per_call_beside": [
                [
                    dict(zip(side.beside, load.cpu_per_call[1:], strict=True))
                    for side, load in zip(self._sides, loads, strict=True)
                ]
                for loads in self._found
            ],
        }


def _medians(loads: Sequence[Load]) -> list[float]:
    return [median(column) for column in zip(*(load.cpu_per_call for load in loads), strict=True)]
