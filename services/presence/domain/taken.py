"""Time that bookings are about to take or have taken, and which holds that concerns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.presence.domain.ending import EndReason
from services.presence.domain.hold import Holder, HoldRule, LiveHold, ResourceName
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


class CountedHold(NamedTuple):
    """A hold that counts against a booking; ``item`` is the place of what it overlaps."""

    item: int
    hold: LiveHold


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
    """One resource's part of a settlement, and how that resource is held."""

    resource: ResourceName
    holder: Holder | None
    span: Span
    units: int
    committed_at: datetime
    reason: EndReason
    rule: HoldRule


def counted(
    rule: HoldRule, holder: Holder | None, span: Span, holds: Iterable[LiveHold]
) -> list[LiveHold]:
    """Selects the holds of a resource that count against a booking of some of its time.

    On a pool, who holds some of that time stands in line: only what others acquired before
    the first of these holds counts.
    """
    if rule is HoldRule.ADVISORY:
        return []
    holder_id = holder.holder_id if holder else ""
    overlapping = [hold for hold in holds if hold.span.overlaps(span)]
    others = [hold for hold in overlapping if hold.holder_id != holder_id]
    own = [hold.acquired_at for hold in overlapping if hold.holder_id == holder_id]
    if rule is HoldRule.EXCLUSIVE or not own:
        return others
    return [hold for hold in others if hold.acquired_at < min(own)]
