"""What watchers were told, call by call: plain values, so that a test can damage them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Event(StrEnum):
    """What a message says."""

    SNAPSHOT = "SNAPSHOT"
    CHANGES = "CHANGES"
    RESET = "RESET"
    BOOKMARK = "BOOKMARK"


class Name(NamedTuple):
    """Which hold of a resource."""

    holder_id: str
    hold_id: str


class Held(NamedTuple):
    """A hold but for its expiry, which renewals move without a word.

    Attributes:
        acquired: In microseconds of the store's clock.
    """

    first: int
    stop: int
    units: int
    acquired: int
    is_overdue: bool

    def overlaps(self, first: int, stop: int) -> bool:
        """Whether it holds a quantum of [first, stop)."""
        return self.first < stop and first < self.stop

    def touches(self, days: frozenset[int]) -> bool:
        """Whether it holds a quantum of one of these days."""
        return any(self.overlaps(96 * day, 96 * (day + 1)) for day in days)


Holds = Mapping[Name, Held]


class Position(NamedTuple):
    """How far a resource has been told."""

    epoch: int
    revision: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a message says of one resource; ``ended`` has the reasons."""

    resource: str
    after: int
    revision: int
    holds: Holds
    ended: Mapping[Name, int]


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        at: When it was read, in seconds of this process's clock.
        positions: By resource, what its token stands for.
    """

    at: float
    event: Event
    told: Sequence[Told]
    positions: Mapping[str, Position]


@dataclass(slots=True)
class Segment:
    """One call.

    Attributes:
        resumed: What the token stood for that it was begun with; None without one.
        is_prompt: Whether the reader was always ready for the next message.
        ended_at: When the call ended, or nobody read on; None while it goes on.
    """

    began: float
    resumed: Mapping[str, Position] | None
    is_prompt: bool = True
    messages: list[Message] = field(default_factory=list)
    ended_at: float | None = None


@dataclass(slots=True)
class Watch:
    """One watcher's life: the same selection, call after call."""

    name: str
    resources: Sequence[str]
    days: frozenset[int]
    segments: list[Segment] = field(default_factory=list)


class Stall(NamedTuple):
    """While this process itself was too busy to read."""

    began: float
    seconds: float
