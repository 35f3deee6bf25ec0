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
        (HoldState.LOST, "SLOT_HELD", 4, "somebody else is choosing this time now"),
        (HoldState.LOST, "UNREACHABLE", 5, "the hold has run out"),
        (HoldState.LOST, "BOOKED", 1, "somebody has booked this time"),
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
