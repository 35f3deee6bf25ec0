"""A hold as everybody may see it, in Python's types."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from shared.slots.quantum import Span


class HoldName(NamedTuple):
    """Which hold of a resource."""

    holder_id: str
    hold_id: str


@dataclass(frozen=True, slots=True)
class LiveHold:
    """Somebody is choosing this time right now."""

    resource_id: str
    name: HoldName
    span: Span  # in absolute quanta
    start: datetime
    end: datetime
    # By the store's clock, as it was when the server last told of the hold: renewals move it and
    # tell nobody. So only an overdue hold can be counted down.
    expires_at: datetime
    is_overdue: bool
    units: int = 1
    # By the store's clock: the order of acquisition. None for a hold of an older server.
    acquired_at: datetime | None = None

    @property
    def holder_id(self) -> str:
        """Whose hold it is: says which holds belong together, and nothing more."""
        return self.name.holder_id


class EndedHold(NamedTuple):
    """A hold that is gone."""

    resource_id: str
    name: HoldName
    reason: str  # LEFT, EXPIRED, MOVED, BOOKED or BLOCKED
