"""What clients saw: every call, from when to when, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import grpc

WRITES = frozenset(
    {
        "CreateBooking",
        "CreateBlock",
        "ConfirmBooking",
        "DeclineBooking",
        "CancelBooking",
        "CompleteBooking",
        "RescheduleBooking",
        "SetCapacity",
        "RebuildDay",
    }
)


class Answered(NamedTuple):
    """The call succeeded."""

    message: Any


class Refused(NamedTuple):
    """The call was turned down, and so must have changed nothing."""

    reason: str
    metadata: Mapping[str, str]


class Lost(NamedTuple):
    """Nobody knows: it may have been done, or not."""

    code: grpc.StatusCode


Outcome = Answered | Refused | Lost


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a client; times are seconds of one clock that never goes back."""

    method: str
    request: Any
    started: float
    ended: float
    outcome: Outcome

    @property
    def intent(self) -> tuple[str, str]:
        """What its retries share."""
        return self.method, self.request.request_id

    @property
    def answer(self) -> Any:
        """What it was answered; None when it was not."""
        return self.outcome.message if isinstance(self.outcome, Answered) else None

    def __str__(self) -> str:
        return f"{self.method} {getattr(self.request, 'request_id', '')[:8]}"


class Sighting(NamedTuple):
    """Feed numbers that somebody saw in the outbox at one moment of [started, ended]."""

    started: float
    ended: float
    lowest: int
    highest: int
    number: int


class Facts(NamedTuple):
    """What the catalog said throughout: pools, and minutes of buffer before and after."""

    pools: frozenset[str]
    buffers: Mapping[str, tuple[int, int]]


@dataclass(slots=True)
class History:
    """Everything that was recorded of one organization."""

    facts: Facts
    calls: list[Call] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    deadlocks: int = 0

    def writes(self) -> Sequence[Call]:
        """The calls that may have changed something."""
        return [call for call in self.calls if call.method in WRITES]
