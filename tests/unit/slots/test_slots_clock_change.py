"""Named clock changes, spelt out in local times."""

from datetime import UTC, date, datetime, timedelta

import pytest

from shared.slots.engine import check
from shared.slots.opening import open_intervals
from shared.slots.quantum import instant, number
from shared.slots.refusal import NotOfferedStart, OutsideSchedule
from shared.slots.rule import BookingRules, ClosedHours
from shared.slots.schedule import Schedule, Window
from shared.slots.zone import zone
from tests.slot_question import day_slots, offered_starts

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)


def every_day(zone_name: str, *pairs: tuple[int, int]) -> Schedule:
    """Windows in minutes, the same every day."""
    return Schedule(zone(zone_name), dict.fromkeys(range(1, 8), tuple(Window(*p) for p in pairs)))


def every(minutes: int, *durations: timedelta) -> BookingRules:
    return BookingRules(durations=durations, interval=minutes * MINUTE)


def local_starts(
    schedule: Schedule, rules: BookingRules, day: date, duration: timedelta
) -> list[str]:
    """Offered starts as local wall times with their offset."""
    return [
        instant(start).astimezone(schedule.zone).strftime("%H:%M%z")
        for start in offered_starts(schedule, rules, day, duration)
    ]


@pytest.mark.parametrize(
    ("zone_name", "day", "minutes", "expected"),
    [
        (
            *("Europe/Paris", date(2026, 3, 29), 30),
            ["01:00+0100", "01:30+0100", "03:00+0200", "03:30+0200"],
        ),
        (
            *("Europe/Paris", date(2026, 10, 25), 60),
            ["01:00+0200", "02:00+0200", "03:00+0100"],
        ),
        (
            *("Australia/Sydney", date(2026, 10, 4), 60),
            ["01:00+1000", "03:00+1100"],
        ),
        (
            *("Australia/Sydney", date(2026, 4, 5), 60),
            ["01:00+1100", "02:00+1100", "03:00+1000"],
        ),
        (
            *("Australia/Lord_Howe", date(2026, 10, 4), 15),
            [
                *("01:00+1030", "01:15+1030", "01:30+1030", "01:45+1030"),
                *("02:30+1100", "02:45+1100", "03:00+1100", "03:15+1100"),
                *("03:30+1100", "03:45+1100"),
            ],
        ),
        (
            *("Australia/Lord_Howe", date(2026, 4, 5), 30),
            ["01:00+1100", "01:30+1100", "02:00+1030", "02:30+1030", "03:00+1030", "03:30+1030"],
        ),
        (
            *("Pacific/Chatham", date(2026, 9, 27), 45),
            ["01:00+1245", "01:45+1245", "02:30+1245"],
        ),
        (
            *("Asia/Kathmandu", date(2026, 3, 29), 60),
            ["01:00+0545", "02:00+0545", "03:00+0545"],
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, str | date) else "",
)
def test_starts_step_by_the_wall_clock_over_a_change(
    zone_name: str, day: date, minutes: int, expected: list[str]
) -> None:
    schedule = every_day(zone_name, (60, 240))

    found = local_starts(schedule, every(minutes, 15 * MINUTE), day, 15 * MINUTE)

    assert found == expected


def test_chatham_changes_its_clock_at_a_quarter_to_three() -> None:
    schedule = every_day("Pacific/Chatham", (120, 300))

    found = local_starts(schedule, every(15, HOUR), date(2026, 9, 27), HOUR)

    assert found[:4] == ["02:00+1245", "02:15+1245", "02:30+1245", "03:45+1345"]
    assert found[-1] == "04:00+1345"


def test_a_repeated_hour_is_open_twice_and_offered_once() -> None:
    schedule = every_day("Europe/Paris", (120, 180))
    day = date(2026, 10, 25)

    hours = open_intervals(schedule, day, day)

    assert hours == [
        (datetime(2026, 10, 25, 0, 0, tzinfo=UTC), datetime(2026, 10, 25, 2, 0, tzinfo=UTC))
    ]
    assert local_starts(schedule, every(60, HOUR), day, HOUR) == ["02:00+0200"]
    with pytest.raises(NotOfferedStart):
        check(schedule, every(60, HOUR), datetime(2026, 10, 25, 1, tzinfo=UTC), HOUR, LONG_AGO)


def test_a_repeated_hour_does_not_make_a_longer_booking_fit() -> None:
    """By length 02:00 to 04:00 leaves the window, though every quarter hour reads as inside."""
    schedule = every_day("Europe/Paris", (120, 180))
    rules = every(60, HOUR, 2 * HOUR)

    found = offered_starts(schedule, rules, date(2026, 10, 25), 2 * HOUR)

    assert found == []
    with pytest.raises(OutsideSchedule):
        check(schedule, rules, datetime(2026, 10, 25, 0, tzinfo=UTC), 2 * HOUR, LONG_AGO)


def test_a_skipped_hour_does_not_make_a_longer_booking_fit() -> None:
    """By length 01:00 to 05:00 fits, but the last elapsed hour reads 05:00."""
    schedule = every_day("Europe/Paris", (60, 300))
    rules = every(60, 3 * HOUR, 4 * HOUR)

    assert local_starts(schedule, rules, date(2026, 3, 29), 4 * HOUR) == []
    assert local_starts(schedule, rules, date(2026, 3, 29), 3 * HOUR) == ["01:00+0100"]
    assert local_starts(schedule, rules, date(2026, 3, 30), 4 * HOUR) == ["01:00+0200"]


def test_a_change_between_the_last_start_and_its_end_counts() -> None:
    """All starts of the 28th are before the change; seven hours from 22:00 read until 06:00."""
    schedule = every_day("Europe/Paris", (0, 300), (1320, 1440))
    rules = every(60, 6 * HOUR, 7 * HOUR)
    eve = date(2026, 3, 28)

    assert local_starts(schedule, rules, eve, 7 * HOUR) == []
    assert local_starts(schedule, rules, eve, 6 * HOUR) == ["22:00+0100"]
    assert local_starts(schedule, rules, eve - 7 * DAY, 7 * HOUR) == ["22:00+0100"]


def test_a_window_that_only_opens_in_the_skipped_hour_is_not_joined_to_the_one_before() -> None:
    schedule = every_day("Europe/Paris", (60, 150), (180, 240))
    rules = every(30, HOUR, 2 * HOUR)

    assert local_starts(schedule, rules, date(2026, 3, 29), HOUR) == ["01:00+0100", "03:00+0200"]
    assert local_starts(schedule, rules, date(2026, 3, 29), 2 * HOUR) == []


def test_a_booking_that_reads_back_into_an_earlier_window_does_not_fit() -> None:
    schedule = every_day("Europe/Paris", (120, 135), (150, 240))
    rules = every(30, 30 * MINUTE, 45 * MINUTE)
    day = date(2026, 10, 25)

    assert "02:30+0200" in local_starts(schedule, rules, day, 30 * MINUTE)
    assert "02:30+0200" not in local_starts(schedule, rules, day, 45 * MINUTE)


def test_around_the_clock_fits_any_length_over_a_change() -> None:
    schedule = every_day("Europe/Paris", (0, 1440))
    rules = every(60, timedelta(days=31))

    spring = local_starts(schedule, rules, date(2026, 3, 29), timedelta(days=31))
    autumn = local_starts(schedule, rules, date(2026, 10, 25), timedelta(days=31))

    assert len(spring) == 23
    assert len(autumn) == 24
    assert spring[:3] == ["00:00+0100", "01:00+0100", "03:00+0200"]


def test_a_date_the_zone_skipped_has_no_slots() -> None:
    schedule = every_day("Pacific/Apia", (0, 1440))
    rules = every(60, HOUR)

    assert local_starts(schedule, rules, date(2011, 12, 30), HOUR) == []
    assert len(local_starts(schedule, rules, date(2011, 12, 29), HOUR)) == 24
    assert len(local_starts(schedule, rules, date(2011, 12, 31), HOUR)) == 24
    assert open_intervals(schedule, date(2011, 12, 30), date(2011, 12, 30)) == []


def test_a_viewer_who_skipped_a_date_sees_nothing_on_it() -> None:
    schedule = every_day("UTC", (0, 1440))
    apia = zone("Pacific/Apia")

    found = [
        len(offered_starts(schedule, every(60, HOUR), date(2011, 12, day), HOUR, apia))
        for day in (29, 30, 31)
    ]

    assert found == [24, 0, 24]


def test_a_date_split_in_two_by_a_change_just_after_midnight_is_whole() -> None:
    """St. John's went from 00:01 back to 23:01: its date began, was left, and began again."""
    schedule = every_day("America/St_Johns", (0, 30))
    day = date(2010, 11, 7)

    hours = open_intervals(schedule, day, day)

    assert hours == [
        (datetime(2010, 11, 7, 2, 30, tzinfo=UTC), datetime(2010, 11, 7, 2, 45, tzinfo=UTC)),
        (datetime(2010, 11, 7, 3, 30, tzinfo=UTC), datetime(2010, 11, 7, 4, 0, tzinfo=UTC)),
    ]
    found = offered_starts(schedule, every(15, 15 * MINUTE), day, 15 * MINUTE)
    assert [instant(start).strftime("%H:%M") for start in found] == ["02:30", "03:45"]


def test_the_weekday_is_that_of_the_civil_date_far_from_greenwich() -> None:
    mondays_only = Schedule(zone("Pacific/Kiritimati"), {1: (Window(540, 600),)})
    monday = date(2026, 6, 1)

    found = offered_starts(mondays_only, every(60, HOUR), monday, HOUR)

    assert [instant(start) for start in found] == [datetime(2026, 5, 31, 19, tzinfo=UTC)]
    assert offered_starts(mondays_only, every(60, HOUR), date(2026, 5, 31), HOUR) == []


def test_viewers_see_the_same_start_up_to_two_dates_apart() -> None:
    schedule = every_day("Pacific/Kiritimati", (60, 120))
    west = zone("Etc/GMT+12")
    start = number(datetime(2026, 6, 2, 11, tzinfo=UTC))

    assert offered_starts(schedule, every(60, HOUR), date(2026, 6, 3), HOUR) == [start]
    assert offered_starts(schedule, every(60, HOUR), date(2026, 6, 1), HOUR, west) == [start]

    schedule = every_day("Etc/GMT+12", (1380, 1440))
    east = zone("Pacific/Kiritimati")
    assert offered_starts(schedule, every(60, HOUR), date(2026, 6, 1), HOUR) == [start]
    assert offered_starts(schedule, every(60, HOUR), date(2026, 6, 3), HOUR, east) == [start]


def test_a_clock_between_quarter_hours_offers_nothing_and_refuses_by_its_own_reading() -> None:
    """Kiritimati was ten hours and forty minutes behind until 1979."""
    schedule = every_day("Pacific/Kiritimati", (540, 600))
    rules = every(15, 5 * MINUTE, 15 * MINUTE)
    reads_0950 = datetime(1975, 6, 2, 20, 30, tzinfo=UTC)

    assert offered_starts(schedule, rules, date(1975, 6, 2), 5 * MINUTE) == []
    with pytest.raises(NotOfferedStart):
        check(schedule, rules, reads_0950 - 15 * MINUTE, 15 * MINUTE, EPOCH)
    with pytest.raises(NotOfferedStart):
        check(schedule, rules, reads_0950, 5 * MINUTE, EPOCH)
    with pytest.raises(OutsideSchedule):
        check(schedule, rules, reads_0950, 15 * MINUTE, EPOCH)


def test_open_at_ends_accepts_a_close_that_falls_on_the_change() -> None:
    schedule = every_day("Europe/Paris", (60, 120))
    rules = BookingRules(durations=(HOUR,), closed_hours=ClosedHours.OPEN_AT_ENDS)

    found = day_slots(schedule, rules, date(2026, 3, 29), HOUR, LONG_AGO, {})

    assert [slot.start for slot in found] == [datetime(2026, 3, 29, 0, tzinfo=UTC)]
