"""What the validators find."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class Rule(StrEnum):
    """Which promise is broken."""

    ORDERED = "out of order"
    UNIQUE = "told twice"
    ATOMIC = "not whole"
    RELIABLE = "never told"
    INVENTED = "told, and it never was"
    RESUMABLE = "resumed elsewhere than where it ended"
    RESET = "writes may be lost, and no RESET says so"
    BOOKMARK = "silent for too long"
    CONVERGENT = "folded, it is not what is"
    OVERLAP = "two sessions hold one quantum"
    EARLY = "expired too early"
    LATE = "expired too late"
    TWICE = "ended twice, or without having been"
    SETTLED = "ended by a booking that it came after"
    REASON = "ended for what nobody asked for"


class Violation(NamedTuple):
    """One broken promise, in words."""

    rule: Rule
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def report(found: Sequence[Violation], most: int = 20) -> str:
    """The first violations, one a line, and how many there are."""
    lines = [str(violation) for violation in found[:most]]
    if len(found) > most:
        lines.append(f"and {len(found) - most} more")
    return "\n".join(lines)
