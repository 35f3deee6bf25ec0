"""What the checker finds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

from tests.faults.tables import DayKey


class Rule(StrEnum):
    """Which promise is broken."""

    OVERLAP = "booked twice"
    PARTIAL = "not whole"
    RELEASE = "freed too much or too little"
    DAY = "a day is not what its bookings make of it"
    LOST = "acknowledged, and not there"
    EARLY = "acknowledged before it was committed"
    INVENTED = "there, and nobody asked for it"
    REFUSED = "refused, and there"
    TWICE = "one request, two effects or answers"
    SHARED = "two requests, one effect"
    STATE = "a transition that is none"
    REVISION = "a booking's revisions have gaps or doubles"
    EVENT = "history and outbox tell different stories"
    FEED = "feed numbers have gaps or are out of order"
    UNEXPLAINED = "refused for what was not so"
    DEADLOCK = "deadlock"


class Violation(NamedTuple):
    """One broken promise, in words."""

    rule: Rule
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def day_text(key: DayKey) -> str:
    """A day, for people."""
    return f"{key[0]} on {date(1970, 1, 1) + timedelta(days=key[1])}"


def quanta_text(quanta: Iterable[int]) -> str:
    """Quarter hours, for people: ``36-39,44``."""
    runs: list[list[int]] = []
    for quantum in sorted(quanta):
        if runs and runs[-1][1] == quantum - 1:
            runs[-1][1] = quantum
        else:
            runs.append([quantum, quantum])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
