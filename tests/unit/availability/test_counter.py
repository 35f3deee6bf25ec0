"""Bit planes count what lists of numbers count."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.availability.domain import counter
from services.availability.domain.counter import EVERY_QUANTUM, MOST_UNITS, Planes
from services.availability.domain.day_bytes import planes_from_bytes, planes_to_bytes

QUANTA = range(96)
MASKS = st.integers(min_value=0, max_value=EVERY_QUANTUM)
UNITS = st.one_of(
    st.integers(min_value=1, max_value=9), st.integers(min_value=1, max_value=MOST_UNITS)
)
CLAIMS = st.lists(st.tuples(MASKS, UNITS), max_size=6)


def counted(claims: Sequence[tuple[int, int]]) -> tuple[Planes, list[int]]:
    """Claims, counted in planes and one by one."""
    planes: Planes = ()
    plain = [0] * 96
    for mask, units in claims:
        planes = counter.add(planes, mask, units)
        plain = [count + units * (mask >> q & 1) for q, count in enumerate(plain)]
    return planes, plain


def bits(plain: Sequence[bool]) -> int:
    return sum(1 << q for q, holds in enumerate(plain) if holds)


@given(CLAIMS)
def test_what_is_added_is_counted_at_its_quanta_only(claims: list[tuple[int, int]]) -> None:
    planes, plain = counted(claims)

    assert counter.counts(planes) == plain


@given(CLAIMS, st.randoms(use_true_random=False))
def test_what_is_added_and_subtracted_in_any_order_leaves_nothing(
    claims: list[tuple[int, int]], random: Random
) -> None:
    planes, _ = counted(claims)
    gone = list(claims)
    random.shuffle(gone)

    for mask, units in gone:
        planes = counter.subtract(planes, mask, units)

    assert planes == ()


@given(CLAIMS, MASKS, UNITS)
def test_what_is_subtracted_is_never_less_than_nothing(
    claims: list[tuple[int, int]], mask: int, units: int
) -> None:
    planes, plain = counted(claims)

    found = counter.subtract(planes, mask, units)

    expected = [max(0, count - units * (mask >> q & 1)) for q, count in enumerate(plain)]
    assert counter.counts(found) == expected
    assert not found or found[-1]


@given(CLAIMS)
def test_one_count_is_written_in_one_way(claims: list[tuple[int, int]]) -> None:
    planes, plain = counted(claims)
    anew: Planes = ()
    for q, count in reversed(list(enumerate(plain))):
        anew = counter.add(anew, 1 << q, count) if count else anew

    assert planes == anew
    assert len(planes) == max(plain).bit_length()


@given(CLAIMS, st.integers(min_value=-3, max_value=2 * MOST_UNITS))
def test_reaching_is_at_least(claims: list[tuple[int, int]], units: int) -> None:
    planes, plain = counted(claims)

    assert counter.reaching(planes, units) == bits([count >= units for count in plain])


@given(CLAIMS, UNITS, UNITS)
def test_short_of_is_where_too_few_are_left(
    claims: list[tuple[int, int]], capacity: int, units: int
) -> None:
    planes, plain = counted(claims)

    found = counter.short_of(planes, capacity, units)

    assert found == bits([capacity - count < units for count in plain])


@given(CLAIMS, MASKS)
def test_most_is_the_highest_count_among_the_quanta_asked_for(
    claims: list[tuple[int, int]], mask: int
) -> None:
    planes, plain = counted(claims)

    found = counter.most(planes, mask)

    assert found == max((plain[q] for q in QUANTA if mask >> q & 1), default=0)


@given(CLAIMS, CLAIMS)
def test_differing_is_where_two_counts_differ(
    claims: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    planes, plain = counted(claims)
    other_planes, other_plain = counted(others)

    found = counter.differing(planes, other_planes)

    assert found == bits([plain[q] != other_plain[q] for q in QUANTA])


@given(CLAIMS)
def test_bytes_give_back_their_planes(claims: list[tuple[int, int]]) -> None:
    planes, _ = counted(claims)

    stored = planes_to_bytes(planes)

    assert len(stored) == 12 * len(planes)
    assert planes_from_bytes(stored) == planes


@pytest.mark.parametrize("units", [1, 2, 3, 7, 8, MOST_UNITS])
def test_every_number_of_units_is_full_at_itself_and_not_before(units: int) -> None:
    full = counter.add((), EVERY_QUANTUM, units)
    almost = counter.subtract(full, 1, 1)

    assert counter.reaching(full, units) == EVERY_QUANTUM
    assert counter.reaching(almost, units) == EVERY_QUANTUM & ~1
