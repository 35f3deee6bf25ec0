"""Windows, overrides, the grid of starts, and windows over midnight."""

from datetime import UTC, date, datetime, timedelta

import pytest

from shared.slots.engine import check
from shared.slots.opening import open_intervals
from shared.slots.quantum import instant
from shared.slots.refusal import NotOfferedStart, OutsideSchedule
from shared.slots.rule import BookingRules, ClosedHours
from shared.slots.schedule import InvalidWindow, Schedule, Window, default_schedule, resolve
from shared.slots.zone import UnknownZone, zone
from tests.slot_question import day_slots, days_needed, offered_starts

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONDAY = date(2026, 6, 1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ALWAYS = (Window(0, 1440),)


def daily(*pairs: tuple[int, int]) -> Schedule:
    return Schedule(zone("UTC"), dict.fromkeys(range(1, 8), tuple(Window(*p) for p in pairs)))


def every(minutes: int, *durations: timedelta) -> BookingRules:
    return BookingRules(durations=durations, interval=minutes * MINUTE)


def times(schedule: Schedule, rules: BookingRules, day: date, duration: timedelta) -> list[str]:
    found = offered_starts(schedule, rules, day, duration)
    return [instant(start).strftime("%H:%M") for start in found]


@pytest.mark.parametrize(
    ("start", "end"),
    [(-15, 60), (0, 0), (60, 45), (0, 1455), (7, 60), (0, 50), (1440, 1440)],
)
def test_a_window_off_the_day_or_the_grid_is_refused(start: int, end: int) -> None:
    with pytest.raises(InvalidWindow):
        Window(start, end)


@pytest.mark.parametrize(
    "windows",
    [
        (Window(0, 60), Window(45, 90)),
        (Window(120, 180), Window(0, 60)),
        (Window(0, 60), Window(0, 60)),
        (Window(0, 1440), Window(600, 615)),
    ],
    ids=["overlapping", "unsorted", "twice", "inside"],
)
def test_windows_of_a_date_must_be_sorted_and_apart(windows: tuple[Window, ...]) -> None:
    with pytest.raises(InvalidWindow):
        Schedule(zone("UTC"), {1: windows})
    with pytest.raises(InvalidWindow):
        Schedule(zone("UTC"), {}, {MONDAY: windows})


@pytest.mark.parametrize("weekday", [0, 8, -1])
def test_a_weekday_outside_monday_to_sunday_is_refused(weekday: int) -> None:
    with pytest.raises(InvalidWindow):
        Schedule(zone("UTC"), {weekday: ALWAYS})


def test_a_schedule_keeps_its_own_copy_and_cannot_be_changed() -> None:
    weekly = {1: ALWAYS}
    schedule = Schedule(zone("UTC"), weekly)

    weekly[2] = ALWAYS

    assert schedule.windows(MONDAY + DAY) == ()
    with pytest.raises(TypeError):
        schedule.weekly[2] = ALWAYS  # type: ignore[index]  # the point of the test


def test_schedules_are_equal_when_they_open_the_same_quarter_hours() -> None:
    one = daily((540, 720), (720, 1020))

    assert one == daily((540, 1020))
    assert hash(one) == hash(daily((540, 1020)))
    assert one != daily((540, 1005))
    assert one != Schedule(zone("Europe/Paris"), daily((540, 1020)).weekly)
    assert one != Schedule(zone("UTC"), one.weekly, {MONDAY: ()})


def test_an_override_replaces_the_windows_of_its_date_only() -> None:
    schedule = Schedule(
        zone("UTC"),
        {1: (Window(540, 1020),), 2: (Window(540, 1020),)},
        {MONDAY: (Window(60, 120),), MONDAY + DAY: ()},
    )

    assert times(schedule, every(60, HOUR), MONDAY, HOUR) == ["01:00"]
    assert times(schedule, every(60, HOUR), MONDAY + DAY, HOUR) == []
    assert len(times(schedule, every(60, HOUR), MONDAY + 7 * DAY, HOUR)) == 8
    assert schedule.windows(MONDAY) == (Window(60, 120),)
    assert schedule.windows(MONDAY + DAY) == ()
    assert schedule.windows(MONDAY + 7 * DAY) == (Window(540, 1020),)


def test_the_29th_of_february_can_be_overridden() -> None:
    leap_day = date(2028, 2, 29)
    schedule = Schedule(zone("UTC"), {}, {leap_day: (Window(0, 60),)})

    assert times(schedule, every(60, HOUR), leap_day, HOUR) == ["00:00"]
    assert times(schedule, every(60, HOUR), date(2028, 3, 1), HOUR) == []


def test_the_default_schedule_is_nine_to_five_every_day() -> None:
    schedule = default_schedule("Asia/Tokyo")

    hours = open_intervals(schedule, MONDAY, MONDAY + 6 * DAY)

    midnight = datetime(2026, 6, 1, tzinfo=UTC)
    assert hours == [(midnight + n * DAY, midnight + n * DAY + 8 * HOUR) for n in range(7)]


def test_the_first_schedule_that_exists_wins() -> None:
    first, second, third = daily((0, 60)), daily((0, 75)), daily((0, 90))

    assert resolve(first, second, third, "UTC") is first
    assert resolve(None, second, third, "UTC") is second
    assert resolve(None, None, third, "UTC") is third
    assert resolve(None, None, None, "Asia/Tokyo") == default_schedule("Asia/Tokyo")
    with pytest.raises(UnknownZone):
        resolve(None, None, None, "Mars/Olympus")


def test_the_grid_starts_with_each_window() -> None:
    schedule = daily((540, 615), (675, 780))

    assert times(schedule, every(30, 30 * MINUTE), MONDAY, 30 * MINUTE) == [
        *("09:00", "09:30", "11:15", "11:45", "12:15")
    ]


def test_touching_windows_of_a_date_are_one_window() -> None:
    schedule = daily((540, 615), (615, 780))

    assert times(schedule, every(60, 2 * HOUR), MONDAY, 2 * HOUR) == ["09:00", "10:00", "11:00"]


def test_an_interval_longer_than_the_rest_of_a_window_ends_its_grid() -> None:
    schedule = daily((540, 600), (660, 840))

    assert times(schedule, every(45, 15 * MINUTE), MONDAY, 15 * MINUTE) == [
        *("09:00", "09:45", "11:00", "11:45", "12:30", "13:15")
    ]
    assert times(schedule, every(1500, 15 * MINUTE), MONDAY, 15 * MINUTE) == ["09:00", "11:00"]


def test_the_interval_is_by_default_the_shortest_length_rounded_up() -> None:
    rules = BookingRules(durations=(50 * MINUTE, 2 * HOUR))

    assert times(daily((540, 780)), rules, MONDAY, 50 * MINUTE) == [
        *("09:00", "10:00", "11:00", "12:00")
    ]


def test_a_length_between_quarter_hours_must_fit_to_the_minute_it_ends() -> None:
    rules = every(15, 50 * MINUTE)

    assert times(daily((540, 600)), rules, MONDAY, 50 * MINUTE) == ["09:00"]
    assert times(daily((540, 585)), rules, MONDAY, 50 * MINUTE) == []


def test_windows_over_midnight_join_for_fitting() -> None:
    schedule = daily((0, 120), (1380, 1440))
    rules = every(30, HOUR, 3 * HOUR)

    assert times(schedule, rules, MONDAY, HOUR) == ["00:00", "00:30", "01:00", "23:00", "23:30"]
    assert times(schedule, rules, MONDAY, 3 * HOUR) == ["23:00"]


def test_the_grid_begins_anew_after_midnight() -> None:
    schedule = daily((0, 120), (1365, 1440))

    assert times(schedule, every(60, HOUR), MONDAY, HOUR) == ["00:00", "01:00", "22:45", "23:45"]


def test_the_last_window_does_not_join_a_closed_tomorrow() -> None:
    schedule = Schedule(zone("UTC"), {1: (Window(1380, 1440),)})
    rules = every(30, 30 * MINUTE, HOUR)

    assert times(schedule, rules, MONDAY, HOUR) == ["23:00"]
    assert times(schedule, rules, MONDAY, 30 * MINUTE) == ["23:00", "23:30"]


def test_around_the_clock_has_a_grid_from_midnight_and_no_limit_of_length() -> None:
    rules = every(420, 31 * DAY)

    assert times(daily((0, 1440)), rules, MONDAY, 31 * DAY) == ["00:00", "07:00", "14:00", "21:00"]


def test_one_closed_date_on_the_way_refuses_a_long_booking() -> None:
    schedule = Schedule(
        zone("UTC"), dict.fromkeys(range(1, 8), ALWAYS), {MONDAY + 20 * DAY: (Window(0, 1425),)}
    )
    rules = every(1440, 20 * DAY, 21 * DAY, 31 * DAY)

    assert times(schedule, rules, MONDAY, 20 * DAY) == ["00:00"]
    assert times(schedule, rules, MONDAY, 21 * DAY) == []
    assert times(schedule, rules, MONDAY + 21 * DAY, 31 * DAY) == ["00:00"]


def test_open_at_ends_reaches_over_closed_hours() -> None:
    schedule = daily((540, 1020))
    rules = BookingRules(
        durations=(20 * HOUR,), interval=HOUR, closed_hours=ClosedHours.OPEN_AT_ENDS
    )

    # Ends from 09:00, which is not before open, to 17:00, which is still at close.
    assert times(schedule, rules, MONDAY, 20 * HOUR) == ["13:00", "14:00", "15:00", "16:00"]
    with pytest.raises(OutsideSchedule):
        check(schedule, rules, datetime(2026, 6, 1, 12, tzinfo=UTC), 20 * HOUR, LONG_AGO)
    with pytest.raises(OutsideSchedule):
        check(schedule, rules, datetime(2026, 6, 1, 17, tzinfo=UTC), 20 * HOUR, LONG_AGO)
    with pytest.raises(NotOfferedStart):
        check(schedule, rules, datetime(2026, 6, 1, 13, 15, tzinfo=UTC), 20 * HOUR, LONG_AGO)


def test_open_at_ends_counts_the_close_itself_but_nothing_after_it() -> None:
    lengths = (24 * HOUR - 1 * MINUTE, 24 * HOUR, 24 * HOUR + 1 * MINUTE)
    rules = BookingRules(durations=lengths, interval=HOUR, closed_hours=ClosedHours.OPEN_AT_ENDS)
    schedule = Schedule(zone("UTC"), {1: (Window(1020, 1080),), 2: (Window(960, 1020),)})

    assert [times(schedule, rules, MONDAY, length) for length in lengths] == [
        *(["17:00"], ["17:00"], [])
    ]


def test_buffers_may_lie_outside_opening_hours_and_widen_what_is_read() -> None:
    rules = BookingRules(durations=(8 * HOUR,), buffer_before=10 * HOUR, buffer_after=8 * HOUR)
    schedule = daily((540, 1020))

    found = day_slots(schedule, rules, MONDAY, 8 * HOUR, LONG_AGO, {})

    assert [slot.start.hour for slot in found] == [9]
    needed = days_needed(schedule, rules, MONDAY, MONDAY, 8 * HOUR)
    first = found[0].quantum // 96
    assert needed == range(first - 1, first + 2)


def test_no_days_are_needed_where_nothing_starts() -> None:
    schedule = Schedule(zone("UTC"), {2: ALWAYS})

    assert days_needed(schedule, every(15, HOUR), MONDAY, MONDAY, HOUR) == range(0)
