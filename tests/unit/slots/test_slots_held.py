"""The rule of RESERVED and SLOT_HELD."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.slots.held import HeldUnits, held_short
from shared.slots.quantum import Span

SPAN: Final = Span(100, 106)

_quanta = st.integers(95, 110)
_units = st.integers(1, 4)
_holds = st.lists(
    st.builds(
        lambda first, length, units: HeldUnits(first, first + length, units),
        _quanta,
        st.integers(1, 12),
        _units,
    ),
    max_size=6,
)


@pytest.mark.parametrize(
    ("holds", "free", "wanted", "short"),
    [
        pytest.param([], 1, 1, [], id="nobody holds"),
        pytest.param([(103, 104, 1)], 1, 1, [103], id="a room"),
        pytest.param([(90, 100, 1), (106, 110, 1)], 1, 1, [], id="neighbours"),
        pytest.param([(90, 101, 1), (105, 110, 1)], 1, 1, [100, 105], id="both ends"),
        pytest.param([(100, 103, 1), (102, 106, 1)], 2, 1, [102], id="where two meet"),
        pytest.param([(100, 103, 2)], 4, 2, [], id="enough is left"),
        pytest.param([(100, 103, 2)], 4, 3, [100, 101, 102], id="too little is left"),
        pytest.param([(101, 103, 1)], {101: 2, 102: 1}, 1, [102], id="free units differ"),
        pytest.param([], {}, 1, [], id="taken is not held"),
    ],
)
def test_quanta_with_too_few_units(
    holds: list[tuple[int, int, int]], free: int | dict[int, int], wanted: int, short: list[int]
) -> None:
    assert held_short(SPAN, holds, free, wanted) == short


@given(_holds, st.dictionaries(st.integers(95, 125), st.integers(0, 6)), _units)
def test_is_the_rule_of_each_quantum(
    holds: list[HeldUnits], told: dict[int, int], wanted: int
) -> None:
    free = {quantum: told.get(quantum, 3) for quantum in range(SPAN.first, SPAN.stop)}

    found = held_short(SPAN, holds, free, wanted)

    held = {
        quantum: sum(hold.units for hold in holds if hold.first <= quantum < hold.stop)
        for quantum in free
    }
    assert found == [q for q in free if held[q] and free[q] - held[q] < wanted]
