"""Booking what is held: by whoever holds it, and by others."""

from __future__ import annotations

import json
import signal
from typing import Any

from tests.e2e.cli.desk import Desk
from tests.e2e.cli.program import Program, running

_DAY = "2027-03-09"
_ONE = f"{_DAY}T13:00"
_HOLD = ("hold", "studio-a", _ONE, "--duration", "60")


def _held(program: Program) -> dict[str, Any]:
    """Reads on until the hold is held."""
    found: dict[str, Any] = json.loads(program.until(lambda line: '"state":"held"' in line))
    return found


def test_what_is_held_is_booked_with_the_session_that_is_printed(desk: Desk) -> None:
    with running(desk, *_HOLD) as hold:
        command = hold.until(lambda line: " --session " in line).split()
        booked = desk.json(*command[command.index("book") :])
        told = hold.end()

    assert booked["start_time"] == f"{_DAY}T12:00:00Z"
    # Its time is booked: the hold has done its work, within a heartbeat.
    assert told == 4
    assert desk.json("holders", "studio-a", _DAY)["holds"] == []


def test_a_booking_of_what_another_holds_is_refused_and_told_who_holds_it(desk: Desk) -> None:
    with running(desk, "-o", "json", *_HOLD) as hold:
        name = _held(hold)["holder_id"][:6]
        refused = desk.call("book", "studio-a", _ONE, "--duration", "60")
        code, error = desk.refused("book", "studio-a", _ONE, "--duration", "60")

    assert refused.code == code == 4
    assert "SLOT_HELD" in refused.err
    assert "  held: Tue 9 March 2027, 13:00 to 14:00 (Europe/Berlin)\n" in refused.err
    assert f"  by {name}: Tue 9 March 2027, 13:00 to 14:00, renewed\n" in refused.err
    assert "some 10 s after they are gone" in refused.err
    assert error["metadata"] == {"resource_id": "studio-a", "quanta.2027-03-09": "48,49,50,51"}


def test_scripts_are_told_the_session_that_was_made_for_them(desk: Desk) -> None:
    with running(desk, "-o", "json", *_HOLD) as hold:
        session = hold.json()["session"]
        assert "session" not in _held(hold)
        desk.ok("book", "studio-a", _ONE, "--duration", "60", "--session", session)


def test_an_add_on_that_is_held_is_booked_with_another_resource(desk: Desk) -> None:
    mic = ("hold", "microphone", _ONE, "--duration", "60", "--event-type", "session-1h")
    desk.soon("link", "microphone", "session-1h")
    desk.ok("resources", "update", "microphone", "--add-on")
    with running(desk, *mic, "--units", "2") as hold:
        command = hold.until(lambda line: " --session " in line).split()
        command = ["studio-a" if word == "RESOURCE" else word for word in command]
        booked = desk.json(*command[command.index("book") :])

    assert "--with microphone:2 " in " ".join(command)
    assert [item["resource_id"] for item in booked["items"]] == ["studio-a", "microphone"]


def test_a_hold_of_advice_does_not_say_that_it_reserves(desk: Desk) -> None:
    desk.ok("resources", "update", "studio-a", "--hold-policy", "advisory")
    with running(desk, *_HOLD) as hold:
        told = hold.until(lambda line: line.startswith("Held"))

    assert "others see it, and may book it all the same." in told
    assert "reserved" not in told


def test_what_is_switched_off_is_not_held_and_a_hold_of_it_says_so(desk: Desk) -> None:
    with running(desk, *_HOLD) as hold:
        hold.until(lambda line: line.startswith("Held"))
        desk.ok("resources", "deactivate", "studio-a", "--yes")
        told = hold.until(lambda line: "switched off" in line)
        code, error = desk.refused(*_HOLD)
        advice = desk.call(*_HOLD).err
        desk.ok("resources", "activate", "studio-a")
        back = hold.until(lambda line: line.startswith("Offered again"))
        assert hold.end(signal.SIGINT) == 0

    assert told == "Not on offer: studio-a is switched off. It is held, and cannot be booked."
    assert back == "Offered again: it can be booked."
    assert (code, error["reason"]) == (1, "INACTIVE")
    assert "`holdfast resources activate studio-a`" in advice


def test_a_hold_of_what_is_deleted_ends(desk: Desk) -> None:
    with running(desk, "-o", "json", *_HOLD) as hold:
        _held(hold)
        desk.ok("resources", "delete", "studio-a", "--yes")
        assert hold.end() == 3


def test_holds_beyond_the_dates_looked_at_are_counted(desk: Desk) -> None:
    late = "2027-07-06T13:00"
    with running(desk, "-o", "json", "hold", "studio-a", late, "--duration", "60") as hold:
        _held(hold)
        told = desk.call("holders", "studio-a").err
        found = desk.json("holders", "studio-a")

    assert told == "No holds of studio-a until Mon 31 May 2027; 1 hold later.\n"
    assert (found["end_time"], found["later"]) == ("2027-05-31T22:00:00Z", 1)


def test_a_refusal_leaves_ones_own_hold_out(desk: Desk) -> None:
    session = ("--session", "the-session-of-one-person")
    longer = ("hold", "studio-a", f"{_DAY}T14:00", "--duration", "60")
    with (
        running(desk, "-o", "json", *_HOLD, *session) as mine,
        running(desk, "-o", "json", *longer) as theirs,
    ):
        own, other = _held(mine)["holder_id"][:6], _held(theirs)["holder_id"][:6]
        refused = desk.call("book", "studio-a", _ONE, "--duration", "2h", *session)

    assert refused.code == 4
    assert f"by {other}: " in refused.err
    assert own not in refused.err
