"""Day, month and write path agree on every day of a year, in zones of every kind."""

import random
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from shared.slots.engine import check
from shared.slots.opening import open_intervals
from shared.slots.quantum import day_number, instant
from shared.slots.refusal import Refusal
from shared.slots.rule import BookingRules, ClosedHours
from shared.slots.schedule import Schedule, Window
from shared.slots.zone import zone
from tests.slot_question import day_slots, month

ZONES = (
    *("UTC", "Europe/Paris", "Europe/Dublin", "Africa/Cairo", "Africa/Casablanca"),
    *("Asia/Kathmandu", "Asia/Tehran", "Asia/Beirut", "Asia/Kolkata", "Asia/Tokyo"),
    *("Australia/Lord_Howe", "Australia/Adelaide", "Pacific/Chatham", "Pacific/Kiritimati"),
    *("Pacific/Auckland", "America/New_York", "America/St_Johns", "America/Santiago"),
    *("Etc/GMT+12", "Antarctica/Troll"),
)
YEAR = 2025
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
DATES = [date(YEAR, 1, 1) + DAY * n for n in range(365)]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
WEEKLY = {
    1: (Window(0, 180), Window(540, 1020)),
    2: (Window(540, 720), Window(780, 1440)),
    3: (Window(0, 120), Window(1320, 1440)),
    4: (Window(0, 1440),),
    5: (Window(0, 1440),),
    7: (Window(60, 240), Window(1200, 1440)),
}
RULES = {
    "short": BookingRules(durations=(timedelta(minutes=50), 2 * HOUR), buffer_after=HOUR / 4),
    "overnight": BookingRules(durations=(26 * HOUR,), interval=HOUR / 2, buffer_before=HOUR),
    "at_ends": BookingRules(
        durations=(30 * HOUR,), interval=HOUR, closed_hours=ClosedHours.OPEN_AT_ENDS
    ),
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("name", ZONES)
def test_a_month_agrees_with_its_days_all_year(name: str, rules: BookingRules) -> None:
    schedule = Schedule(zone(name), WEEKLY)
    chance = random.Random(name)
    first = day_number(DATES[0])
    busy = {
        first + n: chance.getrandbits(96) & chance.getrandbits(96) & chance.getrandbits(96)
        for n in range(-3, 370)
        if chance.random() < 0.7
    }
    viewer = zone(chance.choice(ZONES))
    duration = rules.durations[0]
    now = datetime(YEAR, 2, 3, 4, 5, 6, tzinfo=UTC)

    found = [
        is_open
        for at in range(0, 365, 93)
        for is_open in month(
            *(schedule, rules, DATES[at], DATES[min(at + 92, 364)], duration, now, busy, viewer)
        )
    ]

    expected = [bool(day_slots(schedule, rules, day, duration, now, busy, viewer)) for day in DATES]
    assert found == expected
    assert {True, False} == set(found)


@pytest.mark.parametrize("name", ZONES)
def test_check_accepts_exactly_what_is_offered_all_year(name: str) -> None:
    schedule = Schedule(zone(name), WEEKLY)
    rules = RULES["short"]
    duration = rules.durations[1]
    offered = {
        slot.quantum: slot.occupancy
        for day in DATES
        for slot in day_slots(schedule, rules, day, duration, LONG_AGO, {})
    }

    accepted = {}
    for quantum in range(day_number(DATES[0]) * 96 + 96, day_number(DATES[-1]) * 96):
        try:
            accepted[quantum] = check(schedule, rules, instant(quantum), duration, LONG_AGO)
        except Refusal:
            continue

    assert accepted
    inner = {n: span for n, span in offered.items() if min(accepted) <= n <= max(accepted)}
    assert accepted == inner
    assert len(offered) - len(inner) < 2 * 96


@pytest.mark.parametrize("name", ZONES)
def test_effective_hours_of_single_dates_add_up_to_those_of_the_year(name: str) -> None:
    schedule = Schedule(zone(name), WEEKLY)

    whole = open_intervals(schedule, DATES[0], DATES[-1])

    parts = [part for day in DATES for part in open_intervals(schedule, day, day)]
    assert sum((end - begin for begin, end in parts), timedelta()) == sum(
        (end - begin for begin, end in whole), timedelta()
    )
    assert all(earlier[1] < later[0] for earlier, later in pairwise(whole))
