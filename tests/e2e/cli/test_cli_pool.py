"""Several resources in one booking, pools, and what is free among many."""

from __future__ import annotations

from typing import Any

from tests.e2e.cli.desk import Desk

_DAY = "2027-03-09"
_TEN = f"{_DAY}T10:00"
_SESSION = ("--duration", "60", "--event-type", "session-1h")


def _book(desk: Desk, resource_id: str, *more: str, start: str = _TEN) -> dict[str, Any]:
    found: dict[str, Any] = desk.json("book", resource_id, start, *_SESSION, *more)
    return found


def _units_free(desk: Desk, *more: str) -> dict[str, int]:
    """How many microphones are free, by start."""
    found = desk.json("slots", "microphone", _DAY, *_SESSION, *more)
    return {slot["start_time"][11:16]: slot["units_free"] for slot in found["slots"]}


def test_a_bundle_takes_all_its_resources_or_none(desk: Desk) -> None:
    booked = _book(desk, "studio-a", "--with", "microphone:4")
    assert [(item["resource_id"], item["units"]) for item in booked["items"]] == [
        ("studio-a", 1),
        ("microphone", 4),
    ]

    done = desk.run("book", "studio-b", _TEN, *_SESSION, "--with", "microphone:3")

    assert done.returncode == 4
    assert f"slots microphone {_DAY} --duration 60 --event-type session-1h --units 3" in done.stderr
    assert _book(desk, "studio-b", "--with", "microphone:2")["state"] == "confirmed"
    assert "09:00" not in _units_free(desk)


def test_the_event_type_of_a_bundle_books_all_of_it(desk: Desk) -> None:
    desk.ok("event-types", "create", "a-trial", "--title", "Trial", "--duration", "60")
    desk.ok("link", "studio-a", "a-trial")
    together = ("book", "studio-a", _TEN, "--duration", "60", "--with", "microphone")

    assert desk.json(*together)["event_type_id"] == "session-1h"
    done = desk.run("book", "studio-a", _TEN, "--duration", "60", "--with", "keyboard-fp88")
    assert done.returncode == 1
    assert "NOT_LINKED: no active event type books studio-a and keyboard-fp88" in done.stderr


def test_an_addon_is_not_booked_alone(desk: Desk) -> None:
    done = desk.run("book", "microphone", _TEN, *_SESSION)

    assert done.returncode == 1
    assert "NOT_STANDALONE" in done.stderr
    assert "--with" in done.stderr


def test_slots_and_months_count_units(desk: Desk) -> None:
    assert _units_free(desk)["09:00"] == 6
    _book(desk, "studio-a", "--with", "microphone:4")

    assert _units_free(desk)["09:00"] == 2
    assert "09:00" in _units_free(desk, "--units", "2")
    assert "09:00" not in _units_free(desk, "--units", "3")
    month = desk.json("month", "microphone", *_SESSION, "--month", "2027-03", "--units", "7")
    assert not any(each["available"] for each in month["dates"])


def test_a_day_of_a_pool_is_drawn_with_its_units(desk: Desk) -> None:
    _book(desk, "studio-a", "--with", "microphone:4")

    drawn = desk.ok("day", "microphone", _DAY)

    assert "│▒▒▒▒│" in drawn
    assert " 4 units taken: 09:00-10:00\n" in drawn
    assert desk.json("day", "microphone", _DAY)["units_taken"][36:40] == [4, 4, 4, 4]


def test_a_pool_keeps_as_many_units_as_are_taken(desk: Desk) -> None:
    _book(desk, "studio-a", "--with", "microphone:4")
    assert desk.ok("capacity", "microphone") == "microphone has 6 units.\n"

    done = desk.run("capacity", "microphone", "3")

    assert done.returncode == 1
    assert f"  in use on (UTC): {_DAY}\n" in done.stderr
    assert desk.json("capacity", "microphone", "4") == {"resource_id": "microphone", "units": 4}
    assert "09:00" not in _units_free(desk)
    assert desk.json("verify")["difference_count"] == 0


def test_a_room_has_one_unit(desk: Desk) -> None:
    assert desk.ok("capacity", "studio-a") == "studio-a has 1 unit.\n"
    code, error = desk.refused("capacity", "studio-a", "2")

    assert (code, error["reason"]) == (1, "NOT_A_POOL")


def test_some_units_are_taken_out_of_use(desk: Desk) -> None:
    desk.ok("block", "microphone", _TEN, "1h", "--units", "2")
    assert _units_free(desk)["09:00"] == 4

    _book(desk, "studio-a", "--with", "microphone:4")

    assert desk.refused("block", "microphone", _TEN, "1h")[1]["reason"] == "SLOT_UNAVAILABLE"


def test_free_resources_are_found_with_what_is_wanted_beside_them(desk: Desk) -> None:
    _book(desk, "studio-a", "--with", "microphone:4")
    asked = ("find", *_SESSION, "--type", "room", "--from", _TEN, "--until", f"{_DAY}T10:15")

    def found(*more: str) -> list[str]:
        return [each["resource_id"] for each in desk.json(*asked, *more)["resources"]]

    assert found() == ["studio-b"]
    assert found("--with", "microphone:2") == ["studio-b"]
    assert found("--with", "microphone:3") == []


def test_what_is_found_is_a_line_for_each_start(desk: Desk) -> None:
    done = desk.call("find", *_SESSION, "--from", _DAY, "--limit", "1", "--starts", "2")

    lines = done.out.splitlines()
    assert lines[0].split() == ["RESOURCE", "START", "END", "UNITS", "FREE"]
    assert [line.split("  ") for line in lines[1:]] == [
        ["microphone", "2027-03-09 08:00+0100", "2027-03-09 09:00+0100", "6"],
        ["microphone", "2027-03-09 09:00+0100", "2027-03-09 10:00+0100", "6"],
    ]
    assert "2 more resources would do: raise --limit" in done.err


def test_resources_are_found_by_inventory_alone(desk: Desk) -> None:
    night = f"{_DAY}T03:00"

    found = desk.json(
        "find", "--type", "room", "--duration", "45m",
        "--from", night, "--until", f"{_DAY}T03:15",
    )  # fmt: skip

    assert [each["resource_id"] for each in found["resources"]] == ["studio-a", "studio-b"]
    assert found["duration_minutes"] == 45


def test_nothing_free_is_said_and_is_no_failure(desk: Desk) -> None:
    desk.ok("block", "studio-a", f"{_DAY}T00:00", "1d")
    desk.ok("block", "studio-b", f"{_DAY}T00:00", "1d")

    done = desk.call("find", "--type", "room", "--duration", "60", "--from", _TEN, "--until",
                     f"{_DAY}T11:00")  # fmt: skip

    assert (done.code, done.out) == (0, "")
    assert "No free resource: 1 h from 2027-03-09 10:00 to 2027-03-09 11:00" in done.err


def test_a_day_is_written_anew_from_its_bookings(desk: Desk) -> None:
    _book(desk, "studio-a", "--with", "microphone:4")

    before = desk.json("day", "microphone", _DAY)
    after = desk.json("rebuild", "microphone", _DAY, "--yes")

    assert after["busy_bits"] == before["busy_bits"]
    assert after["units_taken"] == before["units_taken"]
    assert desk.json("verify")["difference_count"] == 0
