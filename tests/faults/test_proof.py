"""Promises C1 to C6, a small dose of each; ``make soak`` takes the full one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import proof
from tests.faults.checker import report
from tests.faults.proof import Proof
from tests.faults.scene import Scene


def assert_clean(found: Proof) -> None:
    assert not found.violations, report(found.violations)
    assert not found.differences


@pytest.mark.parametrize("faulty", [False, True], ids=["calm", "faulty"])
async def test_mixed_operations_break_no_promise(scene: Scene, *, faulty: bool) -> None:
    found = await proof.mixed(scene, seed=1, operations=600, faulty=faulty)

    assert_clean(found)
    assert found.outcomes["OK"] > 100
    assert found.outcomes["SLOT_UNAVAILABLE"] > 20
    # They come by the clock: the faster the machine, the fewer of them.
    assert not faulty or found.faults


async def test_one_of_many_gets_the_slot(scene: Scene) -> None:
    found = await proof.rush(scene, 200)

    assert_clean(found)
    assert found.outcomes == {"OK": 1, "SLOT_UNAVAILABLE": 199}


async def test_cancelling_races_with_moving(scene: Scene) -> None:
    found = await proof.cancel_against_move(scene, 30, seed=1)

    assert_clean(found)
    assert found.outcomes["NOT_FOUND"] == 0


async def test_a_killed_database_loses_nothing_that_was_acknowledged(data_folder: Path) -> None:
    found = await proof.killed(data_folder, times=1, seed=1)

    assert_clean(found)
    assert found.faults == 1


async def test_five_copies_of_each_request_make_one_booking(scene: Scene) -> None:
    found = await proof.copied(scene, 40)

    assert_clean(found)
    assert found.outcomes == {"OK": 200}


async def test_replies_cut_after_the_commit_double_and_lose_nothing(scene: Scene) -> None:
    found = await proof.cut(scene, cuts=15, seed=1)

    assert_clean(found)


async def test_bundles_do_not_deadlock(scene: Scene) -> None:
    found = await proof.bundles(scene, seconds=2, clients=16, seed=1)

    assert_clean(found)
    assert found.deadlocks == 0
