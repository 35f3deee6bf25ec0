"""What becomes of bookings: confirmed, declined, moved, completed, cancelled; and what is told."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.e2e.cli.desk import Desk
from tests.e2e.cli.program import running

_DAY = "2027-03-09"
_TEN = f"{_DAY}T10:00"
# Before the clock of the tests began.
_PAST = "2027-02-26T10:00"


def _book(desk: Desk, *more: str, start: str = _TEN) -> dict[str, Any]:
    found: dict[str, Any] = desk.json("book", "studio-a", start, "--duration", "60", *more)
    return found


def _history(desk: Desk, booking_id: str) -> list[tuple[str, str, str]]:
    """What happened to it, who did it and why."""
    return [
        (event["kind"], event["actor_id"], event["reason"])
        for event in desk.json("history", booking_id)
    ]


@pytest.fixture
def audition(desk: Desk) -> Desk:
    """Somebody whose studio-a has an event type that requires confirmation."""
    desk.ok(
        "event-types", "create", "audition", "--title", "Audition", "--duration", "60",
        "--requires-confirmation",
    )  # fmt: skip
    desk.ok("link", "studio-a", "audition")
    desk.soon("slots", "studio-a", _DAY, "--duration", "60", "--event-type", "audition")
    return desk


def test_a_provisional_booking_is_confirmed(desk: Desk) -> None:
    booked = _book(desk, "--provisional", "15m", "--event-type", "session-1h")
    assert booked["state"] == "provisional"
    assert booked["expire_time"] is not None

    confirmed = desk.json("confirm", booked["booking_id"], "--actor", "ada", "--reason", "paid")

    assert (confirmed["state"], confirmed["expire_time"]) == ("confirmed", None)
    assert _history(desk, booked["booking_id"])[1:] == [("confirmed", "ada", "paid")]


def test_what_waits_for_confirmation_occupies_its_time_until_it_is_declined(audition: Desk) -> None:
    booked = _book(audition, "--event-type", "audition")
    assert booked["state"] == "pending"
    assert audition.json("bookings", "list", "--state", "pending")[0]["state"] == "pending"
    code, error = audition.refused(
        "book", "studio-a", _TEN, "--duration", "60", "--event-type", "session-1h"
    )
    assert (code, error["reason"]) == (4, "SLOT_UNAVAILABLE")

    declined = audition.json("decline", booked["booking_id"], "--reason", "full", "--actor", "ben")

    assert (declined["state"], declined["cancel_reason"]) == ("declined", "full")
    assert _book(audition, "--event-type", "session-1h")["state"] == "confirmed"


def test_a_provisional_booking_that_requires_confirmation_is_confirmed_twice(
    audition: Desk,
) -> None:
    name = _book(audition, "--event-type", "audition", "--provisional", "1h")["booking_id"]

    assert audition.json("confirm", name)["state"] == "pending"
    assert audition.json("confirm", name)["state"] == "confirmed"
    code, error = audition.refused("confirm", name)
    assert (code, error["reason"]) == (1, "INVALID_STATE")
    assert error["metadata"]["state"].lower() == "confirmed"


def test_a_booking_that_began_is_completed_and_one_that_did_not_is_not(desk: Desk) -> None:
    ahead = _book(desk)["booking_id"]
    begun = _book(desk, "--override", "written down late", start=_PAST)["booking_id"]

    assert desk.json("complete", begun)["state"] == "completed"
    code, error = desk.refused("complete", ahead)
    assert (code, error["reason"]) == (1, "INVALID_STATE")


def test_an_override_is_in_the_history(desk: Desk) -> None:
    night = f"{_DAY}T03:00"
    assert desk.refused("book", "studio-a", night, "--duration", "60")[1]["reason"] == (
        "OUTSIDE_SCHEDULE"
    )

    name = _book(desk, "--override", "a film is shot", start=night)["booking_id"]

    (created,) = desk.json("history", name)
    assert (created["overridden"], created["reason"]) == (True, "a film is shot")
    assert "created, overridden" in desk.ok("bookings", "show", name)


def test_a_booking_is_moved_over_its_own_time(desk: Desk) -> None:
    name = _book(desk, "--event-type", "session")["booking_id"]
    free = desk.json(
        "slots", "studio-a", _DAY, "--duration", "60", "--event-type", "session", "--moving", name
    )
    assert f"{_DAY}T09:30:00Z" in [slot["start_time"] for slot in free["slots"]]

    moved = desk.json("reschedule", name, f"{_DAY}T10:30", "--reason", "late", "--actor", "ada")

    assert moved["booking_id"] == name
    assert moved["start_time"] == f"{_DAY}T09:30:00Z"
    assert (moved["state"], moved["sequence"]) == ("confirmed", 1)
    assert _history(desk, name)[1:] == [("rescheduled", "ada", "late")]


def test_a_move_may_change_the_length(desk: Desk) -> None:
    name = _book(desk, "--event-type", "session")["booking_id"]

    moved = desk.json("reschedule", name, _TEN, "--duration", "2h")

    assert moved["end_time"] == f"{_DAY}T11:00:00Z"


def test_a_move_to_taken_time_is_refused_and_says_what_is_free(desk: Desk) -> None:
    name = _book(desk)["booking_id"]
    _book(desk, start=f"{_DAY}T13:00")

    done = desk.run("reschedule", name, f"{_DAY}T13:00")

    assert done.returncode == 4
    assert f"slots studio-a {_DAY} --duration 60 --event-type session-1h --moving {name}" in (
        done.stderr
    )
    assert desk.json("bookings", "show", name)["start_time"] == f"{_DAY}T09:00:00Z"


def test_a_management_token_is_good_for_its_own_booking_alone(desk: Desk) -> None:
    first, second = _book(desk), _book(desk, start=f"{_DAY}T13:00")
    name, token = first["booking_id"], first["management_token"]
    others = second["management_token"]

    for command in (
        ["bookings", "show", name],
        ["cancel", name],
        ["reschedule", name, f"{_DAY}T15:00"],
    ):
        code, error = desk.refused(*command, "--token", others)
        assert (code, error["reason"]) == (3, "NOT_FOUND")

    assert desk.json("bookings", "show", name, "--token", token)["booking_id"] == name
    assert desk.json("reschedule", name, f"{_DAY}T15:00", "--token", token)["sequence"] == 1
    assert desk.json("cancel", name, "--token", token)["state"] == "cancelled"


def test_a_repeated_booking_tells_the_same_token_again(desk: Desk) -> None:
    repeated = ("--request-id", "6d9a4c5e-0b5c-4a3f-8a5e-2f1f0d6f9a10")

    assert _book(desk, *repeated) == _book(desk, *repeated)


def test_a_booking_is_told_in_words(desk: Desk) -> None:
    lines = desk.ok("book", "studio-a", _TEN, "--duration", "60").splitlines()

    assert lines[0] == ("Booked studio-a for 1 h: Tue 9 March 2027, 10:00 to 11:00 (Europe/Berlin)")
    assert lines[-2] == "Whoever has its management token may see, move and cancel it (--token):"
    assert len(lines[-1].strip()) == 43


def test_a_shown_booking_has_its_history_below(desk: Desk) -> None:
    name = _book(desk)["booking_id"]
    desk.ok("cancel", name, "--reason", "ill", "--actor", "ada")

    lines = desk.ok("bookings", "show", name).splitlines()

    assert "State" in lines[1]
    assert lines[1].endswith("cancelled")
    below = lines[lines.index("History") + 1 :]
    assert below[0].split() == ["WHEN", "WHAT", "STATE", "START", "BY", "WHY"]
    assert below[2].split()[2:4] == ["cancelled", "cancelled"]
    assert below[2].endswith("ada     ill") or below[2].split()[-2:] == ["ada", "ill"]


def test_a_block_takes_time_out_of_use_until_it_is_cancelled(desk: Desk) -> None:
    made = desk.json("block", "studio-a", f"{_DAY}T03:00", "8h", "--reason", "tuning")

    assert (made["kind"], made["block_reason"]) == ("block", "tuning")
    assert made["start_time"] == f"{_DAY}T02:00:00Z"
    assert desk.refused("book", "studio-a", _TEN, "--duration", "60")[0] == 4
    assert desk.json("bookings", "list") == []
    assert desk.json("blocks", "studio-a") == desk.json("blocks") == [made]
    assert desk.refused("blocks", "list")[0] == 2
    assert desk.json("bookings", "list", "--kind", "block", "--from", _DAY) == [made]

    desk.ok("cancel", made["booking_id"])

    assert desk.json("blocks") == []
    assert [each["state"] for each in desk.json("blocks", "--state", "any")] == ["cancelled"]
    _book(desk)


def test_a_block_until_a_date_ends_with_its_beginning(desk: Desk) -> None:
    made = desk.json("block", "studio-a", f"{_DAY}T12:00", "--until", "2027-03-11")

    assert made["end_time"] == "2027-03-10T23:00:00Z"


def test_a_block_names_the_bookings_in_its_way(desk: Desk) -> None:
    name = _book(desk)["booking_id"]

    done = desk.run("block", "studio-a", f"{_DAY}T08:00", "8h")

    assert done.returncode == 4
    assert f"  in its way: {name}\n" in done.stderr


def test_a_block_is_not_moved(desk: Desk) -> None:
    name = desk.json("block", "studio-a", _TEN, "1h")["booking_id"]

    code, error = desk.refused("reschedule", name, f"{_DAY}T13:00")

    assert code == 2
    assert "is a block, which cannot be moved" in error["message"]


def test_events_are_told_from_the_oldest_on_and_after_a_token(desk: Desk) -> None:
    name = _book(desk, "--booker", "band-7")["booking_id"]
    desk.ok("cancel", name, "--reason", "ill", "--actor", "ada")

    whole = desk.ok("-o", "json", "events", "--from-oldest", "--for", "0.5").splitlines()

    told = [each for each in map(json.loads, whole) if each["event"]]
    assert [(each["event"]["kind"], each["event"]["revision"]) for each in told] == [
        ("created", 0),
        ("cancelled", 1),
    ]
    assert {each["booking"]["booking_id"] for each in told} == {name}

    after = told[0]["resume_token"]
    rest = desk.ok("-o", "json", "events", "--after", after, "--for", "0.5").splitlines()

    assert [json.loads(line)["event"]["kind"] for line in rest if '"event":{' in line] == [
        "cancelled"
    ]


def test_events_are_told_as_they_happen(desk: Desk) -> None:
    with running(desk, "-o", "json", "events") as watching:
        assert watching.json()["event"] is None  # it is heard

        name = _book(desk)["booking_id"]
        created = json.loads(watching.until(lambda line: '"event":{' in line))
        desk.ok("cancel", name)
        cancelled = json.loads(watching.until(lambda line: '"event":{' in line))
        assert watching.end(signal.SIGINT) == 0

    assert created["event"]["booking_id"] == cancelled["event"]["booking_id"] == name
    assert (created["event"]["kind"], cancelled["event"]["kind"]) == ("created", "cancelled")


def test_a_line_of_events_is_for_people_and_the_end_says_how_to_go_on(desk: Desk) -> None:
    name = _book(desk)["booking_id"]

    done = desk.call("events", "--from-oldest", "--for", "0.5")

    (line,) = done.out.splitlines()
    assert line.split("  ")[1:6] == [
        "booking created", name, "studio-a", "2027-03-09 10:00+0100", "2027-03-09 11:00+0100",
    ]  # fmt: skip
    assert done.err.splitlines()[-1].startswith("    holdfast events --after ")


def test_a_token_that_no_watch_gave_is_refused(desk: Desk) -> None:
    code, error = desk.refused("events", "--after", "00ff")

    assert (code, error["reason"]) == (2, "INVALID_RESUME_TOKEN")
