"""The engine against the contract spelt out quarter hour by quarter hour."""

import os
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from shared.slots.engine import check
from shared.slots.opening import open_bitmaps, open_intervals
from shared.slots.quantum import QUANTUM, OffGrid, Span, day_number, instant, number
from shared.slots.refusal import NotOfferedStart, OutsideSchedule, Refusal, TooFar, TooSoon
from shared.slots.rule import BookingRules
from shared.slots.schedule import Schedule, Window
from shared.slots.zone import zone
from tests.slot_question import day_slots, days_needed, month, offered_starts
from tests.unit.slots import oracle, sampling
from tests.unit.slots.sampling import Question, questions

FULL_DOSE = os.environ.get("HOLDFAST_TEST_DOSE") == "full"
DAY = timedelta(days=1)


def examples(count: int) -> settings:
    return settings(
        max_examples=count * 20 if FULL_DOSE else count,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def outcome(asked: Question, start: datetime, now: datetime) -> Span | Refusal:
    try:
        return check(asked.schedule, asked.rules, start, asked.duration, now)
    except Refusal as refusal:
        return refusal


@examples(400)
@given(questions())
def test_offered_starts_are_those_of_the_oracle(asked: Question) -> None:
    found = offered_starts(asked.schedule, asked.rules, asked.day, asked.duration)

    expected = oracle.starts(asked.schedule, asked.rules, asked.day, asked.duration)
    assert [instant(start) for start in found] == expected


@examples(100)
@given(questions())
def test_a_viewers_date_selects_among_the_same_starts(asked: Question) -> None:
    found = offered_starts(asked.schedule, asked.rules, asked.day, asked.duration, asked.viewer)

    expected = oracle.viewed_starts(
        asked.schedule, asked.rules, asked.day, asked.duration, asked.viewer
    )
    assert [instant(start) for start in found] == expected


@examples(250)
@given(questions(), st.data())
def test_day_slots_are_the_offered_starts_that_are_free_and_in_time(
    asked: Question, data: st.DataObject
) -> None:
    schedule, rules, duration = asked.schedule, asked.rules, asked.duration
    first = day_number(asked.day)
    busy = data.draw(sampling.inventories(first - 2, first + 5))
    now = data.draw(sampling.clocks(asked.day))

    found = day_slots(schedule, rules, asked.day, duration, now, busy)

    assert [slot.start for slot in found] == [
        start
        for start in oracle.starts(schedule, rules, asked.day, duration)
        if oracle.bookable(rules, start, duration, now, busy)
    ]
    for slot in found:
        quarters = [instant(n) for n in range(slot.occupancy.first, slot.occupancy.stop)]
        assert quarters == oracle.occupied(rules, slot.start, duration)


@examples(150)
@given(questions())
def test_days_needed_are_the_days_that_the_occupancies_reach(asked: Question) -> None:
    schedule, rules, duration, viewer = asked.schedule, asked.rules, asked.duration, asked.viewer
    last = asked.day + DAY

    needed = days_needed(schedule, rules, asked.day, last, duration, viewer)

    starts = [
        start
        for day in (asked.day, last)
        for start in offered_starts(schedule, rules, day, duration, viewer)
    ]
    touched = [
        (at - oracle.EPOCH) // DAY
        for start in starts
        for at in oracle.occupied(rules, instant(start), duration)
    ]
    assert needed == (range(min(touched), max(touched) + 1) if touched else range(0))


@examples(100)
@given(questions(), st.data())
def test_a_month_says_whether_each_day_has_a_slot(asked: Question, data: st.DataObject) -> None:
    schedule, rules, duration, viewer = asked.schedule, asked.rules, asked.duration, asked.viewer
    length = data.draw(st.integers(1, 12))
    first = asked.day - DAY * data.draw(st.integers(0, 6))
    dates = [first + DAY * n for n in range(length)]
    number_of_first = day_number(first)
    busy = data.draw(sampling.inventories(number_of_first - 2, number_of_first + length + 4))
    now = data.draw(sampling.clocks(asked.day))

    found = month(schedule, rules, first, dates[-1], duration, now, busy, viewer)

    assert found == [
        bool(day_slots(schedule, rules, day, duration, now, busy, viewer)) for day in dates
    ]


@examples(100)
@given(questions(), st.data())
def test_check_accepts_exactly_the_slots_of_empty_days(
    asked: Question, data: st.DataObject
) -> None:
    schedule, rules, duration = asked.schedule, asked.rules, asked.duration
    now = data.draw(sampling.clocks(asked.day))
    dates = [asked.day + DAY * n for n in range(-1, 2)]
    offered = {
        slot.start: slot.occupancy
        for day in dates
        for slot in day_slots(schedule, rules, day, duration, now, {})
    }
    noon = datetime.combine(asked.day, datetime.min.time(), UTC) + DAY / 2

    for moment in oracle.quarters(noon - 2 * DAY, noon + 2 * DAY):
        if oracle.wall(moment, schedule.zone).date() not in dates:
            continue
        answer = outcome(asked, moment, now)
        match answer:
            case OutsideSchedule():
                assert not oracle.fits(schedule, rules, moment, duration)
            case NotOfferedStart():
                assert oracle.fits(schedule, rules, moment, duration)
            case TooSoon(earliest=earliest):
                assert earliest >= now + rules.minimum_notice > earliest - QUANTUM
            case TooFar(latest=latest):
                assert rules.horizon is not None
                assert latest <= now + rules.horizon < latest + QUANTUM
        assert offered.get(moment) == (answer if isinstance(answer, Span) else None)


@examples(60)
@given(questions(), st.data())
def test_every_viewer_sees_the_same_starts_once(asked: Question, data: st.DataObject) -> None:
    schedule, rules, duration = asked.schedule, asked.rules, asked.duration
    other = data.draw(sampling.zone_strategy())
    assume(other != asked.viewer.key)
    dates = [asked.day + DAY * n for n in range(-4, 5)]
    middle = [asked.day + DAY * n for n in range(-1, 2)]

    own = [s for day in middle for s in offered_starts(schedule, rules, day, duration)]
    seen = [
        s for day in dates for s in offered_starts(schedule, rules, day, duration, asked.viewer)
    ]

    assert len(seen) == len(set(seen))
    assert set(own) <= set(seen)


@examples(150)
@given(questions())
def test_open_bitmaps_and_intervals_are_the_quarters_that_read_as_open(asked: Question) -> None:
    schedule, day = asked.schedule, asked.day
    last = day + 2 * DAY
    midnight = datetime.combine(day - 2 * DAY, datetime.min.time(), UTC)
    quarters = list(oracle.quarters(midnight, midnight + 7 * DAY))
    is_open = {at: oracle.is_open(schedule, at) for at in quarters}

    bitmaps = open_bitmaps(schedule, day_number(day) - 2, day_number(day) + 4)
    intervals = open_intervals(schedule, day, last)

    assert {at: bool(bitmaps[number(at) // 96] >> number(at) % 96 & 1) for at in quarters} == (
        is_open
    )
    assert intervals == oracle.merged(
        (at, at + QUANTUM)
        for at in quarters
        if is_open[at] and day <= oracle.wall(at, schedule.zone).date() <= last
    )


@examples(100)
@given(questions(), st.integers(1, 899_999_999))
def test_a_start_off_the_grid_is_refused_before_any_rule(asked: Question, beyond: int) -> None:
    start = datetime.combine(asked.day, datetime.min.time(), UTC) + timedelta(microseconds=beyond)
    never = timedelta(microseconds=7)

    with pytest.raises(OffGrid) as refusal:
        check(asked.schedule, asked.rules, start, never, start)

    assert refusal.value.instant == start


def test_the_oracle_is_itself_right_about_a_known_day() -> None:
    schedule = Schedule(zone("Europe/Paris"), {7: (Window(60, 300),)})
    rules = BookingRules(durations=(timedelta(hours=1),))

    found = oracle.starts(schedule, rules, date(2026, 3, 29), timedelta(hours=1))

    # 01:00, then 02:00 does not exist, 03:00 and 04:00.
    assert [start.hour for start in found] == [0, 1, 2]
