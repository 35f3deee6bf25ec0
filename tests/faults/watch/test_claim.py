"""The judge of claims would notice: an honest run passes, each damaged one is caught."""

from __future__ import annotations

import pytest

from tests.faults.watch.claim import Claims, Grant, Release, Settlement, judge
from tests.faults.watch.trace import Held, Name, Position
from tests.faults.watch.truth import BOOKED, EXPIRED, LEFT, Change, Entry, Truth
from tests.faults.watch.violation import Rule

ROOM = "room"
ANN, BEN = Name("ann", ""), Name("ben", "")
SECOND = 1_000_000
TIMEOUT = 10 * SECOND
NOON = 1_000 * SECOND


class Run:
    """What happened, by seconds after noon of the store's clock, and of the callers'."""

    def __init__(self) -> None:
        self.truth, self.claims = Truth(), Claims()
        self._line = self.truth.begin(ROOM, 1, 0, {})

    def grant(self, name: Name, at: float, span: tuple[int, int] = (0, 4)) -> None:
        granted = NOON + int(at * SECOND)
        self.claims.grants.append(
            Grant(ROOM, name, *span, granted + TIMEOUT, granted, at - 0.01, at + 0.01)
        )

    def log(self, at: float, **changes: Change) -> None:
        seen = NOON + int(at * SECOND)
        position = Position(1, len(self._line.entries) + 1)
        named = {Name(holder, ""): change for holder, change in changes.items()}
        self._line.add(Entry(position, ROOM, named, seen - 10_000, seen))

    def settle(self, committed: float, at: float) -> None:
        self.claims.settlements.append(
            Settlement(ROOM, 0, 4, NOON + int(committed * SECOND), BOOKED, at - 0.01, at + 0.01)
        )

    def rules(self, until: float = 60.0) -> set[Rule]:
        return {v.rule for v in judge(self.truth, self.claims, NOON + int(until * SECOND))}


def taken(at: float, span: tuple[int, int] = (0, 4)) -> Change:
    return Change(None, Held(*span, 1, NOON + int(at * SECOND), is_overdue=False), 0)


def gone(reason: int, span: tuple[int, int] = (0, 4)) -> Change:
    return Change(span, None, reason)


def test_holds_one_after_the_other_pass() -> None:
    run = Run()
    run.grant(ANN, 0)
    run.log(0.0, ann=taken(0))
    run.grant(ANN, 5)
    run.log(15.1, ann=gone(EXPIRED))
    run.grant(BEN, 15.2)
    run.log(15.2, ben=taken(15.2))
    run.log(20.0, ben=gone(LEFT))

    assert run.rules() == set()


def test_two_who_hold_one_quantum_in_the_log_are_caught() -> None:
    run = Run()
    run.log(0.0, ann=taken(0))
    run.log(1.0, ben=taken(1, (3, 8)))

    assert run.rules() == {Rule.OVERLAP}


def test_two_who_were_told_that_they_hold_one_quantum_are_caught() -> None:
    run = Run()
    run.grant(ANN, 0)
    run.grant(BEN, 9.9, (3, 8))

    assert run.rules() == {Rule.OVERLAP}


@pytest.mark.parametrize(
    ("sent", "answered", "is_free"),
    [(5.0, 5.1, True), (9.9, 12.0, True), (11.0, 12.0, False), (-2.0, -1.0, False)],
    ids=["before", "meanwhile", "after", "of an earlier hold"],
)
def test_who_left_holds_no_more(sent: float, answered: float, *, is_free: bool) -> None:
    run = Run()
    run.grant(ANN, 0)
    run.claims.releases.append(Release("ann", None, None, sent, answered))
    run.grant(BEN, 9.9)

    assert (run.rules() == set()) is is_free


def test_a_hold_that_expires_before_its_time_is_caught() -> None:
    run = Run()
    run.grant(ANN, 0)
    run.log(0.0, ann=taken(0))
    run.log(9.9, ann=gone(EXPIRED))

    assert run.rules() == {Rule.EARLY}


@pytest.mark.parametrize("ended", [11.2, None], ids=["late", "never"])
def test_a_hold_that_outlives_its_time_is_caught(ended: float | None) -> None:
    run = Run()
    run.grant(ANN, 0)
    run.log(0.0, ann=taken(0))
    if ended is not None:
        run.log(ended, ann=gone(EXPIRED))

    assert run.rules() == {Rule.LATE}


def test_an_end_that_is_announced_twice_is_caught() -> None:
    run = Run()
    run.log(0.0, ann=taken(0))
    run.log(1.0, ann=gone(EXPIRED))
    run.log(1.1, ann=gone(EXPIRED))

    assert run.rules() == {Rule.TWICE}


def test_a_booking_that_ends_a_hold_taken_before_it_passes() -> None:
    run = Run()
    run.log(0.0, ann=taken(0))
    run.settle(0.5, at=1.0)
    run.log(1.0, ann=gone(BOOKED))

    assert run.rules() == set()


def test_a_booking_that_ends_a_hold_taken_after_it_is_caught() -> None:
    run = Run()
    run.log(0.8, ann=taken(0.8))
    run.settle(0.5, at=1.0)
    run.log(1.0, ann=gone(BOOKED))

    assert run.rules() == {Rule.SETTLED}


def test_a_hold_that_no_booking_ended_is_caught() -> None:
    run = Run()
    run.log(0.0, ann=taken(0))
    run.log(1.0, ann=gone(BOOKED))

    assert run.rules() == {Rule.REASON}
