"""Quarter hours as integers, spans, bitmaps of days, and their text."""

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.slots import bitmap
from shared.slots.quantum import (
    QUANTA_PER_DAY,
    QUANTUM,
    SECONDS_PER_QUANTUM,
    DateOutOfRange,
    OffGrid,
    Span,
    covering,
    day_date,
    day_number,
    instant,
    number,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BITMAPS = st.integers(0, 2**96 - 1)
WIDE_BITMAPS = st.integers(0, 2**400 - 1) | st.sets(st.integers(0, 400)).map(
    lambda bits: sum(1 << bit for bit in bits)
)
QUANTA = st.integers(-3_000_000, 280_000_000)


def test_a_day_has_96_quanta_of_a_quarter_hour() -> None:
    assert timedelta(days=1) == QUANTUM * QUANTA_PER_DAY
    assert timedelta(seconds=SECONDS_PER_QUANTUM) == QUANTUM


@pytest.mark.parametrize(
    ("moment", "index"),
    [((0, 0), 0), ((14, 0), 56), ((23, 45), 95)],
)
def test_a_time_of_day_has_its_index(moment: tuple[int, int], index: int) -> None:
    found = number(datetime(2026, 6, 1, *moment, tzinfo=UTC))

    assert divmod(found, 96) == (day_number(date(2026, 6, 1)), index)


@given(QUANTA)
def test_an_instant_and_its_number_are_two_names_of_one_thing(quantum: int) -> None:
    moment = instant(quantum)

    assert moment.tzinfo is UTC
    assert moment == EPOCH + quantum * QUANTUM
    assert number(moment) == quantum
    assert number(moment.astimezone(timezone(timedelta(hours=5, minutes=45)))) == quantum
    assert day_date(quantum // 96) == moment.date()
    assert day_number(moment.date()) == quantum // 96


@given(QUANTA, st.integers(1, 900_000_000 - 1))
def test_an_instant_between_quarter_hours_is_never_rounded(quantum: int, beyond: int) -> None:
    moment = instant(quantum) + timedelta(microseconds=beyond)

    with pytest.raises(OffGrid) as refusal:
        number(moment)

    assert refusal.value.instant == moment


def test_a_naive_datetime_is_refused() -> None:
    naive = datetime(2026, 6, 1)  # noqa: DTZ001  # the point of the test

    with pytest.raises(ValueError, match="time zone"):
        number(naive)
    with pytest.raises(ValueError, match="time zone"):
        covering(naive, naive + QUANTUM)


@pytest.mark.parametrize("quantum", [10**9, -(10**9), 10**30])
def test_a_number_beyond_the_calendar_is_refused(quantum: int) -> None:
    with pytest.raises(DateOutOfRange):
        instant(quantum)
    with pytest.raises(DateOutOfRange):
        day_date(quantum)


@pytest.mark.parametrize(("first", "stop"), [(5, 5), (6, 5)])
def test_a_span_is_never_empty(first: int, stop: int) -> None:
    with pytest.raises(ValueError, match="empty"):
        Span(first, stop)


@given(st.integers(-1000, 1000), st.integers(1, 800))
def test_a_spans_masks_are_its_quanta_day_by_day(first: int, length: int) -> None:
    span = Span(first, first + length)

    masks = list(span.masks())

    assert [day * 96 + bit for day, bits in masks for bit in bitmap.quanta(bits)] == list(
        range(first, first + length)
    )
    assert all(0 < bits <= bitmap.FULL for _, bits in masks)
    assert len(span) == length


@given(st.integers(0, 50), st.integers(1, 20), st.integers(0, 50), st.integers(1, 20))
def test_spans_overlap_when_they_share_a_quantum(a: int, b: int, c: int, d: int) -> None:
    one, other = Span(a, a + b), Span(c, c + d)

    shared = set(range(a, a + b)) & set(range(c, c + d))

    assert one.overlaps(other) == other.overlaps(one) == bool(shared)


@given(QUANTA, st.integers(0, 10**10), st.integers(1, 10**10))
@example(quantum=4, begin=0, length=900_000_000)
def test_covering_rounds_out(quantum: int, begin: int, length: int) -> None:
    start = instant(quantum) + timedelta(microseconds=begin)
    end = start + timedelta(microseconds=length)

    span = covering(start, end)

    assert instant(span.first) <= start < instant(span.first + 1)
    assert instant(span.stop - 1) < end <= instant(span.stop)


@pytest.mark.parametrize("length", [0, -1])
def test_covering_refuses_an_empty_or_reversed_range(length: int) -> None:
    with pytest.raises(ValueError, match="not after"):
        covering(EPOCH, EPOCH + timedelta(microseconds=length))


def test_a_mask_has_the_bits_of_its_range() -> None:
    assert bitmap.mask(0, 96) == bitmap.FULL
    assert bitmap.mask(95, 96) == 1 << 95
    assert bitmap.quanta(bitmap.mask(3, 6)) == [3, 4, 5]


@pytest.mark.parametrize(("first", "stop"), [(-1, 3), (3, 3), (4, 3), (0, 97), (96, 96)])
def test_a_mask_outside_the_day_is_refused(first: int, stop: int) -> None:
    with pytest.raises(ValueError, match="within a day"):
        bitmap.mask(first, stop)


@given(WIDE_BITMAPS)
def test_quanta_and_runs_list_the_set_bits(bits: int) -> None:
    indexes = [index for index in range(bits.bit_length()) if bits >> index & 1]

    runs = bitmap.runs(bits)

    assert bitmap.quanta(bits) == indexes
    assert [index for first, stop in runs for index in range(first, stop)] == indexes
    assert all(first < stop for first, stop in runs)
    assert all(one[1] < other[0] for one, other in pairwise(runs))


@given(BITMAPS)
def test_text_and_bitmap_are_two_names_of_one_thing(bits: int) -> None:
    text = bitmap.to_bits(bits)

    assert len(text) == 96
    assert [index for index, digit in enumerate(text) if digit == "1"] == bitmap.quanta(bits)
    assert bitmap.from_bits(text) == bits


@pytest.mark.parametrize(
    "text",
    [
        *("", "0" * 95, "0" * 97, "0" * 95 + "2", "0" * 47 + "_" + "0" * 48, " " + "0" * 95),
        *("+" + "0" * 95, "0b" + "0" * 94, "0" * 95 + "\u0661", "0" * 95 + "\n"),
    ],
)
def test_other_text_is_no_bitmap(text: str) -> None:
    with pytest.raises(ValueError, match="96 characters"):
        bitmap.from_bits(text)


@pytest.mark.parametrize("bits", [-1, 1 << 96])
def test_only_one_days_bitmap_has_a_text(bits: int) -> None:
    with pytest.raises(ValueError, match="one day"):
        bitmap.to_bits(bits)


@given(WIDE_BITMAPS, st.integers(1, 420))
def test_starts_of_runs_are_where_a_run_of_that_length_begins(bits: int, length: int) -> None:
    wanted = (1 << length) - 1

    found = bitmap.starts_of_runs(bits, length)

    assert bitmap.quanta(found) == [
        index for index in range(bits.bit_length()) if bits >> index & wanted == wanted
    ]


@pytest.mark.parametrize(("free", "length"), [(1, 0), (1, -1), (-1, 1)])
def test_a_run_needs_a_length_and_a_bitmap(free: int, length: int) -> None:
    with pytest.raises(ValueError, match="positive length"):
        bitmap.starts_of_runs(free, length)
