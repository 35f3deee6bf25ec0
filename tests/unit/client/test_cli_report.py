from __future__ import annotations

import json

import grpc
import pytest

from holdfast.availability.v1 import error_reason_pb2 as availability_reasons
from holdfast.catalog.v1 import error_reason_pb2 as catalog_reasons
from holdfast.presence.v1 import error_reason_pb2 as presence_reasons
from shared.client.cli import report
from shared.client.cli.invocation import Invocation
from shared.client.failure import FieldViolation, HoldfastError


def _invocation(zone: str = "UTC") -> Invocation:
    found = Invocation({}, {"availability": "127.0.0.1:9", "timeout": 2.0})
    found.shown_zone = zone
    return found


def _taken() -> HoldfastError:
    return HoldfastError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "SLOT_UNAVAILABLE",
        "some of the time is taken",
        metadata={"resource_id": "studio-a", "quanta.2027-03-09": "36,37,38,39,95"},
        service="availability",
    )


@pytest.mark.parametrize(
    ("code", "reason", "exit_code"),
    [
        ("FAILED_PRECONDITION", "OUTSIDE_SCHEDULE", 1),
        ("FAILED_PRECONDITION", "IN_USE", 1),
        ("FAILED_PRECONDITION", "INVALID_STATE", 1),
        ("FAILED_PRECONDITION", "NOT_A_POOL", 1),
        ("PERMISSION_DENIED", "NOT_ALLOWED", 1),
        ("PERMISSION_DENIED", "PERMISSION_DENIED", 1),
        ("OUT_OF_RANGE", "TOKEN_EXPIRED", 2),
        ("INVALID_ARGUMENT", "INVALID_FIELD", 2),
        ("INVALID_ARGUMENT", "OFF_GRID", 2),
        ("NOT_FOUND", "NOT_FOUND", 3),
        ("FAILED_PRECONDITION", "SLOT_UNAVAILABLE", 4),
        ("FAILED_PRECONDITION", "SLOT_HELD", 4),
        ("ALREADY_EXISTS", "ID_TAKEN", 4),
        ("ALREADY_EXISTS", "SLUG_TAKEN", 4),
        ("ABORTED", "CONTENDED", 4),
        ("ABORTED", "STALE_ETAG", 4),
        ("UNAVAILABLE", "UNAVAILABLE", 5),
        ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", 5),
        ("RESOURCE_EXHAUSTED", "OVERLOADED", 5),
        ("INTERNAL", "INTERNAL", 6),
        ("UNKNOWN", "UNKNOWN", 6),
        ("UNIMPLEMENTED", "UNIMPLEMENTED", 6),
    ],
)
def test_each_refusal_has_its_exit_code(code: str, reason: str, exit_code: int) -> None:
    error = HoldfastError(grpc.StatusCode[code], reason, "no")

    assert report.exit_code(error) == exit_code


def test_held_time_is_told_as_held() -> None:
    metadata = {"quanta.2027-03-09": "36,37,38,39"}
    error = HoldfastError(
        grpc.StatusCode.FAILED_PRECONDITION, "SLOT_HELD", "somebody holds it", metadata=metadata
    )

    lines = report.as_text(error, _invocation("Europe/Berlin")).splitlines()

    assert lines[1] == "  held: Tue 9 March 2027, 10:00 to 11:00 (Europe/Berlin)"


def test_taken_time_is_told_by_the_clock_in_use() -> None:
    lines = report.as_text(_taken(), _invocation("Europe/Berlin")).splitlines()

    assert lines == [
        "holdfast: SLOT_UNAVAILABLE: some of the time is taken",
        "  taken: Tue 9 March 2027, 10:00 to 11:00 (Europe/Berlin)",
        "  taken: Wed 10 March 2027, 00:45 to 01:00 (Europe/Berlin)",
        "  `holdfast slots` lists the starts that are free",
    ]


def test_a_commands_own_advice_goes_before_the_general_one() -> None:
    error = _taken()
    error.add_note("see what is free: holdfast slots studio-a 2027-03-09 --duration 60")

    lines = report.as_text(error, _invocation()).splitlines()

    assert lines[-1] == "  see what is free: holdfast slots studio-a 2027-03-09 --duration 60"
    assert "lists the starts" not in "".join(lines)


def test_the_earliest_start_is_told_by_the_clock_in_use() -> None:
    error = HoldfastError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "TOO_SOON",
        "too soon",
        metadata={"earliest": "2027-03-09T09:00:00Z"},
    )

    lines = report.as_text(error, _invocation("Europe/Berlin")).splitlines()

    assert lines[1] == "  earliest: 2027-03-09 10:00 (Europe/Berlin)"


def test_bookings_in_the_way_of_a_block_are_named() -> None:
    metadata = {"bookings": "b-1,b-2", "more_dates": "3"}
    error = HoldfastError(
        grpc.StatusCode.FAILED_PRECONDITION, "SLOT_UNAVAILABLE", "taken", metadata=metadata
    )

    lines = report.as_text(error, _invocation()).splitlines()

    assert lines[1:3] == ["  in its way: b-1, b-2", "  and on 3 more dates"]


def test_dates_on_which_a_pool_is_in_use_are_named() -> None:
    error = HoldfastError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "IN_USE",
        "3 units are taken",
        metadata={"dates": "2027-03-09,2027-03-10"},
    )

    lines = report.as_text(error, _invocation()).splitlines()

    assert lines[1] == "  in use on (UTC): 2027-03-09, 2027-03-10"


@pytest.mark.parametrize("value", ["x", "36,,37", "-1"])
def test_quanta_that_cannot_be_read_are_shown_as_they_came(value: str) -> None:
    error = HoldfastError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "SLOT_UNAVAILABLE",
        "taken",
        metadata={"quanta.2027-03-09": value},
    )

    assert f"  taken: 2027-03-09 {value}" in report.as_text(error, _invocation())


def test_each_field_at_fault_has_its_line() -> None:
    error = HoldfastError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
        "2 fields",
        fields=[FieldViolation("resource.name", "is empty"), FieldViolation("x", "is odd")],
    )

    lines = report.as_text(error, _invocation()).splitlines()

    assert lines == [
        "holdfast: INVALID_FIELD: 2 values cannot be taken",
        "  resource.name: is empty",
        "  x: is odd",
    ]


def test_a_service_that_cannot_be_reached_is_named_with_its_address() -> None:
    error = HoldfastError(
        grpc.StatusCode.UNAVAILABLE,
        "UNAVAILABLE",
        "failing; last error: UNKNOWN: ipv4:127.0.0.1:9: Connection refused",
        service="availability",
        is_answer=False,
    )

    found = report.as_text(error, _invocation())

    assert "availability at 127.0.0.1:9 cannot be reached (Connection refused)" in found
    assert "make run" in found
    assert "--availability" in found


def test_a_service_that_speaks_for_itself_is_quoted() -> None:
    error = HoldfastError(
        grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "the store is down", service="availability"
    )

    found = report.as_text(error, _invocation())

    assert found == "holdfast: UNAVAILABLE: the store is down"


def test_a_deadline_names_how_long_was_waited() -> None:
    error = HoldfastError(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "DEADLINE_EXCEEDED",
        "Deadline Exceeded",
        service="availability",
        is_answer=False,
    )

    assert "availability at 127.0.0.1:9 did not answer within 2 s" in report.as_text(
        error, _invocation()
    )


def test_a_services_words_cannot_drive_the_terminal() -> None:
    error = HoldfastError(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "no \x1b[2J here")

    assert "\x1b" not in report.as_text(error, _invocation())
    assert "\x1b" not in report.as_json(error)


def test_json_carries_everything_a_script_needs() -> None:
    found = json.loads(report.as_json(_taken()))["error"]

    assert found == {
        "code": "FAILED_PRECONDITION",
        "reason": "SLOT_UNAVAILABLE",
        "message": "some of the time is taken",
        "exit_code": 4,
        "service": "availability",
        "metadata": {"resource_id": "studio-a", "quanta.2027-03-09": "36,37,38,39,95"},
        "fields": [],
    }


def test_advice_is_given_for_reasons_that_exist() -> None:
    known = {
        name.removeprefix("ERROR_REASON_")
        for module in (availability_reasons, catalog_reasons, presence_reasons)
        for name in module.ErrorReason.keys()  # noqa: SIM118  # an enum wrapper is no map
    }

    assert set(report._ADVICE) <= known
