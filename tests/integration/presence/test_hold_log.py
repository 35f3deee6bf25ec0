"""What the log says of holds: every change once, in order, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import redis

from services.presence.domain.change import HoldChange, HoldName
from services.presence.domain.ending import EndReason
from services.presence.domain.hold import HoldKey, ResourceName, holder_of
from services.presence.domain.refusal import SlotHeld
from services.presence.domain.wish import Action, Ended, Keep, Kept, Leave, Left, Unjudged
from services.presence.storage.hold import RedisHolds
from services.presence.storage.layout import log_key, partition
from services.presence.storage.log import RedisHoldLog
from shared.slots.quantum import Span
from tests.integration.presence.conftest import (
    ADVISORY,
    EXCLUSIVE,
    MakeHolds,
    MakeLog,
    keep,
    until,
    until_dead,
)

SHORT = timedelta(milliseconds=50)
SPAN, ELSEWHERE = Span(2_000_000, 2_000_004), Span(2_000_100, 2_000_104)
STUDIO = ResourceName("org", "studio-a")
HOLDER = holder_of("org", "a-session-of-22-letters")
RIVAL = holder_of("org", "another-session-of-many")
OURS = HoldKey(HOLDER, "studio-a", "")
SECOND = HoldKey(HOLDER, "studio-a", "second")
THEIRS = HoldKey(RIVAL, "studio-a", "")


async def changes(log: RedisHoldLog, after: int = 0) -> list[HoldChange]:
    found = (await log.since({STUDIO: after}))[STUDIO].changes
    assert found is not None
    return list(found)


async def told(log: RedisHoldLog, after: int = 0) -> list[str]:
    """The changes as "ours 2000000": which hold, and where it is or why it is gone."""
    names = {
        HoldName(HOLDER.holder_id, ""): "ours",
        HoldName(HOLDER.holder_id, "second"): "second",
        HoldName(RIVAL.holder_id, ""): "theirs",
    }
    return [f"{names[change.name]} {_now(change)}" for change in await changes(log, after)]


def _now(change: HoldChange) -> str:
    if change.after is None:
        assert change.reason is not None
        return change.reason.name
    return f"{change.after.span.first}{' overdue' if change.after.is_overdue else ''}"


async def revision(log: RedisHoldLog) -> int:
    return (await log.positions([log.scope(STUDIO)]))[log.scope(STUDIO)].revision


async def test_a_hold_is_told_from_its_beginning_to_its_end(
    holds: RedisHolds, log: RedisHoldLog
) -> None:
    expires_at = await keep(holds, OURS, SPAN)
    await keep(holds, OURS, ELSEWHERE)
    await holds.release(HOLDER, "studio-a", "")

    first, second, third = await changes(log)
    assert (first.before, first.reason) == (None, None)
    assert first.after is not None
    assert (first.after.span, first.after.expires_at) == (SPAN, expires_at)
    assert second.before == SPAN
    assert second.after is not None
    assert second.after.span == ELSEWHERE
    assert (third.before, third.after, third.reason) == (ELSEWHERE, None, EndReason.LEFT)


async def test_a_renewal_writes_nothing_into_the_log(holds: RedisHolds, log: RedisHoldLog) -> None:
    await keep(holds, OURS, SPAN)

    for rule in (EXCLUSIVE, ADVISORY, None):
        await keep(holds, OURS, SPAN, rule)

    assert await revision(log) == 1
    assert len(await changes(log)) == 1


async def test_a_refusal_writes_nothing_into_the_log(holds: RedisHolds, log: RedisHoldLog) -> None:
    await keep(holds, OURS, SPAN)

    with pytest.raises(SlotHeld):
        await keep(holds, THEIRS, SPAN)

    assert await revision(log) == 1


async def test_what_one_call_changes_of_a_resource_is_one_revision(
    holds: RedisHolds, log: RedisHoldLog
) -> None:
    await keep(holds, OURS, SPAN)

    await holds.fulfil(
        [
            Leave(OURS),
            Keep(SECOND, SPAN, Action.ACQUIRE, EXCLUSIVE),
            Keep(THEIRS, ELSEWHERE, Action.ACQUIRE, EXCLUSIVE),
        ]
    )

    assert await revision(log) == 2
    assert await told(log, 1) == ["ours LEFT", f"second {SPAN.first}", f"theirs {ELSEWHERE.first}"]


async def test_resources_of_one_call_get_a_revision_each(
    holds: RedisHolds, log: RedisHoldLog
) -> None:
    together = [
        name
        for name in (ResourceName("org", f"room-{number}") for number in range(1_000))
        if partition(name) == partition(STUDIO)
    ][:3]

    await holds.fulfil(
        [
            Keep(HoldKey(HOLDER, name.resource_id, hold_id), SPAN, Action.ACQUIRE, ADVISORY)
            for name in together
            for hold_id in ("one", "other")
        ]
    )

    assert await revision(log) == len(together) == 3
    found = await log.since(dict.fromkeys(together, 0))
    assert [len(found[name].changes or ()) for name in together] == [2, 2, 2]


async def test_a_hold_taken_and_left_in_one_call_never_was(
    holds: RedisHolds, log: RedisHoldLog
) -> None:
    verdicts = await holds.fulfil([Keep(OURS, SPAN, Action.ACQUIRE, EXCLUSIVE), Leave(OURS)])

    assert isinstance(verdicts[0], Kept)
    assert verdicts[1] == Left(was_live=True)
    assert await revision(log) == 0


async def test_a_dead_hold_met_on_the_way_is_told_as_expired(
    make_holds: MakeHolds, log: RedisHoldLog
) -> None:
    short = make_holds(timeout=SHORT)
    await keep(short, OURS, SPAN)
    await until_dead(short)

    await keep(make_holds(), THEIRS, SPAN)

    assert await told(log, 1) == ["ours EXPIRED", f"theirs {SPAN.first}"]
    assert await revision(log) == 2


async def test_a_dead_hold_met_by_a_refused_call_is_told_as_expired(
    make_holds: MakeHolds, log: RedisHoldLog
) -> None:
    short = make_holds(timeout=SHORT)
    await keep(short, SECOND, ELSEWHERE)
    await keep(make_holds(), THEIRS, SPAN)
    await until_dead(short, span=ELSEWHERE)

    with pytest.raises(SlotHeld):
        await keep(make_holds(), OURS, SPAN)

    assert await told(log, 2) == ["second EXPIRED"]


async def test_a_dead_hold_that_is_left_has_expired(
    make_holds: MakeHolds, log: RedisHoldLog
) -> None:
    short = make_holds(timeout=SHORT)
    await keep(short, OURS, SPAN)
    await until_dead(short)

    assert await short.release(HOLDER, "studio-a", "") == 0

    assert await told(log, 1) == ["ours EXPIRED"]


async def test_a_snapshot_has_no_dead_hold_and_tells_its_end(
    make_holds: MakeHolds, log: RedisHoldLog
) -> None:
    short = make_holds(timeout=SHORT)
    await keep(short, OURS, SPAN)
    await until_dead(short)

    snapshot = (await log.snapshot([STUDIO]))[STUDIO]

    assert (snapshot.holds, snapshot.revision) == ([], 2)
    assert await told(log, 1) == ["ours EXPIRED"]


async def test_a_dead_hold_that_its_holder_takes_again_is_one_change(
    make_holds: MakeHolds, log: RedisHoldLog
) -> None:
    short = make_holds(timeout=SHORT)
    await keep(short, OURS, SPAN)
    await until_dead(short)

    await keep(make_holds(), OURS, ELSEWHERE)

    (change,) = await changes(log, 1)
    assert change.before == SPAN
    assert change.after is not None
    assert change.after.span == ELSEWHERE


async def test_several_sweeps_tell_each_end_once(make_holds: MakeHolds, make_log: MakeLog) -> None:
    short, log = make_holds(timeout=SHORT), make_log(timeout=SHORT)
    rooms = [f"room-{number}" for number in range(50)]
    for room in rooms:
        await keep(short, HoldKey(HOLDER, room, ""), SPAN)
    await until_dead(short, *rooms)

    await asyncio.gather(*(make_log(timeout=SHORT).sweep() for _ in range(4)))

    found = await log.since({ResourceName("org", room): 0 for room in rooms})
    ends = [
        [change.reason for change in history.changes or () if change.after is None]
        for history in found.values()
    ]
    assert ends == [[EndReason.EXPIRED]] * len(rooms)


async def test_a_sweep_leaves_live_holds_alone(
    holds: RedisHolds, log: RedisHoldLog, store: redis.Redis
) -> None:
    await keep(holds, OURS, SPAN)
    before = {key: store.dump(key) for key in store.scan_iter()}

    await log.sweep()

    assert {key: store.dump(key) for key in store.scan_iter()} == before


async def test_a_sweep_sees_to_more_holds_than_one_call_may(
    make_holds: MakeHolds, make_log: MakeLog, store: redis.Redis
) -> None:
    short = make_holds(timeout=SHORT, limit=2_000)
    await short.fulfil(
        [
            Keep(HoldKey(HOLDER, "studio-a", f"hold-{n}"), SPAN, Action.ACQUIRE, ADVISORY)
            for n in range(1_200)
        ]
    )
    await until_dead(short)

    await make_log(timeout=SHORT).sweep()

    assert list(store.scan_iter(match="*:holds:*")) == []


async def test_a_hold_without_heartbeats_is_overdue_before_it_ends(
    make_holds: MakeHolds, make_log: MakeLog
) -> None:
    timeout = timedelta(seconds=1)
    holds, log = make_holds(timeout=timeout), make_log(timeout=timeout)
    await keep(holds, OURS, SPAN)

    async def is_over() -> bool:
        await log.sweep()
        return len(await changes(log)) == 3

    await until(is_over)

    assert await told(log) == [
        f"ours {SPAN.first}",
        f"ours {SPAN.first} overdue",
        "ours EXPIRED",
    ]


async def test_a_heartbeat_that_comes_late_is_a_change_once(
    make_holds: MakeHolds, make_log: MakeLog
) -> None:
    # Overdue at once, on the terms of this sweep, and far from its end.
    log = make_log(timeout=timedelta(seconds=60))
    holds = make_holds()
    await keep(holds, OURS, SPAN)
    await _until_overdue(holds, log)

    expires_at = await keep(holds, OURS, SPAN, None)
    await keep(holds, OURS, SPAN, None)

    late = (await changes(log))[-1]
    assert late.after is not None
    assert (late.after.is_overdue, late.after.expires_at) == (False, expires_at)
    assert len(await changes(log)) == 3


async def test_a_hold_is_marked_overdue_once(make_holds: MakeHolds, make_log: MakeLog) -> None:
    log, holds = make_log(timeout=timedelta(seconds=60)), make_holds()
    await keep(holds, OURS, SPAN)
    await _until_overdue(holds, log)

    for _ in range(3):
        await log.sweep()

    assert len(await changes(log)) == 2


async def _until_overdue(holds: RedisHolds, log: RedisHoldLog) -> None:
    async def is_overdue() -> bool:
        await log.sweep()
        return (await holds.live("org", ["studio-a"], SPAN))[0].is_overdue

    await until(is_overdue)


async def test_what_was_left_is_not_renewed_but_can_be_acquired(
    holds: RedisHolds, log: RedisHoldLog
) -> None:
    await keep(holds, OURS, SPAN)
    await holds.release(HOLDER, "studio-a", None)
    renewal = Keep(OURS, SPAN, Action.RENEW, EXCLUSIVE)

    renewed = await holds.fulfil([renewal])
    await keep(holds, OURS, SPAN)
    again = await holds.fulfil([renewal])

    assert renewed == [Ended(EndReason.LEFT)]
    assert isinstance(again[0], Kept)
    assert await told(log, 1) == ["ours LEFT", f"ours {SPAN.first}"]


async def test_a_hold_that_expired_is_judged_anew_by_a_renewal(
    make_holds: MakeHolds, make_log: MakeLog
) -> None:
    short = make_holds(timeout=SHORT)
    await keep(short, OURS, SPAN)
    await until_dead(short)
    await make_log().sweep()

    unjudged = await short.fulfil([Keep(OURS, SPAN, Action.RENEW, None)])
    judged = await make_holds().fulfil([Keep(OURS, SPAN, Action.RENEW, EXCLUSIVE)])

    assert unjudged == [Unjudged()]
    assert isinstance(judged[0], Kept)


async def test_a_tombstone_of_a_hold_taken_again_says_nothing_of_its_next_end(
    make_holds: MakeHolds,
) -> None:
    short = make_holds(timeout=SHORT)
    await keep(make_holds(), OURS, SPAN)
    await make_holds().release(HOLDER, "studio-a", "")
    await keep(short, OURS, SPAN)
    await until_dead(short)

    judged = await make_holds().fulfil([Keep(OURS, SPAN, Action.RENEW, EXCLUSIVE)])

    assert isinstance(judged[0], Kept)


async def test_revisions_have_no_gap(
    holds: RedisHolds, log: RedisHoldLog, store: redis.Redis
) -> None:
    for number in range(20):
        await keep(holds, OURS, Span(number + 1_000, number + 1_001))
    await log.sweep()
    await holds.release_all(HOLDER)

    entries: Any = store.xrange(log_key(log.scope(STUDIO)))
    numbers = [int(number.partition(b"-")[0]) for number, _ in entries]
    assert numbers[0] == 1
    assert all(after == before + 1 for before, after in pairwise(numbers))


async def test_a_log_past_its_length_says_that_it_does_not_reach_back(
    make_holds: MakeHolds, log: RedisHoldLog, store: redis.Redis
) -> None:
    holds = make_holds(log_length=100)
    for number in range(1_000):
        await keep(holds, OURS, Span(number + 1_000, number + 1_001))

    length = int(str(store.xlen(log_key(log.scope(STUDIO)))))
    first = await log.since({STUDIO: 0})
    edge = await log.since({STUDIO: 1_000 - length})
    past = await log.since({STUDIO: 999 - length})

    assert 100 <= length < 500
    assert first[STUDIO].changes is None
    assert len(edge[STUDIO].changes or ()) == length
    assert past[STUDIO].changes is None


async def test_resources_are_told_their_own_changes_from_their_own_revision(
    holds: RedisHolds, log: RedisHoldLog
) -> None:
    twin = next(
        name
        for name in (ResourceName("org", f"room-{number}") for number in range(1_000))
        if partition(name) == partition(STUDIO)
    )
    await keep(holds, OURS, SPAN)
    await keep(holds, HoldKey(HOLDER, twin.resource_id, ""), SPAN)
    await keep(holds, OURS, ELSEWHERE)
    await keep(holds, HoldKey(HOLDER, twin.resource_id, ""), ELSEWHERE)

    found = await log.since({STUDIO: 1, twin: 4})

    assert [change.before for change in found[STUDIO].changes or ()] == [SPAN]
    assert found[twin].changes == []
    assert {history.revision for history in found.values()} == {4}


async def test_a_snapshot_says_where_it_stands(holds: RedisHolds, log: RedisHoldLog) -> None:
    await keep(holds, OURS, SPAN)
    snapshot = (await log.snapshot([STUDIO]))[STUDIO]
    await keep(holds, THEIRS, ELSEWHERE)

    assert [(hold.hold_id, hold.span) for hold in snapshot.holds] == [("", SPAN)]
    assert await told(log, snapshot.revision) == [f"theirs {ELSEWHERE.first}"]
