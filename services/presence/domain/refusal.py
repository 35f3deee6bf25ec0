"""Why presence refuses, with the values that decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final

from services.presence.domain.ending import EndReason
from shared.runtime.failure import Failure
from shared.slots.bitmap import quanta
from shared.slots.quantum import Span, day_date

# A full month of quanta would not fit the 8 KiB that gRPC allows for a refusal.
_DATES_NAMED: Final = 7


class StartOffGrid(Failure):
    """A hold cannot start there: it is not a quarter hour."""

    def __init__(self, start: datetime) -> None:
        self.start = start
        super().__init__(f"start_time {start.isoformat()} is not a quarter hour")


class ResourceNotFound(Failure):
    """The organization has no such resource, or it is deleted."""

    def __init__(self, resource_id: str) -> None:
        self.resource_id = resource_id
        super().__init__(f"there is no resource {resource_id}")

    @property
    def metadata(self) -> Mapping[str, str]:
        """Of what kind, and which."""
        return {"kind": "resource", "id": self.resource_id}


class EventTypeNotFound(Failure):
    """The organization has no such event type, or it is deleted."""

    def __init__(self, event_type_id: str) -> None:
        self.event_type_id = event_type_id
        super().__init__(f"there is no event type {event_type_id}")

    @property
    def metadata(self) -> Mapping[str, str]:
        """Of what kind, and which."""
        return {"kind": "event_type", "id": self.event_type_id}


class HoldTooLong(Failure):
    """No booking of the resource could take that long, buffers included."""

    def __init__(self, limit: timedelta) -> None:
        self.limit = limit
        super().__init__(f"no booking there is longer than {limit}, buffers included")

    @property
    def metadata(self) -> Mapping[str, str]:
        """How long a hold may be."""
        return {"limit_minutes": str(self.limit // timedelta(minutes=1))}


class HoldEnded(Failure):
    """Another call has ended the hold, and it is not taken again."""

    def __init__(self, reason: EndReason) -> None:
        self.reason = reason
        super().__init__("another call has ended the hold")

    @property
    def metadata(self) -> Mapping[str, str]:
        """Why it was ended."""
        return {"end_reason": self.reason.name}


class TooManyHolds(Failure):
    """The session has as many live holds on the resource as it may."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"a session may have {limit} holds on one resource: leave one first")

    @property
    def metadata(self) -> Mapping[str, str]:
        """How many it may have."""
        return {"limit": str(self.limit)}


class SlotHeld(Failure):
    """Other sessions hold some of the time asked for.

    Attributes:
        held: By day number, ascending, the bitmap of the quanta in the way.
    """

    def __init__(self, resource_id: str, wanted: Span, others: Iterable[tuple[int, int]]) -> None:
        """Names the quanta of ``wanted`` that lie under others' half-open quantum ranges."""
        self.resource_id = resource_id
        self.held = _held(wanted, others)
        super().__init__(f"another session holds some of that time on {resource_id}")

    @property
    def metadata(self) -> Mapping[str, str]:
        """The resource, and the quanta of the first dates concerned."""
        return {"resource_id": self.resource_id} | {
            f"quanta.{day}": ",".join(map(str, found)) for day, found in self.named()
        }

    def named(self) -> Iterator[tuple[date, Sequence[int]]]:
        """Yields the first dates concerned, ascending, each with its quanta."""
        for day, bitmap in islice(self.held.items(), _DATES_NAMED):
            yield day_date(day), quanta(bitmap)


Refusal = ResourceNotFound | EventTypeNotFound | HoldTooLong | TooManyHolds | SlotHeld
"""Why a hold cannot be had."""


def _held(wanted: Span, others: Iterable[tuple[int, int]]) -> dict[int, int]:
    held: dict[int, int] = {}
    for first, stop in others:
        common = Span(max(first, wanted.first), min(stop, wanted.stop))
        for day, mask in common.masks():
            held[day] = held.get(day, 0) | mask
    return dict(sorted(held.items()))
