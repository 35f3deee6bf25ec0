"""Which windows may stand together."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain.schedule import (
    DateOverride,
    Schedule,
    TimeWindow,
    WeeklyWindow,
    date_violations,
    opening_hours,
    week_violations,
)
from shared.slots.schedule import Window
from shared.slots.zone import zone

quarters = st.integers(0, 96).map(lambda quarter: quarter * 15)
windows = st.builds(TimeWindow, quarters, quarters)


def fields(*given: WeeklyWindow) -> list[str]:
    return [violation.field for violation in week_violations("w", given)]


def on(day: int, start: int, end: int) -> WeeklyWindow:
    return WeeklyWindow(day, TimeWindow(start, end))


def test_windows_of_one_day_may_touch() -> None:
    assert fields(on(1, 0, 60), on(1, 60, 120), on(1, 120, 1440)) == []


def test_windows_of_different_days_do_not_meet() -> None:
    assert fields(on(1, 0, 120), on(2, 60, 180)) == []


def test_the_later_of_two_overlapping_windows_is_named_wherever_it_stands() -> None:
    assert fields(on(1, 60, 180), on(1, 0, 120)) == ["w[0].window"]


def test_a_window_inside_another_overlaps_it() -> None:
    assert fields(on(1, 0, 1440), on(1, 60, 120), on(1, 180, 240)) == ["w[1].window", "w[2].window"]


@pytest.mark.parametrize(("start", "end"), [(60, 60), (120, 60), (1440, 1440)])
def test_a_window_that_does_not_open_is_named(start: int, end: int) -> None:
    assert fields(on(1, start, end)) == ["w[0].window.end"]


def test_96_windows_a_day_are_the_most() -> None:
    assert fields(*[on(1, minute, minute + 15) for minute in range(0, 1440, 15)]) == []
    assert fields(*[on(1, 0, 15)] * 97) == ["w"]


@given(st.lists(windows, min_size=1, max_size=6))
def test_windows_are_accepted_exactly_when_no_minute_is_in_two(given: list[TimeWindow]) -> None:
    covered = [minute for window in given for minute in range(*window)]
    is_sound = all(start < end for start, end in given) and len(covered) == len(set(covered))

    assert (not list(date_violations("w", given, unavailable=False))) == is_sound


@given(st.lists(windows, max_size=6))
def test_what_is_accepted_is_a_schedule_to_the_slot_engine(given: list[TimeWindow]) -> None:
    weekly = [WeeklyWindow(3, window) for window in given]
    if not list(week_violations("w", weekly)):
        schedule = Schedule(
            schedule_id="s",
            name="S",
            time_zone="UTC",
            windows=tuple(sorted(weekly)),
            is_default=False,
        )

        assert opening_hours(schedule, ()).windows(date(2027, 3, 10)) == tuple(
            Window(*window) for window in sorted(given)
        )


def test_an_unavailable_date_has_no_windows() -> None:
    window = TimeWindow(0, 60)

    assert list(date_violations("w", [], unavailable=True)) == []
    assert [v.field for v in date_violations("w", [window], unavailable=True)] == ["w"]
    assert [v.field for v in date_violations("w", [], unavailable=False)] == ["w"]


def test_overrides_reach_the_slot_engine() -> None:
    schedule = Schedule(
        schedule_id="s",
        name="S",
        time_zone="Asia/Kathmandu",
        windows=(on(1, 0, 60), on(7, 60, 120)),
        is_default=False,
    )
    closed = DateOverride(date=date(2027, 3, 8), unavailable=True, windows=(), note="")

    hours = opening_hours(schedule, [closed])

    assert hours.zone is zone("Asia/Kathmandu")
    assert hours.windows(date(2027, 3, 8)) == ()
    assert hours.windows(date(2027, 3, 15)) == (Window(0, 60),)
    assert hours.windows(date(2027, 3, 14)) == (Window(60, 120),)
    assert hours.windows(date(2027, 3, 16)) == ()
