"""What a watcher of some days is told of changes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.presence.domain.change import HoldChange, HoldName, merged, told
from services.presence.domain.ending import EndReason
from services.presence.domain.hold import LiveHold
from shared.slots.quantum import Span

NAME, OTHER = HoldName("holder", ""), HoldName("holder", "other")
DAY = frozenset({100})
SINCE = datetime(2027, 3, 1, tzinfo=UTC)
INSIDE, LATER = Span(9_600, 9_604), Span(9_610, 9_612)
OUTSIDE, OVER_MIDNIGHT = Span(9_700, 9_704), Span(9_590, 9_601)


def live(span: Span, name: HoldName = NAME) -> LiveHold:
    return LiveHold(
        "room",
        *name,
        span,
        datetime(2027, 3, 9, tzinfo=UTC),
        is_overdue=False,
        units=1,
        acquired_at=SINCE,
    )


def change(before: Span | None, after: Span | None, name: HoldName = NAME) -> HoldChange:
    if after is None:
        return HoldChange(name, before, None, EndReason.LEFT)
    return HoldChange(name, before, live(after, name), None)


@pytest.mark.parametrize(
    ("before", "after", "holds", "ended"),
    [
        (None, INSIDE, 1, None),
        (INSIDE, LATER, 1, None),
        (OUTSIDE, INSIDE, 1, None),
        (None, OVER_MIDNIGHT, 1, None),
        (INSIDE, None, 0, EndReason.LEFT),
        (OVER_MIDNIGHT, None, 0, EndReason.LEFT),
        (INSIDE, OUTSIDE, 0, EndReason.MOVED),
        (None, OUTSIDE, 0, None),
        (OUTSIDE, None, 0, None),
        (OUTSIDE, OUTSIDE, 0, None),
    ],
)
def test_a_hold_is_there_where_it_touches_a_watched_day(
    before: Span | None, after: Span | None, holds: int, ended: EndReason | None
) -> None:
    found = told([change(before, after)], DAY)

    assert len(found.holds) == holds
    assert list(found.ended) == ([(NAME, ended)] if ended else [])


def test_changes_of_one_hold_merge_into_one() -> None:
    found = merged(
        [change(INSIDE, LATER), change(None, INSIDE, OTHER), change(LATER, None)],
    )

    assert found == [change(INSIDE, None), change(None, INSIDE, OTHER)]


def test_a_hold_taken_anew_is_a_swap_for_who_saw_only_the_first() -> None:
    found = merged([change(INSIDE, None), change(None, LATER)])

    assert found == [change(INSIDE, LATER)]


def test_a_hold_that_came_and_went_between_two_looks_is_not_told() -> None:
    found = told(merged([change(None, INSIDE), change(INSIDE, None)]), DAY)

    assert (found.holds, found.ended) == ([], [])
