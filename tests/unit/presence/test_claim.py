"""Which holds count against a booking, and how many units they are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.presence.domain.claim import Asked, Claim, Claims
from services.presence.domain.hold import HoldRule
from shared.slots.held import HeldUnits
from shared.slots.quantum import Span

ADVISORY, EXCLUSIVE, POOL = HoldRule.ADVISORY, HoldRule.EXCLUSIVE, HoldRule.POOL
BOOKING = Span(10, 20)
QUANTA = 12
# Several with one instant: a server of the version before wrote none.
_claims = st.lists(
    st.builds(
        lambda acquired, first, length, units, holder: Claim(
            acquired, first, first + length, units, holder
        ),
        st.integers(0, 9),
        st.integers(0, QUANTA - 1),
        st.integers(1, 6),
        st.integers(1, 3),
        st.sampled_from("abc"),
    ),
    max_size=9,
)
_asked = st.lists(
    st.builds(
        lambda holder, first, length: Asked(holder, Span(first, first + length)),
        st.sampled_from(["", "a", "b", "z"]),
        st.integers(0, QUANTA - 1),
        st.integers(1, QUANTA),
    ),
    max_size=4,
)

CLAIMS = Claims(
    [
        Claim(1, 20, 30, 1, "booker"),  # of other time
        Claim(2, 0, 11, 1, "ada"),
        Claim(3, 12, 13, 2, "booker"),
        Claim(4, 19, 30, 4, "ben"),
        Claim(5, 10, 16, 8, "booker"),
        Claim(6, 10, 20, 16, "ada"),
        Claim(7, 20, 30, 32, "ben"),
    ]
)


def counted(claims: Claims, rule: HoldRule, *asked: Asked) -> list[list[HeldUnits]]:
    return claims.counted(rule, asked)


@pytest.mark.parametrize(
    ("rule", "holder", "expected"),
    [
        (EXCLUSIVE, "booker", [(10, 11, 17), (11, 19, 16), (19, 20, 20)]),
        (EXCLUSIVE, "ada", [(10, 12, 8), (12, 13, 10), (13, 16, 8), (19, 20, 4)]),
        # In line till 16, where it holds; behind everybody after that.
        (POOL, "booker", [(10, 11, 1), (16, 19, 16), (19, 20, 20)]),
        (POOL, "ada", [(11, 12, 8), (12, 13, 10), (13, 16, 8), (19, 20, 4)]),
        (POOL, "", [(10, 11, 25), (11, 12, 24), (12, 13, 26), (13, 16, 24), (16, 19, 16),
                    (19, 20, 20)]),
        (ADVISORY, "booker", []),
        (ADVISORY, "", []),
    ],
)  # fmt: skip
def test_what_counts(rule: HoldRule, holder: str, expected: list[tuple[int, int, int]]) -> None:
    assert counted(CLAIMS, rule, Asked(holder, BOOKING)) == [expected]


@pytest.mark.parametrize("rule", [EXCLUSIVE, POOL])
@given(_claims, _asked)
def test_each_quantum_counts_by_itself(
    rule: HoldRule, claims: list[Claim], asked: list[Asked]
) -> None:
    found = counted(Claims(claims), rule, *asked)

    assert [units_by_quantum(runs) for runs in found] == [
        {
            quantum: units
            for quantum in range(one.span.first, one.span.stop)
            if (units := by_the_rule(rule, one.holder_id, quantum, claims))
        }
        for one in asked
    ]
    for runs in found:
        for before, after in pairwise(runs):
            assert before.stop < after.first or (
                before.stop == after.first and before.units != after.units
            )


@given(_claims, _asked)
def test_who_overlaps(claims: list[Claim], asked: list[Asked]) -> None:
    held = Claims(claims)

    for holder, span in asked:
        overlapping = [claim for claim in claims if Span(claim.first, claim.stop).overlaps(span)]
        assert held.overlap(span) is bool(overlapping)
        own = [claim for claim in overlapping if claim.holder_id == holder]
        assert held.own_overlap(holder, span) is bool(own)


def by_the_rule(rule: HoldRule, holder: str, quantum: int, claims: list[Claim]) -> int:
    covering = [claim for claim in claims if claim.first <= quantum < claim.stop]
    own = [claim.acquired for claim in covering if claim.holder_id == holder]
    others = [claim for claim in covering if claim.holder_id != holder]
    if rule is POOL and own:
        others = [claim for claim in others if claim.acquired < min(own)]
    return sum(claim.units for claim in others)


def units_by_quantum(runs: list[HeldUnits]) -> dict[int, int]:
    return {at: units for first, stop, units in runs for at in range(first, stop)}
