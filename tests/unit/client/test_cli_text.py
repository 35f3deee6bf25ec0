from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from shared.client.cli import parse, text
from shared.slots.zone import zone


@pytest.mark.parametrize(
    "unsafe",
    ["\x00", "\x1b[31m", "\n", "\r", "\x7f", "\x9b31m", "\u202e", "\u2066", "\u200f", "\ud800"],
)
def test_characters_that_drive_a_terminal_are_replaced(unsafe: str) -> None:
    found = text.clean(f"a{unsafe}b")

    assert unsafe[0] not in found
    assert found.startswith("a\ufffd")
    assert found.endswith("b")


def test_letters_of_any_script_stay() -> None:
    assert text.clean("Zoë 録音 студия 🎹") == "Zoë 録音 студия 🎹"


def test_stored_lines_stay_lines() -> None:
    assert text.clean_lines("a\nb\r\nc\x1b") == ["a", "b", "c\ufffd"]


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, "0 min"),
        (15, "15 min"),
        (60, "1 h"),
        (90, "1 h 30 min"),
        (1440, "1 day"),
        (2160, "1 day 12 h"),
        (2 * 1440 + 1, "2 days 1 min"),
    ],
)
def test_a_length_is_written_in_words(minutes: int, words: str) -> None:
    assert text.length(timedelta(minutes=minutes)) == words


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ([], ""),
        (["1h"], "1 h"),
        (["1d"], "1 day"),
        (["1h", "2h", "5h"], "1, 2 or 5 h"),
        (["1d", "2d", "7d"], "1, 2 or 7 days"),
        (["30m", "1h"], "30 min or 1 h"),
        (["1h", "1d"], "1 or 24 h"),
    ],
)
def test_lengths_share_their_unit(written: list[str], words: str) -> None:
    assert text.lengths(parse.parse_length(each) for each in written) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(-30, "-30 s"), (90 * 60, "+1 h 30 min"), (-86400 * 98, "-98 days")]
)
def test_a_moved_clock_says_which_way(seconds: int, words: str) -> None:
    assert text.offset(timedelta(seconds=seconds)) == words


def test_a_date_is_written_in_english() -> None:
    assert text.day(date(2027, 3, 9)) == "Tue 9 March 2027"


def test_a_span_within_a_day_names_it_once() -> None:
    start = datetime(2027, 3, 9, 9, tzinfo=UTC)

    found = text.span(start, start + timedelta(hours=1), zone("Europe/Berlin"))

    assert found == "Tue 9 March 2027, 10:00 to 11:00"


def test_a_span_over_days_names_both() -> None:
    start = datetime(2027, 3, 9, 22, tzinfo=UTC)

    found = text.span(start, start + timedelta(hours=2), zone("Europe/Berlin"))

    assert found == "Tue 9 March 2027, 23:00 to Wed 10 March 2027, 01:00"


def test_an_instant_is_iso_with_a_z_and_only_the_fraction_it_has() -> None:
    assert text.iso(datetime.fromisoformat("2027-03-09T10:00+01:00")) == "2027-03-09T09:00:00Z"
    assert text.iso(datetime.fromisoformat("2027-03-09T10:00:00.5Z")) == (
        "2027-03-09T10:00:00.500000Z"
    )


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (["mon-fri 09:00-17:00"], ["Mon-Fri 09:00-17:00"]),
        (["daily 00:00-24:00"], ["daily 00:00-24:00"]),
        (["mon,wed 09:00-12:00"], ["Mon 09:00-12:00", "Wed 09:00-12:00"]),
        (
            ["mon-fri 09:00-12:00,13:00-17:00", "sat 10:00-12:00"],
            ["Mon-Fri 09:00-12:00, 13:00-17:00", "Sat 10:00-12:00"],
        ),
        ([], []),
    ],
)
def test_weekdays_of_the_same_hours_are_one_line(written: list[str], lines: list[str]) -> None:
    values = [value for each in written for value in parse.parse_hours(each)]

    assert text.hours(values) == lines


@pytest.mark.parametrize(
    ("indexes", "words"),
    [
        ([], ""),
        ([0], "00:00-00:15"),
        ([56, 57, 58, 59], "14:00-15:00"),
        ([95, 0, 1], "00:00-00:30, 23:45-24:00"),
        ([4, 4], "01:00-01:15"),
    ],
)
def test_quarter_hours_are_written_as_ranges(indexes: list[int], words: str) -> None:
    assert text.quanta(indexes) == words


def test_a_count_agrees_with_its_noun() -> None:
    assert [text.count(number, "day") for number in (0, 1, 1200)] == [
        "0 days",
        "1 day",
        "1,200 days",
    ]


def test_labels_are_sorted() -> None:
    assert text.labels({"b": "2", "a": "1"}) == "a=1, b=2"
