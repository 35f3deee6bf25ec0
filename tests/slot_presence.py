"""What one start comes to, worked out by itself: the views work all of a day out at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.client.day_merge import counting, freed_at
from shared.client.live_hold import LiveHold
from shared.slots.held import held_short
from shared.slots.quantum import Span


@dataclass(frozen=True, slots=True)
class SlotPresence:
    """How some time stands for one viewer.

    Attributes:
        others: The holds of others that touch it, in the order given.
        own: The viewer's own that touch it.
        is_reserved: Whether the others leave too few free units on some quantum of it.
        free_at: When it is free unless somebody still renews, by presence's clock; None where
            that cannot be told, since a hold in its way is renewed.
    """

    others: tuple[LiveHold, ...]
    own: tuple[LiveHold, ...]
    is_reserved: bool
    free_at: datetime | None


def slot_presence(
    occupancy: Span,
    holds: Iterable[LiveHold],
    own_holder_id: str = "",
    *,
    units_free: int = 1,
    units: int = 1,
    is_pool: bool = False,
) -> SlotPresence:
    """Returns how an occupancy of a resource stands.

    Args:
        occupancy: In absolute quanta, buffers included.
        holds: Live holds of the resource.
        own_holder_id: The viewer's; empty for somebody who holds nothing.
        units_free: Units that bookings leave free throughout the occupancy.
        units: Units wanted.
        is_pool: As ``Stock.is_pool``.
    """
    touching = [hold for hold in holds if hold.span.overlaps(occupancy)]
    others = tuple(hold for hold in touching if hold.holder_id != own_holder_id)
    own = tuple(hold for hold in touching if hold.holder_id == own_holder_id)
    counted = counting(others, own, is_pool=is_pool)
    spans = [(hold.span.first, hold.span.stop, hold.units) for hold in counted]
    quanta = held_short(occupancy, spans, units_free, units)
    return SlotPresence(others, own, bool(quanta), freed_at(quanta, counted, units_free, units))
