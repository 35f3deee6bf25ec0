from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from shared.client.cli import parse
from shared.client.cli.parse import DayWindow, Window


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("60", 60),
        ("0", 0),
        ("90m", 90),
        ("45min", 45),
        ("5h", 300),
        ("2d", 2880),
        ("1h30m", 90),
        ("1d12h", 2160),
        ("1d2h3m", 1563),
        (" 5H ", 300),
    ],
)
def test_a_length_is_minutes_or_has_units(text: str, minutes: int) -> None:
    assert parse.parse_length(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "text",
    ["", " ", "h", "-5", "1.5h", "5 h", "1m1h", "60s", "1h1h", "12345678", "\u0666\u0660", "m"],
)
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no length"):
        parse.parse_length(text)


def test_a_date_is_read() -> None:
    assert parse.parse_date("2027-03-09") == date(2027, 3, 9)


@pytest.mark.parametrize(
    "text",
    ["20270309", "2027-W10-2", "9.3.2027", "2027-02-29", "2027-13-01", "1969-12-31", "9999-01-01"],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no date"):
        parse.parse_date(text)


def test_a_month_is_its_first_day() -> None:
    assert parse.parse_month("2027-03") == date(2027, 3, 1)


@pytest.mark.parametrize("text", ["2027", "2027-3", "2027-13", "2027-03-01", "0001-01"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no month"):
        parse.parse_month(text)


@pytest.mark.parametrize("text", ["2027-03-09T10:00", "2027-03-09 10:00", "2027-03-09t10:00:00"])
def test_a_moment_without_offset_is_a_wall_time(text: str) -> None:
    assert parse.parse_moment(text) == datetime(2027, 3, 9, 10)  # noqa: DTZ001  # a wall time


@pytest.mark.parametrize(
    "text", ["2027-03-09T09:00Z", "2027-03-09T10:00+01:00", "2027-03-09 04:00-05:00"]
)
def test_a_moment_with_an_offset_is_an_instant(text: str) -> None:
    assert parse.parse_moment(text) == datetime.fromisoformat("2027-03-09T09:00Z")


@pytest.mark.parametrize(
    "text",
    ["10:00", "2027-03-09", "2027-03-09T24:00", "2027-03-09T1000", "2027-03-09T10:00 Berlin"],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no date and time"):
        parse.parse_moment(text)


@pytest.mark.parametrize(
    ("text", "weekdays"),
    [
        ("mon", [1]),
        ("sunday", [7]),
        ("mon-fri", [1, 2, 3, 4, 5]),
        ("fri-mon", [1, 5, 6, 7]),
        ("mon,wed,fri", [1, 3, 5]),
        ("mon-tue,sun", [1, 2, 7]),
        ("daily", [1, 2, 3, 4, 5, 6, 7]),
        ("weekdays", [1, 2, 3, 4, 5]),
        ("weekends", [6, 7]),
        ("weekends,mon", [1, 6, 7]),
        ("MON-Fri", [1, 2, 3, 4, 5]),
        ("mon,mon", [1]),
    ],
)
def test_hours_name_their_weekdays(text: str, weekdays: list[int]) -> None:
    found = parse.parse_hours(f"{text} 09:00-17:00")

    assert found == [DayWindow(weekday, Window(540, 1020)) for weekday in weekdays]


def test_hours_may_have_several_windows() -> None:
    found = parse.parse_hours("sat 8:00-12:00, 13:00-24:00")

    assert found == [DayWindow(6, Window(480, 720)), DayWindow(6, Window(780, 1440))]


@pytest.mark.parametrize(
    "text",
    [
        "mon",
        "09:00-17:00",
        "noday 09:00-17:00",
        "mon-noday 09:00-17:00",
        "mon 17:00-09:00",
        "mon 09:00-09:00",
        "mon 09:00-24:15",
        "mon 09:60-17:00",
        "mon 9-17",
        "mon 09:00-17:00,",
    ],
)
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no (opening time|weekday|window)"):
        parse.parse_hours(text)


def test_a_range_of_lengths_has_a_step() -> None:
    found = parse.parse_range("30m-4h/15m")

    assert found == (timedelta(minutes=30), timedelta(hours=4), timedelta(minutes=15))


@pytest.mark.parametrize("text", ["30m-4h", "30m/15m", "-/", "30m-4h/x"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no (range of lengths|length)"):
        parse.parse_range(text)


def test_a_label_may_have_an_empty_value_and_equals_signs() -> None:
    assert parse.parse_label("a=") == ("a", "")
    assert parse.parse_label("a=b=c") == ("a", "b=c")


@pytest.mark.parametrize("text", ["", "a", "=b"])
def test_what_is_no_label_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no label"):
        parse.parse_label(text)


def test_an_item_has_as_many_units_as_it_says() -> None:
    assert parse.parse_item("mic") == ("mic", 1)
    assert parse.parse_item("mic:30") == ("mic", 30)


@pytest.mark.parametrize("text", ["", ":3", "mic:", "mic:0", "mic:-1", "mic:x", "mic:1:2"])
def test_what_is_no_item_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no resource with units"):
        parse.parse_item(text)


def test_a_date_alone_stays_one() -> None:
    assert parse.parse_when("2027-03-09") == date(2027, 3, 9)
    assert not isinstance(parse.parse_when("2027-03-09"), datetime)
    assert parse.parse_when("2027-03-09T10:00") == datetime(2027, 3, 9, 10)  # noqa: DTZ001  # wall


def test_a_token_is_read_as_it_was_printed() -> None:
    assert parse.parse_token(b"\x00\xff".hex()) == b"\x00\xff"


@pytest.mark.parametrize("text", ["", "0", "0g", "00 11", "\u0660\u0660"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no token"):
        parse.parse_token(text)
