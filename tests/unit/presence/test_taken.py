"""Which holds count against a booking, and what a hold takes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from services.presence.domain.hold import Buffers, Holder, HoldRule, LiveHold, Wanted
from services.presence.domain.taken import counted
from shared.slots.quantum import Span

BOOKING = Span(10, 20)
START = datetime(2027, 3, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# In the order of acquisition; "beside" is the booker's, and of other time.
HOLDS: Mapping[str, tuple[str, Span]] = {
    "beside": ("booker", Span(20, 30)),
    "first": ("ada", Span(0, 11)),
    "own": ("booker", Span(12, 13)),
    "second": ("ben", Span(19, 30)),
    "again": ("booker", Span(10, 20)),
    "third": ("ada", Span(10, 20)),
    "after": ("ben", Span(20, 30)),
}


def holds() -> list[LiveHold]:
    return [
        LiveHold("room", holder, name, span, START, is_overdue=False, units=1, acquired_at=acquired)
        for number, (name, (holder, span)) in enumerate(HOLDS.items())
        for acquired in [START + number * MINUTE]
    ]


@pytest.mark.parametrize(
    ("rule", "holder", "expected"),
    [
        (HoldRule.EXCLUSIVE, "booker", ["first", "second", "third"]),
        (HoldRule.EXCLUSIVE, None, ["first", "own", "second", "again", "third"]),
        (HoldRule.POOL, "booker", ["first"]),
        (HoldRule.POOL, "ada", []),
        (HoldRule.POOL, "ben", ["first", "own"]),
        (HoldRule.POOL, "nobody", ["first", "own", "second", "again", "third"]),
        (HoldRule.POOL, None, ["first", "own", "second", "again", "third"]),
        (HoldRule.ADVISORY, "booker", []),
        (HoldRule.ADVISORY, None, []),
    ],
)
def test_what_counts(rule: HoldRule, holder: str | None, expected: list[str]) -> None:
    booker = Holder("org", holder) if holder else None

    assert [hold.hold_id for hold in counted(rule, booker, BOOKING, holds())] == expected


@pytest.mark.parametrize(
    ("before", "after", "length", "expected"),
    [
        (0, 0, 60, (0, 4)),
        (15, 30, 60, (-1, 6)),
        (1, 1, 60, (-1, 5)),
        (0, 10, 50, (0, 4)),
        (1440, 1440, 31 * 1440, (-96, 31 * 96 + 96)),
    ],
)
def test_buffers_widen_a_hold_and_it_is_rounded_out(
    before: int, after: int, length: int, expected: tuple[int, int]
) -> None:
    first = int(START.timestamp()) // 900

    span = Wanted(START, length * MINUTE).span(Buffers(before * MINUTE, after * MINUTE))

    assert (span.first - first, span.stop - first) == expected
