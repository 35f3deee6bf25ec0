"""Instants by the store's clock, never later than they were."""

from __future__ import annotations

import math

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

    assert clock.at(5, 5) == AHEAD + 5_000_000


def test_what_drift_may_have_changed_is_taken_off() -> None:
    clock = StoreClock()
    clock.learn(AHEAD + 5_000_000, 5)

    assert clock.at(7, 7) == AHEAD + 7_000_000 - 2 * 500
    # The reading may be of a clock that has drifted for as long since the instant.
    assert clock.at(4, 5) == AHEAD + 4_000_000 - 500


def test_the_reading_that_came_fastest_counts_for_a_minute() -> None:
    clock = StoreClock()
    clock.learn(AHEAD + 1_000_000, 1.001)
    clock.learn(AHEAD + 2_000_000, 2.5)
    clock.learn(AHEAD + 3_000_000, 3.1)

    assert clock.at(61, 61) == AHEAD + 61_000_000 - 1_000 - 60 * 500 + 0
    assert clock.at(62, 62) == AHEAD + 62_000_000 - 100_000 - 58_900 // 2
    assert clock.at(63.5, 63.5) is None


def test_a_reading_that_is_as_fast_but_for_drift_counts_instead() -> None:
    clock = StoreClock()
    clock.learn(AHEAD + 1_000_000, 1)
    clock.learn(AHEAD + 10_998_000, 11)

    assert clock.at(11, 11) == AHEAD + 10_998_000


def test_a_clock_that_was_set_back_is_believed_at_once() -> None:
    clock = StoreClock()
    clock.learn(AHEAD + 1_000_000, 1)
    clock.learn(AHEAD - 1_000_000, 2)

    assert clock.at(2, 2) == AHEAD - 1_000_000


def test_a_clock_that_was_set_forth_is_believed_at_once() -> None:
    clock = StoreClock()
    clock.learn(AHEAD + 1_000_000, 1)
    clock.learn(AHEAD + 60_000_000, 2)

    assert clock.at(2, 2) == AHEAD + 60_000_000


@given(_delays, st.floats(-10, 0), st.floats(-0.0005, 0.0005))
def test_an_instant_is_never_told_later_than_it_was(
    readings: list[tuple[float, float]], before: float, drift: float
) -> None:
    def truth(instant: float) -> float:
        return AHEAD + instant * (1 + drift) * 1_000_000

    clock, now = StoreClock(), 0.0
    for pause, delay in readings:
        read_at = now + pause
        now = read_at + delay
        clock.learn(math.floor(truth(read_at)), now)
        told = clock.at(now + before, now)

        assert told is not None
        # The truth is a float here, of a quarter of a microsecond.
        assert told <= truth(now + before) + 0.5
