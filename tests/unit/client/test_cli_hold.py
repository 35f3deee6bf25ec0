from __future__ import annotations

import pytest

from shared.client.cli import report
from shared.client.cli.hold import _failure
from shared.client.hold import HoldState, HoldStatus


@pytest.mark.parametrize(
    ("state", "reason", "exit_code", "words"),
    [
        (HoldState.REFUSED, "SLOT_HELD", 4, "somebody else is choosing this time"),
        (HoldState.REFUSED, "NOT_FOUND", 3, "no such resource"),
        (HoldState.REFUSED, "TOO_MANY_HOLDS", 5, "too many holds"),
        (HoldState.REFUSED, "UNREACHABLE", 5, "did not answer in time"),
        (HoldState.REFUSED, "INTERNAL", 6, "cannot be held"),
        (HoldState.REFUSED, "SOMETHING_NEW", 1, "cannot be held"),
        (HoldState.REFUSED, "HOLD_TOO_LONG", 5, "nothing of that length"),
        (HoldState.REFUSED, "BOOKED", 4, "the time is booked now"),
        (HoldState.LOST, "BOOKED", 4, "the time is booked now, by you with its session"),
        (HoldState.LOST, "BLOCKED", 4, "taken out of use"),
        (HoldState.LOST, "LEFT", 1, "another call of its session"),
        (HoldState.LOST, "EXPIRED", 1, "the hold has run out"),
        (HoldState.LOST, "SOMETHING_NEW", 1, "the hold is lost"),
    ],
)
def test_why_a_hold_is_refused_or_lost_is_said_in_words(
    state: HoldState, reason: str, exit_code: int, words: str
) -> None:
    metadata = {"quanta.2027-03-09": "52"}

    error = _failure(HoldStatus(state, reason, metadata))

    assert report.exit_code(error) == exit_code
    assert words in error.message
    assert (error.reason, error.metadata) == (reason, metadata)


@pytest.mark.parametrize(
    ("cause", "exit_code", "words"),
    [
        ("SLOT_HELD", 1, "somebody else is choosing this time now"),
        ("UNREACHABLE", 5, "presence could not be reached in time"),
    ],
)
def test_why_a_hold_ran_out_is_said_where_it_is_known(
    cause: str, exit_code: int, words: str
) -> None:
    error = _failure(HoldStatus(HoldState.LOST, "EXPIRED", {"cause": cause}))

    assert report.exit_code(error) == exit_code
    assert words in error.message
    assert error.reason == "EXPIRED"
