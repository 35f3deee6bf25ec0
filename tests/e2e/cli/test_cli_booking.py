from __future__ import annotations

import shlex
import uuid

from tests.e2e.cli.desk import Desk
from tests.e2e.running import HOLDFAST

_DAY = "2027-03-09"
_TEN = f"{_DAY}T10:00"


def _book(desk: Desk, *more: str, start: str = _TEN) -> str:
    return str(desk.json("book", "studio-a", start, "--duration", "60", *more)["booking_id"])


def test_a_booking_is_made_shown_listed_and_cancelled(desk: Desk) -> None:
    booked = desk.json(
        "book", "studio-a", _TEN, "--duration", "60",
        "--booker", "band-7", "--name", "Ada", "--email", "ada@example.org",
    )  # fmt: skip
    name = booked["booking_id"]

    assert booked["start_time"] == "2027-03-09T09:00:00Z"
    assert booked["end_time"] == "2027-03-09T10:00:00Z"
    assert booked["state"] == "confirmed"
    assert booked["event_type_id"] == "session-1h"
    assert booked["booker"] == {"booker_id": "band-7", "name": "Ada", "email": "ada@example.org"}
    assert len(booked.pop("management_token")) == 43
    shown = desk.json("bookings", "show", name)
    (created,) = shown.pop("history")
    assert (created["kind"], created["actor_id"]) == ("created", "band-7")
    assert shown == booked
    assert desk.json("bookings", "list", "--resource", "studio-a") == [booked]
    assert desk.json("bookings", "list") == [booked]

    cancelled = desk.json("cancel", name, "--reason", "ill")

    assert cancelled["state"] == "cancelled"
    assert cancelled["cancel_reason"] == "ill"
    assert desk.json("bookings", "list") == []
    assert desk.json("bookings", "list", "--state", "any") == [cancelled]
    assert desk.json("bookings", "list", "--state", "cancelled") == [cancelled]


def test_a_taken_slot_ends_with_four_and_says_what_is_free(desk: Desk) -> None:
    _book(desk)

    done = desk.run("book", "studio-a", _TEN, "--duration", "60", "--event-type", "session-1h")

    assert done.returncode == 4
    assert done.stdout == ""
    first, *facts = done.stderr.splitlines()
    assert first.startswith("holdfast: SLOT_UNAVAILABLE: ")
    program = shlex.quote(str(HOLDFAST))
    assert facts == [
        "  taken: Tue 9 March 2027, 10:00 to 11:00 (Europe/Berlin)",
        "  see what is free:",
        f"    {program} slots studio-a {_DAY} --duration 60 --event-type session-1h",
    ]
    assert "10:00-11:00" not in desk.ok(*shlex.split(facts[-1])[1:])


def test_a_taken_slot_is_an_error_object_for_scripts(desk: Desk) -> None:
    _book(desk)

    code, error = desk.refused("book", "studio-a", _TEN, "--duration", "60")

    assert code == 4
    assert error["code"] == "FAILED_PRECONDITION"
    assert error["reason"] == "SLOT_UNAVAILABLE"
    assert error["service"] == "availability"
    assert error["metadata"] == {"resource_id": "studio-a", "quanta.2027-03-09": "36,37,38,39"}


def test_cancelling_frees_the_time(desk: Desk) -> None:
    desk.ok("cancel", _book(desk))

    _book(desk)


def test_cancelling_twice_is_refused_by_a_rule(desk: Desk) -> None:
    name = _book(desk)
    desk.ok("cancel", name)

    code, error = desk.refused("cancel", name)

    assert (code, error["reason"]) == (1, "INVALID_STATE")


def test_the_same_request_id_books_once(desk: Desk) -> None:
    request_id = str(uuid.uuid4())

    first = _book(desk, "--request-id", request_id)
    second = _book(desk, "--request-id", request_id)

    assert first == second
    assert len(desk.json("bookings", "list")) == 1


def test_a_request_id_for_something_else_is_a_mistake(desk: Desk) -> None:
    request_id = str(uuid.uuid4())
    _book(desk, "--request-id", request_id)

    code, error = desk.refused(
        "book", "studio-b", _TEN, "--duration", "60", "--request-id", request_id
    )

    assert (code, error["reason"]) == (2, "REQUEST_ID_REUSED")


def test_a_taken_booking_id_ends_with_four(desk: Desk) -> None:
    _book(desk, "--id", "b-1")

    code, error = desk.refused("book", "studio-b", _TEN, "--duration", "60", "--id", "b-1")

    assert (code, error["reason"]) == (4, "ID_TAKEN")


def test_rules_that_refuse_end_with_one(desk: Desk) -> None:
    for start, reason in (
        (f"{_DAY}T05:00", "OUTSIDE_SCHEDULE"),
        (f"{_DAY}T10:15", "NOT_OFFERED_START"),
        ("2027-02-09T10:00", "TOO_SOON"),
    ):
        code, error = desk.refused("book", "studio-a", start, "--duration", "60")

        assert (code, error["reason"]) == (1, reason)


def test_values_that_are_wrong_end_with_two(desk: Desk) -> None:
    for arguments, reason in (
        (["book", "studio-a", f"{_DAY}T10:05", "--duration", "60"], "OFF_GRID"),
        (["book", "studio-a", _TEN, "--duration", "60", "--email", "nobody"], "INVALID_FIELD"),
        (["book", "studio-a", "2027-03-28T02:30", "--duration", "60"], "WALL_TIME_SKIPPED"),
    ):
        code, error = desk.refused(*arguments)

        assert (code, error["reason"]) == (2, reason)


def test_a_length_that_is_not_on_offer_shows_the_menu(desk: Desk) -> None:
    done = desk.run("book", "studio-a", _TEN, "--duration", "45")

    assert done.returncode == 1
    assert "DURATION_NOT_OFFERED: studio-a is not offered for 45 min; on offer: " in done.stderr
    assert "1, 2 or 5 h (session)" in done.stderr


def test_without_a_length_the_menu_is_shown(desk: Desk) -> None:
    done = desk.run("book", "studio-a", _TEN)

    assert done.returncode == 2
    assert "--duration is needed; on offer: " in done.stderr


def test_which_of_several_event_types_was_taken_is_said_beside_the_result(desk: Desk) -> None:
    done = desk.call("slots", "studio-a", _DAY, "--duration", "60")
    for_scripts = desk.call("-o", "json", "slots", "studio-a", _DAY, "--duration", "60")

    assert done.err == "event type: session-1h (possible too, with --event-type: session)\n"
    assert for_scripts.err == ""


def test_an_unknown_resource_ends_with_three(desk: Desk) -> None:
    for arguments in (
        ["book", "studio-z", _TEN, "--duration", "60"],
        ["slots", "studio-z", _DAY, "--duration", "60", "--event-type", "session-1h"],
        ["month", "studio-z", "--duration", "60"],
        ["day", "studio-z", _DAY],
        ["resources", "show", "studio-z"],
        ["bookings", "show", "b-0"],
        ["cancel", "b-0"],
    ):
        code, error = desk.refused(*arguments)

        assert (code, error["reason"]) == (3, "NOT_FOUND")


def test_an_event_type_that_does_not_book_the_resource_is_refused(desk: Desk) -> None:
    code, error = desk.refused(
        "book", "studio-a", _TEN, "--duration", "1d", "--event-type", "rental"
    )

    assert (code, error["reason"]) == (1, "NOT_LINKED")


def test_a_start_is_read_by_the_schedules_clock_unless_it_says_otherwise(desk: Desk) -> None:
    starts = {
        start: desk.json("book", "studio-a", start, "--duration", "60", *more)["start_time"]
        for start, *more in (
            [f"{_DAY}T11:00"],
            [f"{_DAY}T11:00Z"],
            [f"{_DAY}T16:00+02:00"],
            [f"{_DAY}T12:00", "--time-zone", "America/New_York"],
        )
    }

    assert list(starts.values()) == [
        "2027-03-09T10:00:00Z",
        "2027-03-09T11:00:00Z",
        "2027-03-09T14:00:00Z",
        "2027-03-09T17:00:00Z",
    ]


def test_a_start_that_happens_twice_is_the_earlier_and_said(desk: Desk) -> None:
    desk.ok("schedules", "update", "studio-hours", "--hours", "daily 00:00-24:00")

    night = ("studio-a", "2027-10-31", "--duration", "60", "--event-type", "session-1h")
    desk.soon("slots", *night, fact=lambda found: len(found["slots"]) > 14)

    done = desk.call("book", "studio-a", "2027-10-31T02:00", "--duration", "60")

    assert done.code == 0
    assert "02:00 happens twice that day in Europe/Berlin: the earlier one is taken" in done.err
    (booked,) = desk.json("bookings", "list")
    assert booked["start_time"] == "2027-10-31T00:00:00Z"


def test_a_rental_goes_over_closed_hours(desk: Desk) -> None:
    booked = desk.json("book", "keyboard-fp88", f"{_DAY}T09:00", "--duration", "2d")

    assert booked["event_type_id"] == "rental"
    assert booked["end_time"] == "2027-03-11T08:00:00Z"
    assert desk.json("day", "keyboard-fp88", "2027-03-10")["busy_bits"] == "1" * 96


def test_the_only_location_is_taken_and_one_of_several_must_be_named(desk: Desk) -> None:
    desk.ok("event-types", "update", "session-1h", "--location", "Hall 1")
    one = desk.soon("book", "studio-a", _TEN, "--duration", "60")
    desk.ok("event-types", "update", "session-1h", "--location", "Hall 1", "--location", "Hall 2")

    done = desk.run("book", "studio-b", _TEN, "--duration", "60")
    two = desk.soon("book", "studio-b", _TEN, "--duration", "60", "--location", "Hall 2")

    assert one["location"] == "Hall 1"
    assert done.returncode == 2
    assert "--location is needed, one of: Hall 1, Hall 2" in done.stderr
    assert two["location"] == "Hall 2"


def test_bookings_are_listed_by_start_and_filtered(desk: Desk) -> None:
    for hour in ("12", "10", "11"):
        _book(desk, "--booker", f"band-{hour}", start=f"{_DAY}T{hour}:00")
    _book(desk, start="2027-03-10T10:00")

    def starts(*arguments: str) -> list[str]:
        return [row["start_time"][5:13] for row in desk.json("bookings", "list", *arguments)]

    assert starts() == ["03-09T09", "03-09T10", "03-09T11", "03-10T09"]
    assert starts("--limit", "2") == ["03-09T09", "03-09T10"]
    assert starts("--booker", "band-11") == ["03-09T10"]
    assert starts("--event-type", "session") == []
    assert starts("--until", "2027-03-10", "--resource", "studio-a") == [
        "03-09T09",
        "03-09T10",
        "03-09T11",
    ]
    assert starts("--from", "2027-03-10") == ["03-10T09"]


def test_a_list_in_a_pipe_is_a_line_for_each_booking(desk: Desk) -> None:
    name = _book(desk, "--booker", "band-7")

    lines = desk.ok("bookings", "list").splitlines()

    assert len(lines) == 2
    assert lines[1] == (
        f"2027-03-09 10:00  1 h     studio-a  confirmed  {name}  session-1h  band-7"
    )
