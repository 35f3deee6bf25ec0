"""Booking what is held: by whoever holds it, and by others."""

from __future__ import annotations

import json
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
    assert told == 1
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
