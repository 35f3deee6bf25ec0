"""What a transaction did to days, in the order of an organization's feed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.availability.domain.claim import DayState


class ChangedDay(NamedTuple):
    """A day as a transaction left it; its version is the transaction's feed number."""

    resource_id: str
    day: int
    state: DayState


@dataclass(frozen=True, slots=True)
class DayChange:
    """Every day that one transaction changed, and how many units of which pools it set."""

    feed: int
    days: Sequence[ChangedDay]
    capacities: Sequence[tuple[str, int]] = ()
    _encoded: dict[Hashable, bytes | None] = field(default_factory=dict, repr=False, compare=False)

    def encoded(self, view: Hashable, encode: Callable[[DayChange], bytes | None]) -> bytes | None:
        """Returns what watchers of one view are told of it; encoded once, however many they are."""
        try:
            return self._encoded[view]
        except KeyError:
            found = self._encoded[view] = encode(self)
            return found


@dataclass(frozen=True, slots=True)
class FeedPage:
    """What became of an organization's days after a feed number.

    Attributes:
        epoch: Of the store: another one may have lost what the last one had acknowledged.
        number: The organization's newest feed number; 0 before its first booking.
        changes: In feed order, maybe not all.
    """

    epoch: int
    number: int
    changes: Sequence[DayChange]
