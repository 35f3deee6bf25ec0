from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta

import grpc
import pytest

from holdfast.catalog.v1.offering_pb2 import Offering
from shared.client.cli.choice import Choice, instant_of
from shared.client.cli.offer import Offer
from shared.client.cli.output import Output
from shared.client.failure import HoldfastError
from shared.slots.zone import zone

_BERLIN = zone("Europe/Berlin")
_CHOICE = Choice(
    "studio-a",
    Offer("session", timedelta(hours=2)),
    Offering(),
    _BERLIN,
    datetime(2027, 3, 9, 23, 30, tzinfo=UTC),
)
_SLOTS = "2027-03-10 --duration 120 --event-type session"


def _refusal(reason: str, **metadata: str) -> HoldfastError:
    code = grpc.StatusCode.FAILED_PRECONDITION
    return HoldfastError(code, reason, "no", metadata=metadata)


def _notes(error: HoldfastError) -> list[str]:
    return list(getattr(error, "__notes__", []))


def test_a_taken_start_is_answered_with_what_is_free_on_its_local_date() -> None:
    error = _refusal("SLOT_UNAVAILABLE", resource_id="studio-a")

    _CHOICE.advise(error, "holdfast")

    assert _notes(error) == ["see what is free:", f"  holdfast slots studio-a {_SLOTS}"]


def test_the_resource_of_a_bundle_that_is_taken_is_asked_about_with_its_units() -> None:
    error = _refusal("SLOT_UNAVAILABLE", resource_id="mic")

    _CHOICE.advise(error, "holdfast", units={"studio-a": 1, "mic": 3}, moving="b-1")

    assert _notes(error)[1] == f"  holdfast slots mic {_SLOTS} --units 3 --moving b-1"


def test_a_refusal_that_another_start_does_not_mend_gets_no_such_advice() -> None:
    error = _refusal("NOT_LINKED")

    _CHOICE.advise(error, "holdfast")

    assert _notes(error) == []


@pytest.mark.parametrize(
    ("when", "instant"),
    [
        (date(2027, 3, 9), "2027-03-08T23:00Z"),
        (datetime(2027, 3, 9, 10), "2027-03-09T09:00Z"),  # noqa: DTZ001  # a wall time
        (datetime(2027, 3, 9, 10, tzinfo=UTC), "2027-03-09T10:00Z"),
    ],
    ids=["a date", "a wall time", "an instant"],
)
def test_a_moment_is_read_by_the_clock_of_the_zone(when: date, instant: str) -> None:
    found = instant_of(Output("table", io.StringIO(), io.StringIO()), when, _BERLIN)

    assert found == datetime.fromisoformat(instant)
