"""Time that bookings are about to take or have taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.presence.domain.ending import EndReason
from services.presence.domain.hold import Holder, HoldRule, ResourceName
from shared.slots.quantum import Span


class TakenTime(NamedTuple):
    """What a booking takes of one resource."""

    resource_id: str
    span: Span
    units: int


@dataclass(frozen=True, slots=True)
class Booking:
    """What a booking is about to take, and by whom; None where nobody is known to hold for it."""

    holder: Holder | None
    items: Sequence[TakenTime]

    @property
    def holder_id(self) -> str:
        """The public name of the holder; empty for nobody."""
        return self.holder.holder_id if self.holder else ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a booking or a block has taken.

    Attributes:
        booking: What, and whose.
        committed_at: By the store's clock. Holds acquired later are none of its business.
        reason: Why holds over that time end.
    """

    booking: Booking
    committed_at: datetime
    reason: EndReason


@dataclass(frozen=True, slots=True)
class SettledTime:
    """One resource's part of a settlement, and the rule by which holds end there."""

    resource: ResourceName
    holder: Holder | None
    span: Span
    units: int
    committed_at: datetime
    reason: EndReason
    rule: HoldRule
