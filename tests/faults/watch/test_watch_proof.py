"""Promises C7 and C8, a small dose of each; ``make soak`` takes the full one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.faults.watch import proof
from tests.faults.watch.violation import report


async def test_no_two_sessions_hold_one_quantum(data_folder: Path) -> None:
    found = await proof.claimed(
        data_folder, operations=2_000, sessions=16, timeout=timedelta(seconds=1), seed=1
    )

    assert not found.violations, report(found.violations)
    assert found.outcomes["granted"] > 200
    assert found.outcomes["FAILED_PRECONDITION"] > 100
    assert found.counts["expired"] > 20


async def test_whatever_dies_watchers_are_told_what_is(data_folder: Path) -> None:
    dose = proof.Dose(
        watchers=20,
        sessions=6,
        seconds=6,
        fault_every_seconds=1.5,
        pause_seconds=0.02,
        timeout=timedelta(seconds=1),
        slow_seconds=2.0,
        away_seconds=2.0,
    )

    found = await proof.watched(data_folder, dose, seed=1)

    assert not found.violations, report(found.violations)
    assert [found.counts[kind] for kind in proof.KILLS] == [1, 1, 1]
    assert found.counts["resumptions"] > 20
    assert found.counts["resets"]
