"""What availability refuses, with the values that decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from shared.runtime.failure import Failure

# The kit leaves out what does not fit the trailer of an answer: here it is known what.
_ROOM_FOR_QUANTA: Final = 1_700
_ROOM_PER_DATE: Final = 25
_DATES_TOLD: Final = 100
_BOOKINGS_TOLD: Final = 8


class Kind(StrEnum):
    """What an id names; callers read it in the metadata of a refusal."""

    RESOURCE = "resource"
    EVENT_TYPE = "event_type"
    BOOKING = "booking"


class _AboutOne(Failure):
    def __init__(self, text: str, kind: Kind, key: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.key = key

    @property
    def metadata(self) -> Mapping[str, str]:
        """Which one."""
        return {"kind": self.kind, "id": self.key}


class OffGrid(Failure):
    """A start that is not a quarter hour."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is not a quarter hour")
        self.field = field


class NotFound(_AboutOne):
    """No such resource, event type or booking in this organization, or it is deleted."""

    def __init__(self, kind: Kind, key: str) -> None:
        super().__init__(f"no {_spoken(kind)} {key}", kind, key)


class IdTaken(_AboutOne):
    """Another booking has this id."""

    def __init__(self, key: str) -> None:
        super().__init__(f"there is a booking {key} already", Kind.BOOKING, key)


class Inactive(_AboutOne):
    """The resource or the event type is taken out of booking."""

    def __init__(self, kind: Kind, key: str) -> None:
        super().__init__(f"the {_spoken(kind)} {key} is not active", kind, key)


class NotLinked(Failure):
    """The event type does not book the resource."""

    def __init__(self, event_type_id: str, resource_id: str) -> None:
        super().__init__(f"event type {event_type_id} does not book resource {resource_id}")


class NotStandalone(Failure):
    """An add-on alone."""

    def __init__(self, resource_id: str) -> None:
        super().__init__(f"resource {resource_id} can only be booked together with another")
        self.resource_id = resource_id

    @property
    def metadata(self) -> Mapping[str, str]:
        """Which add-on."""
        return {"resource_id": self.resource_id}


class DurationNotOffered(Failure):
    """The event type does not offer this length; ``offered`` says what it does, for people."""

    def __init__(self, offered: str) -> None:
        super().__init__(f"this length is not offered, but: {offered}")
        self.offered = offered

    @property
    def metadata(self) -> Mapping[str, str]:
        """What is offered."""
        return {"offered": self.offered}


class OutsideSchedule(Failure):
    """The booking does not lie in opening hours."""

    def __init__(self) -> None:
        super().__init__("the booking does not lie in opening hours")


class NotOfferedStart(Failure):
    """A quarter hour in opening hours at which nothing starts."""

    def __init__(self) -> None:
        super().__init__("no booking of this event type starts then")


class TooSoon(Failure):
    """The start is past, or within the notice."""

    def __init__(self, earliest: datetime) -> None:
        super().__init__(f"the earliest start is {_spoken_instant(earliest)}")
        self.earliest = earliest

    @property
    def metadata(self) -> Mapping[str, str]:
        """The first quarter hour that is late enough."""
        return {"earliest": _spoken_instant(self.earliest)}


class TooFar(Failure):
    """The start lies beyond the horizon."""

    def __init__(self, latest: datetime) -> None:
        super().__init__(f"the latest start is {_spoken_instant(latest)}")
        self.latest = latest

    @property
    def metadata(self) -> Mapping[str, str]:
        """The last quarter hour that is near enough."""
        return {"latest": _spoken_instant(self.latest)}


class SlotUnavailable(Failure):
    """Some of the time is taken."""

    def __init__(
        self,
        resource_id: str,
        quanta: Mapping[date, Sequence[int]],
        booking_ids: Sequence[str] = (),
    ) -> None:
        super().__init__(f"some of this time of resource {resource_id} is taken")
        self.resource_id = resource_id
        self.quanta = quanta
        self.booking_ids = booking_ids

    @property
    def metadata(self) -> Mapping[str, str]:
        """The taken quanta by UTC date, as many dates as an answer's trailer has room for."""
        found = {"resource_id": self.resource_id}
        room = _ROOM_FOR_QUANTA
        if self.booking_ids:
            found["bookings"] = ",".join(self.booking_ids[:_BOOKINGS_TOLD])
            room -= len(found["bookings"])
        return found | _told(self.quanta, room)


class SlotHeld(Failure):
    """Other sessions hold so much of the time that too little is left."""

    def __init__(self, resource_id: str, quanta: Mapping[date, Sequence[int]]) -> None:
        super().__init__(f"others are choosing some of this time of resource {resource_id}")
        self.resource_id = resource_id
        self.quanta = quanta

    @property
    def metadata(self) -> Mapping[str, str]:
        """The held quanta by UTC date, as many dates as an answer's trailer has room for."""
        return {"resource_id": self.resource_id} | _told(self.quanta, _ROOM_FOR_QUANTA)


class InvalidState(Failure):
    """The booking's state does not allow this, or its being a block: ``text`` says so then."""

    def __init__(self, state: str, text: str = "") -> None:
        super().__init__(text or f"the booking is {state.lower()}")
        self.state = state

    @property
    def metadata(self) -> Mapping[str, str]:
        """Its state."""
        return {"state": self.state}


class NotStarted(InvalidState):
    """The booking has yet to start."""

    def __init__(self, state: str) -> None:
        super().__init__(state, "the booking has yet to start")


class InUse(Failure):
    """More units are taken than there are to be."""

    def __init__(self, resource_id: str, dates: Sequence[date]) -> None:
        super().__init__(f"more units of resource {resource_id} are taken")
        self.resource_id = resource_id
        self.dates = dates

    @property
    def metadata(self) -> Mapping[str, str]:
        """On which UTC dates, as many as there is room for."""
        told = self.dates[:_DATES_TOLD]
        found = {"resource_id": self.resource_id, "dates": ",".join(map(str, told))}
        if len(told) < len(self.dates):
            found["more_dates"] = str(len(self.dates) - len(told))
        return found


class NotAPool(Failure):
    """A resource of which there is one."""

    def __init__(self, resource_id: str) -> None:
        super().__init__(f"resource {resource_id} is no pool: it has one unit")
        self.resource_id = resource_id

    @property
    def metadata(self) -> Mapping[str, str]:
        """Which resource."""
        return {"resource_id": self.resource_id}


class NotAllowed(Failure):
    """An administrator's call, where nobody is trusted as one."""

    def __init__(self) -> None:
        super().__init__("overrides and blocks are not allowed on this server")


class TokenExpired(Failure):
    """What followed the resume token is no longer kept."""

    def __init__(self) -> None:
        super().__init__("what followed the resume token is no longer kept")


class Contended(Failure):
    """Others kept changing the same rows; nothing was written."""

    def __init__(self) -> None:
        super().__init__("others keep changing the same time: try the whole call again")


def _told(quanta: Mapping[date, Sequence[int]], room: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for told, (day, indexes) in enumerate(quanta.items()):
        text = ",".join(map(str, indexes))
        room -= len(text) + _ROOM_PER_DATE
        if room < 0:
            return found | {"more_dates": str(len(quanta) - told)}
        found[f"quanta.{day}"] = text
    return found


def _spoken(kind: Kind) -> str:
    return kind.replace("_", " ")


def _spoken_instant(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
