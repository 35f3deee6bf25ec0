"""The checker would notice: engines broken on purpose are caught, each for what it breaks.

Every story is told of the real engine, too, which must live through it. Nothing here depends on
luck: where two transactions must meet, they wait for one another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from psycopg.conninfo import make_conninfo

from tests.faults.checker import check, report
from tests.faults.mutant import engine, scenario
from tests.faults.mutant.gate import Gate, Meeting
from tests.faults.mutant.scenario import Story
from tests.faults.scene import Scene
from tests.faults.tables import read_tables
from tests.faults.violation import Rule, Violation

Tell = Callable[[Story], Awaitable[None]]
Break = Callable[[pytest.MonkeyPatch, Meeting], None]


def alone(breaks: Callable[[pytest.MonkeyPatch], None]) -> Break:
    """A mutant that needs nobody to meet."""
    return lambda patch, _: breaks(patch)


MUTANTS: dict[str, tuple[Tell, Break, set[Rule]]] = {
    "select then update": (
        scenario.two_want_one_slot,
        alone(engine.selects_then_updates),
        {Rule.OVERLAP},
    ),
    "memory believed": (
        scenario.asked_again_by_others,
        alone(engine.believes_what_it_remembers),
        {Rule.OVERLAP, Rule.DAY},
    ),
    "versions not compared": (
        scenario.written_again_while_one_waits,
        alone(engine.compares_no_versions),
        {Rule.OVERLAP},
    ),
    "unsorted locks": (
        scenario.bundles_meet_crosswise,
        engine.locks_in_any_order,
        {Rule.DEADLOCK},
    ),
    "cancel twice": (
        scenario.cancelled_again_after_it_was_rebooked,
        alone(engine.cancels_twice),
        {Rule.STATE, Rule.RELEASE, Rule.DAY},
    ),
    "reply before commit": (
        scenario.one_is_slow,
        alone(engine.replies_before_it_commits),
        {Rule.EARLY},
    ),
    "buffers forgotten on release": (
        scenario.booked_and_cancelled,
        alone(engine.forgets_buffers_on_release),
        {Rule.RELEASE, Rule.DAY},
    ),
    "feed number taken before the locks": (
        scenario.one_is_slow,
        lambda patch, meeting: engine.takes_the_feed_number_first(patch, meeting.url),
        {Rule.FEED},
    ),
    "capacity forgotten": (
        scenario.more_chairs_than_there_are,
        alone(engine.forgets_how_many_there_are),
        {Rule.OVERLAP},
    ),
    "half a bundle": (
        scenario.a_bundle,
        alone(engine.takes_half_a_bundle),
        {Rule.PARTIAL, Rule.DAY},
    ),
    "neighbours refused": (
        scenario.back_to_back,
        alone(engine.refuses_what_is_next_door),
        {Rule.UNEXPLAINED},
    ),
    "request ids forgotten": (
        scenario.asked_twice,
        alone(engine.forgets_requests),
        {Rule.TWICE},
    ),
}
STORIES: dict[str, Tell] = {tell.__name__: tell for tell, _, _ in MUTANTS.values()}


async def told(
    scene: Scene, patch: pytest.MonkeyPatch, tell: Tell, breaks: Break | None = None
) -> list[Violation]:
    """What the checker says once a story is told."""
    meeting, gate = Meeting(scene.url), Gate()
    is_slow = tell is scenario.one_is_slow
    engine.waits_before_it_writes(patch, gate if is_slow else meeting)
    if breaks is not None:
        breaks(patch, meeting)
    impatient = make_conninfo(scene.url, options="-c deadlock_timeout=10ms")
    async with scene.recording(servers=2, url=impatient) as recorder:
        await tell(Story(scene, recorder, meeting, gate))
    return check(scene.history, read_tables(scene.url, scene.organization_id))


@pytest.mark.parametrize("tell", STORIES.values(), ids=STORIES)
async def test_the_real_engine_lives_through_every_story(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tell: Tell
) -> None:
    found = await told(scene, monkeypatch, tell)

    assert not found, report(found)
    assert not (await scene.verification()).difference_count


@pytest.mark.parametrize("tell", STORIES.values(), ids=STORIES)
async def test_the_real_engine_needs_no_memory_that_is_right(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tell: Tell
) -> None:
    found = await told(scene, monkeypatch, tell, alone(engine.remembers_every_day_as_free))

    assert not found, report(found)
    assert not (await scene.verification()).difference_count


@pytest.mark.parametrize(("tell", "breaks", "rules"), MUTANTS.values(), ids=MUTANTS)
async def test_a_mutant_is_caught_for_what_it_breaks(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tell: Tell, breaks: Break, rules: set[Rule]
) -> None:
    found = await told(scene, monkeypatch, tell, breaks)

    assert rules <= {violation.rule for violation in found}, report(found)


# Those whose damage stays in the tables, where an operator can find it without any history.
LASTING = ["cancel twice", "buffers forgotten on release", "half a bundle", "select then update"]


@pytest.mark.parametrize("name", LASTING)
async def test_lasting_damage_is_told_by_verify_inventory(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    tell, breaks, _ = MUTANTS[name]
    await told(scene, monkeypatch, tell, breaks)

    assert (await scene.verification()).difference_count == 1
