"""What is to become of a hold, and what did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from services.presence.domain.ending import EndReason
from services.presence.domain.hold import HoldKey, ResourceRule
from services.presence.domain.refusal import EventTypeNotFound, Refusal
from shared.runtime.failure import StoreUnavailable
from shared.slots.quantum import Span

Doubt = EventTypeNotFound | StoreUnavailable
"""Why the buffers of an event type are not known."""


class Action(Enum):
    """What is wished."""

    ACQUIRE = "acquire"
    """To have the hold: it is renewed, swapped or acquired, but not where that time was booked."""
    RENEW = "renew"
    """To go on having it: as ACQUIRE, but not against an end that another call put to it."""
    STAY = "stay"
    """As RENEW, of a hold that was just had under a rule; nothing is asked but whether it is."""
    RESUME = "resume"
    """To go on with the hold that is there, if it names the event type and covers the span."""


@dataclass(frozen=True, slots=True)
class Keep:
    """A wish to have a hold.

    Attributes:
        rule: By which it is judged if it is not just renewed; None where that is not known.
        doubt: Why it cannot be judged at all: its buffers are not known. It is a RESUME.
    """

    key: HoldKey
    span: Span
    action: Action
    rule: ResourceRule | None
    units: int = 1
    event_type_id: str = ""
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """A wish to end a hold. Nothing to end is no error."""

    key: HoldKey


@dataclass(frozen=True, slots=True)
class Kept:
    """The hold is the holder's.

    Attributes:
        span: What is held.
        units_ahead: How many units others acquired earlier, on the quantum where they are most;
            0 on an exclusive resource, None where it was not asked.
    """

    expires_at: datetime
    span: Span
    units_ahead: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The hold could not be had; what the holder had before, it still has."""

    refusal: Refusal | StoreUnavailable


@dataclass(frozen=True, slots=True)
class Ended:
    """Another call has ended the hold."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class Unjudged:
    """There was nothing to renew and no rule to judge by; nothing has changed."""


@dataclass(frozen=True, slots=True)
class Left:
    """The hold is not there any more."""

    was_live: bool


Wish = Keep | Leave
Judged = Kept | Refused | Ended
Verdict = Judged | Unjudged | Left
