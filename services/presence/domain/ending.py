"""How holds end."""

from __future__ import annotations

from enum import Enum


class EndReason(Enum):
    """Why a hold is not there any more."""

    LEFT = 1
    """Its holder left."""
    EXPIRED = 2
    """Its heartbeats stopped."""
    MOVED = 3
    """It is elsewhere now: its holder swapped it for time that touches no watched day."""
    BOOKED = 4
    """Its time is booked: by its holder, or by another before it."""
    BLOCKED = 5
    """Its time was taken out of use."""
