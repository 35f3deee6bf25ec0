"""Which time others' holds leave too little of: the one rule of RESERVED and SLOT_HELD. Pure.

A start is RESERVED for a viewer, and a booking is refused with SLOT_HELD, when this finds
anything on its occupancy.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from shared.slots.quantum import Span


class HeldUnits(NamedTuple):
    """Units that somebody holds of the half-open range of absolute quanta."""

    first: int
    stop: int
    units: int


def held_short(
    occupancy: Span,
    holds: Iterable[tuple[int, int, int]],
    free: int | Mapping[int, int],
    wanted: int,
) -> list[int]:
    """Returns the quanta on which free units less held ones are fewer than wanted, ascending.

    Only held quanta are among them: where bookings alone leave too few, time is taken, not held.

    Args:
        occupancy: Of the booking, buffers included.
        holds: Those that count, as ``HeldUnits``; any that do not touch the occupancy are ignored.
        free: Units that bookings leave free: 1 for a room; of a pool by absolute quantum, at least
            for those that are held.
        wanted: Units of the booking.
    """
    held: dict[int, int] = {}
    for first, stop, units in holds:
        for quantum in range(max(first, occupancy.first), min(stop, occupancy.stop)):
            held[quantum] = held.get(quantum, 0) + units
    if isinstance(free, int):
        return sorted(quantum for quantum, units in held.items() if free - units < wanted)
    return sorted(quantum for quantum, units in held.items() if free[quantum] - units < wanted)
