"""What is to become of a hold, and what did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from services.presence.domain.ending import EndReason
from services.presence.domain.hold import HoldKey, ResourceRule
from services.presence.domain.refusal import Refusal
from shared.slots.quantum import Span


class Action(Enum):
    """What is wished."""

    ACQUIRE = "acquire"
    """To have the hold: it is renewed, swapped or acquired."""
    RENEW = "renew"
    """To go on having it: as ACQUIRE, but not against an end that another call put to it."""


@dataclass(frozen=True, slots=True)
class Keep:
    """A wish to have a hold.

    Attributes:
        rule: By which it is judged if it is not just renewed; None where that is not known.
    """

    key: HoldKey
    span: Span
    action: Action
    rule: ResourceRule | None


@dataclass(frozen=True, slots=True)
class Leave:
    """A wish to end a hold. Nothing to end is no error."""

    key: HoldKey


@dataclass(frozen=True, slots=True)
class Kept:
    """The hold is the holder's."""

    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """The hold could not be had; what the holder had before, it still has."""

    refusal: Refusal


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
