from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.timeofday_pb2 import TimeOfDay

from holdfast.availability.v1.availability_pb2 import GetDaySlotsRequest
from holdfast.availability.v1.booking_pb2 import CreateBookingRequest
from holdfast.catalog.v1.resource_pb2 import ResourceType
from shared.runtime.check import FieldCheck
from shared.runtime.failure import InvalidFields

WEEK = timedelta(days=7)


def violations(check: FieldCheck) -> dict[str, str]:
    with pytest.raises(InvalidFields) as refused:
        check.done()
    return dict(refused.value.violations)


def test_done_passes_when_nothing_failed() -> None:
    check = FieldCheck()

    check.identifier("resource_id", "studio-a")

    check.done()


def test_done_reports_every_violation_at_once() -> None:
    check = FieldCheck()

    check.identifier("resource_id", "")
    check.page_size(-1)

    assert set(violations(check)) == {"resource_id", "page_size"}


@pytest.mark.parametrize(
    "value",
    ["", "-a", ".a", "a b", "a/b", "é", "a\n", "a\x00", "a" * 129, "\ud800", "<b>"],
    ids=repr,
)
def test_identifier_refuses(value: str) -> None:
    check = FieldCheck()

    check.identifier("id", value)

    assert "id" in violations(check)


@pytest.mark.parametrize("value", ["a", "A1_.-", "a" * 128, "0190b5c4-7d2e-7cc3-98c4-dc0c0c07398f"])
def test_identifier_accepts(value: str) -> None:
    check = FieldCheck()

    assert check.identifier("id", value) == value

    check.done()


@pytest.mark.parametrize(
    "value", ["", "x", "{0190b5c4-7d2e-7cc3-98c4-dc0c0c07398f}", "0190b5c47d2e7cc398c4dc0c0c07398f"]
)
def test_request_id_refuses_what_is_not_a_canonical_uuid(value: str) -> None:
    check = FieldCheck()

    check.request_id(value)

    assert "request_id" in violations(check)


def test_request_id_ignores_case() -> None:
    assert FieldCheck().request_id("0190B5C4-7D2E-7CC3-98C4-DC0C0C07398F").startswith("0190b5c4")


@pytest.mark.parametrize(
    "value",
    ["", "   ", "a" * 11, "a\r\nBcc: b", "a\x00b", "a\x7f", "a\u2028b", "\x85", "a\tb"],
    ids=repr,
)
def test_text_refuses(value: str) -> None:
    check = FieldCheck()

    check.text("name", value, minimum=1, maximum=10)

    assert "name" in violations(check)


def test_text_accepts_any_script_and_markup() -> None:
    check = FieldCheck()

    for value in ("Größe", "スタジオ", "<b>x</b>", "👩‍🎤"):
        check.text("name", value, minimum=1, maximum=10)

    check.done()


def test_multiline_text_accepts_line_breaks_and_no_other_control() -> None:
    check = FieldCheck()

    check.text("a", "one\r\ntwo\tthree", maximum=100, multiline=True)
    check.text("b", "one\x00two", maximum=100, multiline=True)

    assert set(violations(check)) == {"b"}


def test_instant_never_rounds_onto_the_grid() -> None:
    request = CreateBookingRequest(start_time=Timestamp(seconds=900 * 2_000_000, nanos=1))

    found = FieldCheck().instant("start_time", request, "start_time")

    assert found == datetime.fromtimestamp(900 * 2_000_000, UTC) + timedelta(microseconds=1)


@pytest.mark.parametrize(
    "stamp",
    [
        None,
        Timestamp(seconds=-1),
        Timestamp(seconds=-62135596800),
        Timestamp(seconds=253402300800),
        Timestamp(seconds=1 << 62),
        Timestamp(seconds=900_000_000, nanos=-1),
        Timestamp(seconds=900_000_000, nanos=1_000_000_000),
    ],
    ids=repr,
)
def test_instant_refuses(stamp: Timestamp | None) -> None:
    check = FieldCheck()

    check.instant("start_time", CreateBookingRequest(start_time=stamp), "start_time")

    assert "start_time" in violations(check)


@pytest.mark.parametrize(
    "duration",
    [
        None,
        Duration(),
        Duration(seconds=-60),
        Duration(seconds=60, nanos=-1),
        Duration(seconds=8 * 86400),
        Duration(seconds=1 << 62),
        Duration(nanos=2_000_000_000),
    ],
    ids=repr,
)
def test_length_refuses(duration: Duration | None) -> None:
    check = FieldCheck()
    request = CreateBookingRequest(duration=duration)

    check.length("duration", request, "duration", minimum=timedelta(minutes=1), maximum=WEEK)

    assert "duration" in violations(check)


def test_length_takes_its_default_only_when_absent() -> None:
    check = FieldCheck()
    zero = timedelta(0)

    found = check.length(
        "duration", CreateBookingRequest(), "duration", minimum=zero, maximum=WEEK, default=zero
    )

    assert found == zero
    check.done()


@pytest.mark.parametrize(
    ("year", "month", "day"),
    [(2027, 2, 29), (0, 1, 1), (10000, 1, 1), (2027, 0, 1), (2027, 1, 0), (1970, 1, 1), (-1, 1, 1)],
)
def test_date_refuses(year: int, month: int, day: int) -> None:
    check = FieldCheck()

    check.date("date", GetDaySlotsRequest(date=Date(year=year, month=month, day=day)), "date")

    assert "date" in violations(check)


def test_date_accepts_a_leap_day() -> None:
    request = GetDaySlotsRequest(date=Date(year=2028, month=2, day=29))

    assert FieldCheck().date("date", request, "date") == date(2028, 2, 29)


@pytest.mark.parametrize(
    "time",
    [
        TimeOfDay(hours=24, minutes=15),
        TimeOfDay(hours=25),
        TimeOfDay(hours=-1, minutes=75),
        TimeOfDay(hours=1, minutes=60),
        TimeOfDay(hours=1, minutes=7),
        TimeOfDay(hours=1, seconds=1),
        TimeOfDay(hours=1, nanos=1),
    ],
    ids=repr,
)
def test_minute_refuses(time: TimeOfDay) -> None:
    check = FieldCheck()

    check.minute("start", time)

    assert "start" in violations(check)


def test_minute_accepts_the_end_of_the_day() -> None:
    assert FieldCheck().minute("end", TimeOfDay(hours=24)) == 1440


def test_enum_refuses_values_it_does_not_know() -> None:
    check = FieldCheck()

    check.enum("type", 99, ResourceType, required=False)
    check.enum("required", 0, ResourceType, required=True)
    check.enum("optional", 0, ResourceType, required=False)

    assert set(violations(check)) == {"type", "required"}


def test_identifiers_refuse_repeats_and_wrong_counts() -> None:
    check = FieldCheck()

    check.identifiers("twice", ["a", "a"], maximum=5)
    check.identifiers("none", [], minimum=1, maximum=5)
    check.identifiers("malformed", ["a", ""], maximum=5)

    assert set(violations(check)) == {"twice", "none", "malformed[1]"}
