"""Rules of an event type, notice and horizon, and the order of refusals."""

from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shared.slots.engine import check
from shared.slots.quantum import OffGrid, Span, number
from shared.slots.refusal import (
    DurationNotOffered,
    NotOfferedStart,
    OutsideSchedule,
    Refusal,
    TooFar,
    TooSoon,
)
from shared.slots.rule import MAX_BOOKING, BookingRules, ClosedHours, DurationRange, InvalidRule
from shared.slots.schedule import Schedule, Window, default_schedule
from shared.slots.zone import zone
from tests.slot_question import day_slots, month

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONDAY = date(2026, 6, 1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
NINE_TO_FIVE = default_schedule("UTC")
HOURLY = BookingRules(durations=(HOUR,))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("durations", {}),
        ("durations", {"durations": (HOUR,), "flexible": DurationRange(HOUR, HOUR, HOUR)}),
        ("durations", {"durations": (timedelta(),)}),
        ("durations", {"durations": (-HOUR,)}),
        ("durations", {"durations": (HOUR, HOUR)}),
        ("durations", {"durations": (2 * HOUR, HOUR)}),
        ("durations", {"durations": (MAX_BOOKING + MINUTE,)}),
        ("interval", {"durations": (HOUR,), "interval": timedelta()}),
        ("interval", {"durations": (HOUR,), "interval": -15 * MINUTE}),
        ("interval", {"durations": (HOUR,), "interval": 20 * MINUTE}),
        ("buffer_before", {"durations": (HOUR,), "buffer_before": -MINUTE}),
        ("buffer_before", {"durations": (HOUR,), "buffer_before": MAX_BOOKING + MINUTE}),
        ("buffer_after", {"durations": (HOUR,), "buffer_after": -MINUTE}),
        ("buffer_after", {"durations": (HOUR,), "buffer_after": MAX_BOOKING + MINUTE}),
        ("minimum_notice", {"durations": (HOUR,), "minimum_notice": -MINUTE}),
        ("horizon", {"durations": (HOUR,), "horizon": -MINUTE}),
    ],
)
def test_a_rule_out_of_range_is_refused_by_name(field: str, values: dict[str, Any]) -> None:
    with pytest.raises(InvalidRule) as refusal:
        BookingRules(**values)

    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("flexible.minimum", (timedelta(), HOUR, HOUR)),
        ("flexible.maximum", (2 * HOUR, HOUR, HOUR)),
        ("flexible.maximum", (HOUR, MAX_BOOKING + HOUR, HOUR)),
        ("flexible.step", (HOUR, HOUR, timedelta())),
    ],
)
def test_a_range_out_of_order_is_refused_by_name(
    field: str, values: tuple[timedelta, timedelta, timedelta]
) -> None:
    with pytest.raises(InvalidRule) as refusal:
        DurationRange(*values)

    assert refusal.value.field == field


def test_limits_themselves_are_allowed() -> None:
    rules = BookingRules(
        durations=(timedelta(microseconds=1), MAX_BOOKING),
        buffer_before=MAX_BOOKING,
        buffer_after=MAX_BOOKING,
        horizon=timedelta(),
    )

    assert rules.offers(MAX_BOOKING)
    assert DurationRange(HOUR, MAX_BOOKING, 7 * MINUTE).maximum == MAX_BOOKING


def test_rules_are_frozen_and_equal_by_value() -> None:
    twin = BookingRules(durations=(HOUR,))

    assert twin == HOURLY
    assert hash(twin) == hash(HOURLY)
    assert twin != BookingRules(durations=(HOUR,), closed_hours=ClosedHours.OPEN_AT_ENDS)
    with pytest.raises(FrozenInstanceError):
        twin.horizon = HOUR  # type: ignore[misc]  # the point of the test


def test_a_flexible_range_offers_every_step_up_to_its_maximum() -> None:
    rules = BookingRules(flexible=DurationRange(HOUR, 110 * MINUTE, 20 * MINUTE))

    offered = [n for n in range(1, 200) if rules.offers(n * MINUTE)]

    assert offered == [60, 80, 100]
    assert not rules.offers(HOUR + timedelta(microseconds=1))


def test_options_offer_only_themselves() -> None:
    rules = BookingRules(durations=(HOUR, 2 * HOUR))

    assert [n for n in range(1, 200) if rules.offers(n * MINUTE)] == [60, 120]


@pytest.mark.parametrize(
    ("before", "length", "after", "expected"),
    [
        (0, 60, 0, (0, 4)),
        (0, 50, 0, (0, 4)),
        (10, 60, 0, (-1, 4)),
        (15, 60, 15, (-1, 5)),
        (16, 50, 10, (-2, 4)),
        (0, 50, 11, (0, 5)),
        (0, 1, 0, (0, 1)),
    ],
)
def test_occupancy_is_the_booking_with_its_buffers_rounded_out_once(
    before: int, length: int, after: int, expected: tuple[int, int]
) -> None:
    rules = BookingRules(
        durations=(length * MINUTE,), buffer_before=before * MINUTE, buffer_after=after * MINUTE
    )

    span = rules.occupancy(NOON, length * MINUTE)

    assert (span.first - number(NOON), span.stop - number(NOON)) == expected


def test_neighbours_buffers_add_up() -> None:
    rules = BookingRules(durations=(HOUR,), buffer_before=15 * MINUTE, buffer_after=15 * MINUTE)
    booked = rules.occupancy(NOON, HOUR)
    busy = dict(booked.masks())

    found = day_slots(NINE_TO_FIVE, rules, MONDAY, HOUR, NOON - DAY, busy)

    assert [slot.start.hour for slot in found] == [9, 10, 14, 15, 16]


def test_a_free_gap_must_hold_the_whole_occupancy() -> None:
    rules = BookingRules(durations=(HOUR,), interval=15 * MINUTE)
    busy = dict(Span(number(NOON - 3 * HOUR), number(NOON)).masks())
    day, bits = busy.popitem()
    busy = {day: bits | 1 << 54}

    found = day_slots(NINE_TO_FIVE, rules, MONDAY, HOUR, NOON - DAY, busy)

    # 12:00 to 13:30 is free, 13:30 to 13:45 is taken.
    assert [slot.start.strftime("%H:%M") for slot in found][:4] == [
        *("12:00", "12:15", "12:30", "13:45")
    ]


def test_notice_is_inclusive_and_the_past_is_too_soon() -> None:
    rules = BookingRules(durations=(HOUR,), minimum_notice=2 * HOUR)

    assert check(NINE_TO_FIVE, rules, NOON, HOUR, NOON - 2 * HOUR)
    with pytest.raises(TooSoon) as refusal:
        check(NINE_TO_FIVE, rules, NOON, HOUR, NOON - 2 * HOUR + timedelta(microseconds=1))
    assert refusal.value.earliest == NOON + 15 * MINUTE
    assert check(NINE_TO_FIVE, HOURLY, NOON, HOUR, NOON)
    with pytest.raises(TooSoon):
        check(NINE_TO_FIVE, HOURLY, NOON, HOUR, NOON + timedelta(microseconds=1))


def test_the_horizon_is_inclusive() -> None:
    rules = BookingRules(durations=(HOUR,), horizon=2 * HOUR)

    assert check(NINE_TO_FIVE, rules, NOON, HOUR, NOON - 2 * HOUR)
    with pytest.raises(TooFar) as refusal:
        check(NINE_TO_FIVE, rules, NOON, HOUR, NOON - 2 * HOUR - timedelta(microseconds=1))
    assert refusal.value.latest == NOON - 15 * MINUTE


def test_reads_keep_to_the_same_notice_and_horizon() -> None:
    rules = BookingRules(durations=(HOUR,), minimum_notice=HOUR, horizon=3 * HOUR)
    second = timedelta(seconds=1)

    def hours(now: datetime) -> list[int]:
        slots = day_slots(NINE_TO_FIVE, rules, MONDAY, HOUR, now, {})
        assert month(NINE_TO_FIVE, rules, MONDAY, MONDAY, HOUR, now, {}) == [bool(slots)]
        return [slot.start.hour for slot in slots]

    assert hours(NOON) == [13, 14, 15]
    assert hours(NOON + second) == [14, 15]
    assert hours(NOON - second) == [13, 14]
    assert hours(NOON - 7 * HOUR) == []
    assert hours(NOON + 3 * HOUR) == [16]
    assert hours(NOON + 3 * HOUR + second) == []


def test_a_notice_without_end_offers_nothing_and_a_horizon_without_end_everything() -> None:
    never = BookingRules(durations=(HOUR,), minimum_notice=timedelta.max)
    ever = BookingRules(durations=(HOUR,), horizon=timedelta.max)

    assert day_slots(NINE_TO_FIVE, never, MONDAY, HOUR, NOON - DAY, {}) == []
    assert len(day_slots(NINE_TO_FIVE, ever, MONDAY, HOUR, NOON - DAY, {})) == 8
    with pytest.raises(TooSoon):
        check(NINE_TO_FIVE, never, NOON, HOUR, NOON - DAY)


def test_the_first_rule_that_refuses_is_the_answer() -> None:
    rules = BookingRules(durations=(HOUR,), minimum_notice=HOUR, horizon=2 * HOUR)
    late = NOON + 30 * DAY

    def refusal(start: datetime, duration: timedelta, now: datetime) -> type[BaseException]:
        with pytest.raises((OffGrid, Refusal)) as caught:
            check(NINE_TO_FIVE, rules, start, duration, now)
        return caught.type

    off_grid, closed, between = NOON + MINUTE, NOON + 8 * HOUR, NOON + 15 * MINUTE
    assert refusal(off_grid, 2 * HOUR, late) is OffGrid
    assert refusal(closed, 2 * HOUR, late) is DurationNotOffered
    assert refusal(closed, HOUR, late) is OutsideSchedule
    assert refusal(closed + 15 * MINUTE, HOUR, late) is OutsideSchedule
    assert refusal(between, HOUR, late) is NotOfferedStart
    assert refusal(NOON, HOUR, late) is TooSoon
    assert refusal(NOON, HOUR, NOON - DAY) is TooFar


def test_a_start_on_the_grid_that_runs_past_closing_is_outside() -> None:
    rules = BookingRules(durations=(HOUR, 2 * HOUR))

    with pytest.raises(OutsideSchedule) as refusal:
        check(NINE_TO_FIVE, rules, NOON + 4 * HOUR, 2 * HOUR, NOON)

    assert (refusal.value.start, refusal.value.end) == (NOON + 4 * HOUR, NOON + 6 * HOUR)


def test_a_length_that_is_not_offered_is_refused_by_every_question() -> None:
    with pytest.raises(DurationNotOffered) as refusal:
        day_slots(NINE_TO_FIVE, HOURLY, MONDAY, 2 * HOUR, NOON, {})
    assert refusal.value.duration == 2 * HOUR
    with pytest.raises(DurationNotOffered):
        month(NINE_TO_FIVE, HOURLY, MONDAY, MONDAY + DAY, 2 * HOUR, NOON, {})


def test_one_transaction_of_several_days_gets_each_days_mask() -> None:
    schedule = Schedule(zone("UTC"), dict.fromkeys(range(1, 8), (Window(0, 1440),)))
    rules = BookingRules(durations=(44 * HOUR,), interval=HOUR)
    start = datetime(2026, 6, 1, 14, tzinfo=UTC)

    span = check(schedule, rules, start, 44 * HOUR, start)

    monday = number(start) // 96
    assert list(span.masks()) == [
        (monday, 2**96 - 2**56),
        (monday + 1, 2**96 - 1),
        (monday + 2, 2**40 - 1),
    ]
