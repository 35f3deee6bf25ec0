"""Programs that watch a day and programs that hold, book and cancel, side by side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.cli.desk import Desk
from tests.e2e.cli.program import Program, running
from tests.e2e.running import HOLDFAST, environment

_DAY = "2027-03-09"
_ONE = f"{_DAY}T13:00"
_WATCH = ("watch", "studio-a", _DAY, "--duration", "300")
_HOLD = ("hold", "studio-a", _ONE, "--duration", "60")
# Every five hours that touch 13:00 to 14:00, by the clock of Berlin.
_TOUCHING = ["09:00", "10:00", "11:00", "12:00", "13:00"]


def _reserved(picture: dict[str, Any]) -> list[str]:
    """The starts that are reserved, as the clock in Berlin shows them."""
    return [
        f"{datetime.fromisoformat(slot['start_time']).hour + 1:02d}:00"
        for slot in picture["slots"]
        if slot["state"] == "reserved"
    ]


def _held(program: Program) -> dict[str, Any]:
    """Reads on until the hold is held."""
    found: dict[str, Any] = json.loads(program.until(lambda line: '"state":"held"' in line))
    return found


def _changes(watch: Program, count: int) -> list[list[str]]:
    """Reads what became of so many starts: start, end, and what it is now."""
    return [watch.until(lambda line: line.count("  ") == 3).split("  ")[1:] for _ in range(count)]


def test_a_watch_follows_a_hold_without_being_asked(desk: Desk) -> None:
    with running(desk, "-o", "json", *_WATCH) as watch, running(desk, "-o", "json", *_HOLD) as hold:
        holder_id = _held(hold)["holder_id"]
        while not (before := watch.json())["holds"]:
            pass
        assert hold.end(signal.SIGINT) == 0
        after = watch.json()  # the very next: a hold is one change, and so is its end

    assert _reserved(before) == _TOUCHING
    assert [each["holder_id"] for each in before["holds"]] == [holder_id]
    assert after["holds"] == []
    assert _reserved(after) == []
    assert len(after["slots"]) == len(before["slots"]) == 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_hold_is_left_at_once_when_its_end_is_asked_for(
    desk: Desk, number: signal.Signals
) -> None:
    with running(desk, *_HOLD) as hold:
        hold.until(lambda line: " --session " in line)  # the last one until it ends
        assert hold.end(number) == 0
        assert hold.rest() == ["Left: others can have the time again."]

    # It would be refused for up to ten seconds otherwise.
    assert "Left" in desk.ok(*_HOLD, "--for", "0.1")


def test_a_second_hold_is_refused_and_told_which_time_is_in_its_way(desk: Desk) -> None:
    with running(desk, "-o", "json", *_HOLD) as first:
        _held(first)
        second = desk.call("hold", "studio-a", f"{_DAY}T11:00", "--duration", "5h")
        as_json = desk.call("-o", "json", "hold", "studio-a", f"{_DAY}T11:00", "--duration", "5h")
        elsewhere = desk.call("hold", "studio-b", _ONE, "--duration", "60", "--for", "0.1")

    assert second.code == 4
    assert "SLOT_HELD: somebody else is choosing this time\n" in second.err
    assert "  held: Tue 9 March 2027, 13:00 to 14:00 (Europe/Berlin)\n" in second.err
    assert "see what is free:\n    holdfast slots studio-a 2027-03-09 --duration 300" in second.err
    states = [json.loads(line)["state"] for line in as_json.out.splitlines()]
    assert states == ["holding", "refused"]
    assert json.loads(as_json.err)["error"]["metadata"] == {"quanta.2027-03-09": "48,49,50,51"}
    assert elsewhere.code == 0


def test_a_booking_takes_its_starts_out_of_a_watch_and_a_cancellation_brings_them_back(
    desk: Desk,
) -> None:
    with running(desk, *_WATCH) as watch:
        first = _changes(watch, 10)
        booked = desk.json("book", "studio-a", _ONE, "--duration", "60")
        gone = _changes(watch, 5)
        desk.ok("cancel", booked["booking_id"])
        back = _changes(watch, 5)

        assert watch.end(signal.SIGINT) == 130
        assert watch.rest() == []
        assert "event type: session-5h" in watch.said().strip()

    assert [words for *_, words in first] == ["available"] * 10
    readings = [
        [f"{_DAY} {start}+0100", f"{_DAY} {int(start[:2]) + 5}:00+0100"] for start in _TOUCHING
    ]
    assert gone == [[*reading, "booked"] for reading in readings]
    assert back == [[*reading, "free"] for reading in readings]


def test_a_killed_holders_time_stays_reserved_until_it_expires(desk: Desk) -> None:
    with running(desk, "-o", "json", *_WATCH) as watch, running(desk, "-o", "json", *_HOLD) as hold:
        _held(hold)
        hold.end(signal.SIGKILL)
        killed_at = time.monotonic()
        while not (picture := watch.json())["holds"]:
            pass
        assert _reserved(picture) == _TOUCHING
        overdue = watch.json()
        free = watch.json()
        freed_after = time.monotonic() - killed_at
        freed_at = datetime.now(UTC)

    # Its last heartbeat was at most the time between two ago.
    assert 4.9 < freed_after < 11.5
    (hold_told,) = overdue["holds"]
    assert hold_told["overdue"]
    ends = {slot["held_until"] for slot in overdue["slots"] if slot["state"] == "reserved"}
    assert ends == {hold_told["expire_time"]}
    assert _reserved(free) == []
    assert -0.1 < (freed_at - datetime.fromisoformat(ends.pop())).total_seconds() < 1.5


def test_time_ends_both(desk: Desk) -> None:
    held = desk.ok("-o", "json", *_HOLD, "--for", "0.2")
    watched = desk.ok("-o", "json", *_WATCH, "--for", "0.2")
    drawn = desk.ok(*_WATCH, "--for", "0.2")

    assert [json.loads(line)["state"] for line in held.splitlines()] == ["holding", "held", "left"]
    assert len(json.loads(watched.splitlines()[0])["slots"]) == 10
    assert len(drawn.splitlines()) == 10
    assert "\x1b" not in drawn


def test_what_is_held_is_what_a_booking_would_take(desk: Desk) -> None:
    desk.ok(
        "event-types", "create", "recording", "--title", "Recording", "--duration", "60",
        "--buffer-before", "30", "--buffer-after", "15",
    )  # fmt: skip
    desk.ok("link", "studio-a", "recording")
    desk.soon("slots", "studio-a", _DAY, "--duration", "60", "--event-type", "recording")
    recording = ("hold", "studio-a", _ONE, "--event-type", "recording", "--for", "0.1")

    held = [json.loads(line) for line in desk.ok("-o", "json", *recording).splitlines()][1]
    shown = desk.ok(*recording)

    assert (held["start_time"], held["end_time"]) == (f"{_DAY}T12:00:00Z", f"{_DAY}T13:00:00Z")
    assert held["occupancy_start_time"] == f"{_DAY}T11:30:00Z"
    assert held["occupancy_end_time"] == f"{_DAY}T13:15:00Z"
    assert "With buffers: Tue 9 March 2027, 12:30 to 14:15" in shown


@pytest.mark.parametrize(
    ("resource", "start", "code", "reason"),
    [
        ("studio-a", f"{_DAY}T10:00", 4, "SLOT_UNAVAILABLE"),  # booked
        ("studio-a", f"{_DAY}T03:00", 1, "START_NOT_FREE"),  # closed
        ("studio-a", f"{_DAY}T13:07", 2, "OFF_GRID"),
        ("studio-z", _ONE, 3, "NOT_FOUND"),
    ],
)
def test_what_cannot_be_booked_is_not_held(
    desk: Desk, resource: str, start: str, code: int, reason: str
) -> None:
    desk.ok("book", "studio-a", f"{_DAY}T10:00", "--duration", "60")

    ended, error = desk.refused("hold", resource, start, "--duration", "60")

    assert (ended, error["reason"]) == (code, reason)


def test_a_start_that_is_not_free_is_refused_with_advice(desk: Desk) -> None:
    done = desk.call("hold", "studio-a", f"{_DAY}T03:00", "--duration", "60")

    assert "studio-a has no free start at 2027-03-09 03:00 (Europe/Berlin) for 1 h" in done.err
    assert "holdfast slots studio-a 2027-03-09 --duration 60 --event-type session-1h" in done.err


def test_a_hold_without_presence_is_refused_in_time(desk: Desk, unused_tcp_port: int) -> None:
    address = f"127.0.0.1:{unused_tcp_port}"

    done = desk.call(*_HOLD, "--presence", address, "--timeout", "1")

    assert done.code == 5
    assert "UNREACHABLE: presence did not answer in time\n" in done.err
    assert "`holdfast doctor` shows what is up" in done.err


def test_a_watch_ends_and_says_why_when_its_resource_is_deleted(desk: Desk) -> None:
    with running(desk, "-o", "json", *_WATCH) as watch:
        assert watch.json()["offer"] == "valid"
        desk.ok("resources", "delete", "studio-a", "--yes")

        assert json.loads(watch.until(lambda line: '"slots":[]' in line))["offer"] == (
            "resource_deleted"
        )
        assert watch.end() == 3
        error = json.loads(watch.said())["error"]

    assert error["reason"] == "RESOURCE_DELETED"
    assert error["message"] == "studio-a was deleted"


@pytest.mark.parametrize("command", [_WATCH, _HOLD], ids=["watch", "hold"])
def test_a_command_that_nobody_reads_any_more_ends_though_nothing_changes(
    desk: Desk, command: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    with subprocess.Popen(
        [HOLDFAST, *command, "-o", "json"],
        cwd=desk.folder,
        env=environment(desk.variables),
        stdout=writing,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(writing)
        assert os.read(reading, 1)
        os.close(reading)
        _, said = process.communicate(timeout=30)

    assert process.returncode == 141
    assert said == b""


def test_ones_own_session_holds_and_books_and_is_marked_in_a_watch(desk: Desk) -> None:
    session = ("--session", "the-session-of-one-person")
    with (
        running(desk, "-o", "json", *_WATCH, *session) as watch,
        running(desk, "-o", "json", *_HOLD, *session) as hold,
    ):
        holder_id = _held(hold)["holder_id"]
        while not (picture := watch.json())["holds"]:
            pass
        assert picture["holder_id"] == holder_id
        assert _reserved(picture) == []
        desk.ok("book", "studio-a", _ONE, "--duration", "60", *session)


def test_who_holds_is_listed_and_counted(desk: Desk) -> None:
    nobody = desk.call("holders", "studio-a")
    with running(desk, "-o", "json", *_HOLD) as hold:
        holder_id = _held(hold)["holder_id"]
        on_day = desk.json("holders", "studio-a", _DAY)
        from_today = desk.json("holders", "studio-a")
        at_time = desk.json("holders", "studio-a", f"{_DAY}T13:30")
        before = desk.json("holders", "studio-a", f"{_DAY}T12:30")
        table = desk.ok("holders", "studio-a", _DAY)
        counted = desk.ok("holders", "--event-type", "session-1h")

    assert nobody.out == ""
    assert nobody.err == "No holds of studio-a.\n"
    for found in (on_day, from_today, at_time):
        assert [each["holder_id"] for each in found["holds"]] == [holder_id]
        assert (found["holders"], found["total"]) == (1, 1)
    assert before["total"] == 0
    assert table.splitlines()[0].split() == ["HOLDER", "TIME", "UNITS", "HELD", "FOR", "STATE"]
    assert table.splitlines()[1].startswith(f"{holder_id[:6]}  Tue 9 March 2027, 13:00 to 14:00")
    assert counted == "session-1h: 1 person holds time of it right now.\n"
    assert desk.refused("holders")[0] == 2


def test_a_pools_holds_queue_and_tell_their_position(desk: Desk) -> None:
    mic = ("hold", "microphone", _ONE, "--duration", "60", "--event-type", "session-1h")
    desk.soon("link", "microphone", "session-1h")
    desk.soon("slots", "microphone", _DAY, "--duration", "60", "--event-type", "session-1h")
    capacity = desk.json("capacity", "microphone")["units"]
    with running(desk, "-o", "json", *mic, "--units", str(capacity)) as first:
        assert _held(first)["units_ahead"] == 0
        with running(desk, *mic) as second:
            position = second.until(lambda line: line.startswith("Others hold"))

    assert position == (
        f"Others hold {capacity} units before you, of {capacity} free: too little is left for you"
    )


def test_a_watch_says_why_nothing_can_be_booked_and_when_it_can_again(desk: Desk) -> None:
    with running(desk, *_WATCH) as watch:
        _changes(watch, 10)
        desk.ok("event-types", "deactivate", "session-5h", "--yes")
        told = watch.until(lambda line: "withdrawn" in line)
        desk.ok("event-types", "activate", "session-5h")
        watch.until(lambda line: line.endswith("  offered again"))
        back = _changes(watch, 10)

        assert watch.end(signal.SIGINT) == 130

    assert told.endswith("  withdrawn: session-5h is switched off")
    assert {words for *_, words in back} == {"free"}
