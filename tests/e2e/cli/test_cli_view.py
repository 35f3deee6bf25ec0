from __future__ import annotations

from typing import Any

from tests.e2e.cli.desk import Desk

_DAY = "2027-03-09"
_MONTH = ("month", "studio-a", "--duration", "60", "--month", "2027-03")


def _is_closed_on_the_tenth(found: Any) -> bool:
    return {"date": "2027-03-10", "available": False} in found["dates"]


def test_the_free_starts_of_a_day_are_those_of_the_schedule(desk: Desk) -> None:
    found = desk.json("slots", "studio-a", _DAY, "--duration", "300")

    assert found["event_type_id"] == "session-5h"
    assert found["duration_minutes"] == 300
    assert found["time_zone"] == "Europe/Berlin"
    assert [slot["start_time"] for slot in found["slots"]] == [
        f"{_DAY}T{hour:02d}:00:00Z" for hour in range(7, 17)
    ]
    assert found["slots"][0] == {
        "start_time": f"{_DAY}T07:00:00Z",
        "end_time": f"{_DAY}T12:00:00Z",
        "occupancy_start_time": f"{_DAY}T07:00:00Z",
        "occupancy_end_time": f"{_DAY}T12:00:00Z",
        "units_free": 1,
    }
    assert found["day_versions"] == [{"resource_id": "studio-a", "date": _DAY, "version": 0}]


def test_a_pipe_gets_a_line_for_each_start(desk: Desk) -> None:
    lines = desk.ok("slots", "studio-a", _DAY, "--duration", "5h").splitlines()

    assert lines[0].split() == [
        *("START", "END", "TAKEN", "FROM", "TAKEN", "UNTIL", "UNITS", "FREE")
    ]
    assert lines[1].startswith("2027-03-09 08:00+0100  2027-03-09 13:00+0100")
    assert len(lines) == 11


def test_a_day_without_a_start_says_so_and_is_no_failure(desk: Desk) -> None:
    done = desk.run("slots", "keyboard-fp88", "2027-03-07", "--duration", "1d")

    assert done.returncode == 0
    assert done.stdout == ""
    assert "No free start: keyboard-fp88, Sun 7 March 2027, 1 day under rental" in done.stderr


def test_the_calendar_marks_what_slots_offers(desk: Desk) -> None:
    desk.ok("schedules", "override", "set", "studio-hours", "2027-03-10", "--closed")

    found = desk.soon(*_MONTH, fact=_is_closed_on_the_tenth)

    assert len(found["dates"]) == 31
    assert [each["date"] for each in found["dates"] if not each["available"]] == ["2027-03-10"]


def test_the_calendar_of_this_month_follows_the_services_clock(desk: Desk) -> None:
    found = desk.json("month", "studio-a", "--duration", "60")

    assert found["dates"][0]["date"] == "2027-03-01"


def test_the_calendar_is_drawn(desk: Desk) -> None:
    desk.ok("schedules", "override", "set", "studio-hours", "2027-03-10", "--closed")

    desk.soon(*_MONTH, fact=_is_closed_on_the_tenth)
    lines = desk.ok(*_MONTH).splitlines()

    assert lines[0].strip() == "March 2027"
    assert lines[1].split() == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert lines[3] == "  8 ●   9 ●  10 ·  11 ●  12 ●  13 ●  14 ●"


def test_a_zone_of_the_viewer_moves_the_days(desk: Desk) -> None:
    found = desk.json(
        "slots", "studio-a", _DAY, "--duration", "300", "--time-zone", "Pacific/Kiritimati"
    )

    assert found["time_zone"] == "Pacific/Kiritimati"
    # 9 March there is 8 March 10:00 to 9 March 10:00 in UTC.
    assert found["slots"][0]["start_time"] == "2027-03-08T10:00:00Z"
    assert found["slots"][-1]["start_time"] == "2027-03-09T09:00:00Z"


def test_the_stored_day_is_drawn_and_counted(desk: Desk) -> None:
    desk.ok("book", "studio-a", f"{_DAY}T10:00", "--duration", "60")

    drawn = desk.ok("day", "studio-a", _DAY)
    found = desk.json("day", "studio-a", _DAY)

    assert "│████│" in drawn
    assert drawn.count("█") == 5  # four quarter hours and the legend
    assert "taken: 09:00-10:00" in drawn
    assert found.pop("version") > 0
    assert found == {
        "resource_id": "studio-a",
        "date": _DAY,
        "busy_bits": "0" * 36 + "1" * 4 + "0" * 56,
        "busy_quanta": [36, 37, 38, 39],
        "units_taken": [],
    }


def test_drawings_are_plain_where_the_encoding_is(desk: Desk) -> None:
    done = desk.run("day", "studio-a", _DAY, PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert done.returncode == 0
    assert "|....|" in done.stdout
    assert done.stdout.isascii()


def test_verification_finds_no_difference(desk: Desk) -> None:
    name = desk.json("book", "studio-a", f"{_DAY}T10:00", "--duration", "60")["booking_id"]
    desk.ok("book", "studio-b", f"{_DAY}T10:00", "--duration", "60")
    desk.ok("cancel", name)

    found = desk.json("verify")
    one = desk.json("verify", "studio-b")

    assert found["differences"] == []
    assert found["difference_count"] == 0
    assert found["bookings_checked"] == 1
    assert one["bookings_checked"] == 1
    assert desk.ok("verify").endswith("compared: no difference\n")
