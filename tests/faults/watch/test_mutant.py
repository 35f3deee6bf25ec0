"""The proofs would notice: presences broken on purpose are caught, each for what it breaks.

The real one lives through the same.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import grpc
import pytest
import redis.asyncio

from tests.faults.watch import mutant, proof
from tests.faults.watch.conftest import Pair, Serve
from tests.faults.watch.proof import Dose, Proof
from tests.faults.watch.violation import Rule, report

Break = Callable[[pytest.MonkeyPatch], None]

_TIMEOUT: Final = timedelta(seconds=0.5)
_BUSY_SECONDS: Final = 1.0
_SILENT_SECONDS: Final = 5.5
_PATIENCE_SECONDS: Final = 3.0


def assert_broken(found: Proof, rule: Rule | None) -> None:
    rules = {violation.rule for violation in found.violations}
    assert rule in rules if rule else not rules, report(found.violations)


def whole(_: pytest.MonkeyPatch) -> None:
    """Breaks nothing."""


@pytest.mark.parametrize(
    ("breaks", "expected"),
    [
        (whole, None),
        (mutant.grants_to_everybody, Rule.OVERLAP),
        (mutant.sweeps_too_early, Rule.EARLY),
        (mutant.sweeps_nothing, Rule.LATE),
        (mutant.ends_twice, Rule.TWICE),
        (mutant.settles_what_came_later, Rule.SETTLED),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_who_breaks_what_holders_are_promised_is_caught(
    serve_pair: Serve, monkeypatch: pytest.MonkeyPatch, breaks: Break, expected: Rule | None
) -> None:
    breaks(monkeypatch)
    async with serve_pair(hold_timeout_seconds=_TIMEOUT.total_seconds()) as pair:
        found = await proof.claimed_through(
            pair.targets, pair.url, operations=800, sessions=8, timeout=_TIMEOUT, seed=1
        )

    assert_broken(found, expected)
    assert found.counts["expired"]


@pytest.mark.parametrize(
    ("breaks", "expected"),
    [
        (whole, None),
        (mutant.drops_changes, Rule.RELIABLE),
        (mutant.doubles_changes, Rule.UNIQUE),
        (mutant.reorders_changes, Rule.ORDERED),
        (mutant.splits_batches, Rule.ATOMIC),
        (mutant.resumes_too_far_on, Rule.ATOMIC),
        (mutant.loses_silently, Rule.RESET),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_who_breaks_what_watchers_are_promised_is_caught(
    serve_pair: Serve, monkeypatch: pytest.MonkeyPatch, breaks: Break, expected: Rule | None
) -> None:
    breaks(monkeypatch)
    dose = Dose(
        5,
        6,
        0,
        0,
        0.01,
        timeout=_TIMEOUT,
        slow_seconds=0.5,
        away_seconds=0.3,
        patience_seconds=_PATIENCE_SECONDS,
    )

    async def lose() -> Counter[str]:
        await asyncio.sleep(_BUSY_SECONDS)
        async with redis.asyncio.Redis.from_url(pair.url) as store:
            await store.flushall()
        await asyncio.sleep(_BUSY_SECONDS)
        return Counter()

    async with serve_pair(hold_timeout_seconds=_TIMEOUT.total_seconds()) as pair:
        found = await _watched(pair, dose, lose)

    assert_broken(found, expected)
    assert found.counts["resumptions"]
    assert found.counts["resets"] or breaks is mutant.loses_silently


async def test_who_is_silent_while_nothing_changes_is_caught(
    serve_pair: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant.sends_no_bookmarks(monkeypatch)

    async def wait() -> Counter[str]:
        await asyncio.sleep(_SILENT_SECONDS)
        return Counter()

    dose = Dose(
        2, 0, 0, 0, 0, timeout=_TIMEOUT, slow_seconds=0.5, patience_seconds=_PATIENCE_SECONDS
    )
    async with serve_pair(hold_timeout_seconds=_TIMEOUT.total_seconds()) as pair:
        found = await _watched(pair, dose, wait)

    assert Rule.BOOKMARK in {violation.rule for violation in found.violations}


async def _watched(
    pair: Pair, dose: Dose, meanwhile: Callable[[], Awaitable[Counter[str]]]
) -> Proof:
    async with (
        grpc.aio.insecure_channel(pair.targets[0]) as one,
        grpc.aio.insecure_channel(pair.targets[1]) as other,
    ):
        both = [one, other]
        return await proof.watched_through(both, both, pair.url, dose, meanwhile, seed=1)
