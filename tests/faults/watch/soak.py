"""Full doses of C7 and C8, and of the fault table's rows about watchers and a slow Redis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tests.faults import redis_stage
from tests.faults.watch import flood, proof
from tests.faults.watch.violation import report
from tests.load.measure import percentile
from tests.load.report import Figure, Part, milliseconds

if TYPE_CHECKING:
    from tests.faults.soak import Soak

_OPERATIONS: Final = 100_000
_SESSIONS: Final = 32
_TIMEOUT: Final = timedelta(seconds=10)
_WATCHERS: Final = 200
_WATCHED_SECONDS: Final = 600
_FAULT_EVERY_SECONDS: Final = 7.0
_STOPPED: Final = 50
_STOPPED_ROUNDS: Final = 10
_STOPPED_SECONDS: Final = 3.0
_MOST_GROWTH: Final = 0.2
_MOST_BYTES: Final = 50_000_000
_STORM: Final = 2_000
_STORM_SECONDS: Final = 3.0
_SLOW_ROUNDS: Final = 20
_SLOW_TURNS: Final = 25
_SLOWER_SECONDS: Final = 0.06


async def held(soak: Soak) -> Figure:
    """C7: random operations through two replicas, judged by the store's log and clock."""
    operations = soak.full(_OPERATIONS)
    bar = soak.progress.bar("C7 operations", operations)
    found = await proof.claimed(
        soak.folder / "held",
        operations=operations,
        sessions=_SESSIONS,
        timeout=_TIMEOUT,
        seed=soak.seed,
        progress=lambda left: bar.at(operations - max(left, 0)),
    )
    _tell(soak, "C7", found)
    return Figure(
        "C7",
        "two sessions never hold one exclusive quantum",
        [
            Part(
                f"{len(found.violations)} violations in {operations:,} operations, with"
                f" {found.counts['expired']:,} expiries and {found.outcomes['settled']:,} ends by"
                " bookings",
                f"0 in {_OPERATIONS:,}; expired between 10.0 and 11.0 s, told once",
                not found.violations and found.counts["expired"] > 0,
            )
        ],
        remarks=[", ".join(f"{word} {count:,}" for word, count in found.outcomes.most_common())],
    )


async def watched(soak: Soak) -> Figure:
    """C8: watchers of all manners while servers and store are killed."""
    dose = proof.Dose(
        watchers=max(5, soak.full(_WATCHERS)),
        sessions=8,
        seconds=soak.full(_WATCHED_SECONDS),
        fault_every_seconds=_FAULT_EVERY_SECONDS,
        pause_seconds=0.4,
    )
    bar = soak.progress.bar("C8 seconds", round(dose.seconds))
    found = await proof.watched(soak.folder / "watched", dose, seed=soak.seed, progress=bar.at)
    _tell(soak, "C8", found)
    counts = found.counts
    return Figure(
        "C8",
        "a watch is ordered, unique, atomic, reliable, resumable",
        [
            Part(
                f"{len(found.violations)} violations in {found.messages:,} messages to"
                f" {dose.watchers} watchers in {dose.seconds:.0f} s",
                f"0, {_WATCHERS} watchers, {_WATCHED_SECONDS} s",
                not found.violations and found.messages > 0,
            )
        ],
        remarks=[
            ", ".join(f"{counts[kind]} kills of the {kind}" for kind in proof.KILLS),
            ", ".join(f"{counts[kind]:,} {kind}" for kind in proof.COUNTED),
        ],
    )


async def unread(soak: Soak) -> Figure:
    """Watchers who stopped reading cost the others nothing."""
    rounds = max(2, soak.full(_STOPPED_ROUNDS))
    soak.progress.step(f"slow readers: {rounds} rounds")
    found = await flood.stopped(
        soak.folder / "unread", count=_STOPPED, rounds=rounds, seconds=_STOPPED_SECONDS
    )
    calm, beside = (percentile(side, 99) for side in (found.calm, found.beside))
    return Figure(
        "slow",
        f"{_STOPPED} stopped watchers",
        [
            Part(
                f"the others' p99 {found.p99_growth:+.0%}",
                f"< +{_MOST_GROWTH:.0%}",
                found.p99_growth < _MOST_GROWTH,
            ),
            Part(
                f"memory +{found.grown_bytes / 1e6:.0f} MB",
                f"< +{_MOST_BYTES / 1e6:.0f} MB",
                found.grown_bytes < _MOST_BYTES,
            ),
        ],
        remarks=[f"p99 {milliseconds(calm)} without, {milliseconds(beside)} beside them"],
    )


async def storm(soak: Soak) -> Figure:
    """A server's watchers all come back at once."""
    count = soak.full(_STORM)
    soak.progress.step(f"reconnect storm of {count:,} watchers")
    found: Sequence[float] = await flood.storm(soak.folder / "storm", count=count, seed=soak.seed)
    last = max(found)
    return Figure(
        "storm",
        f"{count:,} watchers of a killed server",
        [
            Part(
                f"all resumed after {last:.1f} s",
                f"<= {_STORM_SECONDS:.0f} s",
                last <= _STORM_SECONDS,
            )
        ],
        remarks=[f"half of them after {percentile(found, 50):.1f} s; up to 0.5 s are their own"],
    )


async def slow_store(soak: Soak) -> Figure:
    """Bookings wait for a slow Redis for the time of a check, and no longer."""
    rounds = soak.full(_SLOW_ROUNDS)
    soak.progress.step(f"slow Redis: {rounds} rounds")
    found = await redis_stage.slowed(
        soak.url, soak.folder / "redis", rounds=rounds, turns=_SLOW_TURNS
    )
    usual, slow = (percentile(side, 99) for side in (found.usual, found.slow))
    return Figure(
        "redis",
        f"{len(found.slow):,} bookings beside a Redis that answers late",
        [
            Part(
                f"p99 {milliseconds(slow - usual)} more",
                f"<= {milliseconds(_SLOWER_SECONDS)}",
                slow - usual <= _SLOWER_SECONDS,
            ),
            Part(
                f"{found.checks['timeout']} checks went without an answer",
                f">= {redis_stage.WAITS * rounds}, else nothing was slow",
                found.checks["timeout"] >= redis_stage.WAITS * rounds,
            ),
        ],
        remarks=[f"p99 {milliseconds(usual)} usually, {milliseconds(slow)} beside it"],
    )


def _tell(soak: Soak, name: str, found: proof.Proof) -> None:
    soak.progress.step(f"{name}: {found.operations:,} calls in {found.seconds:.0f} s")
    if found.violations:
        soak.progress.step(report(found.violations))
