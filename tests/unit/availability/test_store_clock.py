"""Instants by the store's clock, never later than they were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.availability.upstream.store_clock import StoreClock

# What the store's clock says when ours says 0.
AHEAD = 1_800_000_000_000_000

_delays = st.lists(st.tuples(st.floats(0, 30), st.floats(0, 5)), min_size=1, max_size=30)


def test_nothing_is_told_before_a_reading() -> None:
    assert StoreClock().at(0, 0) is None


def test_a_reading_that_came_at_once_tells_the_truth() -> None:
    clock = StoreClock()
    clock.learn(AHEAD + 5_000_000, 5)

    assert clock.at(4.5, 6) == AHEAD + 4_500_000


def test_the_reading_that_came_fastest_counts_for_a_minute() -> None:
    clock = StoreClock()
    clock.learn(AHEAD + 1_000_000, 1.001)
    clock.learn(AHEAD + 2_000_000, 2.5)
    clock.learn(AHEAD + 3_000_000, 3.1)

    assert clock.at(10, 61) == AHEAD + 9_999_000
    assert clock.at(10, 62) == AHEAD + 9_900_000
    assert clock.at(10, 63.5) is None


@given(_delays, st.floats(-10, 0))
def test_an_instant_is_never_told_later_than_it_was(
    readings: list[tuple[float, float]], before: float
) -> None:
    clock, now = StoreClock(), 0.0
    for pause, delay in readings:
        read_at = now + pause
        now = read_at + delay
        clock.learn(AHEAD + int(read_at * 1_000_000), now)
        told = clock.at(now + before, now)

        assert told is not None
        assert told <= AHEAD + (now + before) * 1_000_000
