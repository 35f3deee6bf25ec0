"""A start that can be booked, as callers see it."""

from datetime import datetime
from typing import NamedTuple

from shared.slots.quantum import Span, instant


class Slot(NamedTuple):
    """A start that can be booked, in absolute quantum numbers; a tuple, for speed."""

    quantum: int
    first: int
    stop: int

    @property
    def start(self) -> datetime:
        """The start, aware, in UTC."""
        return instant(self.quantum)

    @property
    def occupancy(self) -> Span:
        """What a booking would occupy, buffers included."""
        return Span(self.first, self.stop)
