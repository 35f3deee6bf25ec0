"""Holds: a session's claim on the time of one resource, for as long as it is renewed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple

from services.presence.domain.refusal import StartOffGrid
from shared.slots.quantum import QUANTA_PER_DAY, OffGrid, Span, covering, number

HOLDER_ID_LENGTH: Final = 32
LONGEST_HOLD: Final = timedelta(days=31)

_HOLDER_LABEL: Final = "holdfast.presence.holder"


class HoldRule(Enum):
    """Whether several sessions may hold one quantum of a resource."""

    EXCLUSIVE = "exclusive"
    """A quantum under another session's live hold refuses the whole call."""
    POOL = "pool"
    """Every hold is granted: how many units are free decides which are good, in their order."""
    ADVISORY = "advisory"
    """Every hold is granted, and none counts against a booking."""


class ResourceRule(NamedTuple):
    """How a resource may be held.

    Attributes:
        rule: By whom.
        longest: The quanta of the longest hold; None where that is not known.
        is_known: Whether anybody said so; else it is what is safe to assume of who wants to hold.
    """

    rule: HoldRule
    longest: int | None
    is_known: bool = True


UNKNOWN_RULE: Final = ResourceRule(HoldRule.EXCLUSIVE, None, is_known=False)


class Buffers(NamedTuple):
    """What a booking under an event type takes beside its own time."""

    before: timedelta
    after: timedelta


NO_BUFFERS: Final = Buffers(timedelta(0), timedelta(0))


class ResourceName(NamedTuple):
    """A resource of an organization."""

    organization_id: str
    resource_id: str


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever owns a session, as everybody may know it."""

    organization_id: str
    holder_id: str


@dataclass(frozen=True, slots=True)
class HoldKey:
    """What makes a hold the same one at its next heartbeat; ``hold_id`` may be empty."""

    holder: Holder
    resource_id: str
    hold_id: str

    @property
    def resource(self) -> ResourceName:
        """What is held."""
        return ResourceName(self.holder.organization_id, self.resource_id)


@dataclass(frozen=True, slots=True)
class LiveHold:
    """A hold that was live, by the store's clock, when it was read.

    Attributes:
        is_overdue: Its heartbeats stopped: it ends at ``expires_at`` unless one still comes.
        units: How many it holds.
        acquired_at: Since when; no two holds of a resource have the same, but for those that a
            server of the version before wrote: they have been there for ever.
    """

    resource_id: str
    holder_id: str
    hold_id: str
    span: Span
    expires_at: datetime
    is_overdue: bool
    units: int
    acquired_at: datetime


class Reading(NamedTuple):
    """Live holds, and what the store's clock said when their reading began."""

    time: datetime
    holds: Mapping[ResourceName, Sequence[LiveHold]]


class HolderCount(NamedTuple):
    """How many sessions have live holds, and how many those are."""

    holders: int
    holds: int


@dataclass(frozen=True, slots=True)
class HoldTerms:
    """On which terms holds are given.

    Attributes:
        timeout: From the last heartbeat to the last instant at which the hold is live.
        holds_per_resource: Live holds that one session may have on one resource.
    """

    timeout: timedelta
    holds_per_resource: int

    @property
    def renew_after(self) -> timedelta:
        """When the next heartbeat is due: one may be lost or late without losing the hold."""
        return self.timeout / 2

    @property
    def overdue_before_expiry(self) -> timedelta:
        """How long before its expiry a hold is overdue: a fifth more than renew_after is over."""
        return self.timeout - self.renew_after * 1.2


def holder_of(organization_id: str, session: str) -> Holder:
    """Derives the public name of a session, from which the session cannot be found.

    The same session has another name in each organization.
    """
    # No part can contain a NUL, so no two pairs run together into the same bytes.
    secret = f"{_HOLDER_LABEL}\0{organization_id}\0{session}".encode()
    return Holder(organization_id, hashlib.sha256(secret).hexdigest()[:HOLDER_ID_LENGTH])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to hold.

    Attributes:
        start: A quarter hour.
        length: More than zero.
        event_type_id: Whose buffers are held, too; empty for none.
        units: How many.

    Raises:
        StartOffGrid: ``start`` is not a quarter hour; it is never rounded.
    """

    start: datetime
    length: timedelta
    event_type_id: str = ""
    units: int = 1

    def __post_init__(self) -> None:
        try:
            number(self.start)
        except OffGrid:
            raise StartOffGrid(self.start) from None

    def span(self, buffers: Buffers = NO_BUFFERS) -> Span:
        """Returns the quanta that it takes, rounded out."""
        return covering(self.start - buffers.before, self.start + self.length + buffers.after)


def touches(span: Span, days: AbstractSet[int]) -> bool:
    """Tells whether a span has a quantum on one of the days, given as day numbers."""
    first, last = span.first // QUANTA_PER_DAY, (span.stop - 1) // QUANTA_PER_DAY
    return not days.isdisjoint(range(first, last + 1))
