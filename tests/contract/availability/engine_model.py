"""The booking engine as anybody would write it who need not be fast: one call after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

QUARTER = timedelta(minutes=15)
ROOMS = ("room-0", "room-1")
POOL = "chairs"
RESOURCES = (POOL, *ROOMS)
BUFFERS = {"session": (1, 1), "visit": (0, 2), "": (0, 0)}
OCCUPYING = frozenset({"PROVISIONAL", "PENDING", "CONFIRMED", "COMPLETED"})
OPEN = frozenset({"PROVISIONAL", "PENDING", "CONFIRMED"})

Refused = tuple[str, Mapping[str, str]]
"""The reason, and what the refusal must say."""


@dataclass(slots=True)
class Entry:
    """A booking, or a block where it has no event type."""

    event_type_id: str
    units: Mapping[str, int]
    start: datetime
    length: timedelta
    state: str
    expires: datetime | None = None
    sequence: int = 0
    events: list[str] = field(default_factory=lambda: ["CREATED"])

    def quarters(self) -> range:
        """The quarter hours it takes, buffers included, since 1970."""
        return quarters(self.event_type_id, self.start, self.length)

    def move_on(self, state: str, event: str) -> None:
        """Something happened to it."""
        self.state = state
        self.events.append(event)


class Model:
    """All of it in a dict, counted anew for each question."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.capacity = 1
        self.entries: dict[str, Entry] = {}

    def count(self, resource_id: str, quarter: int, without: str = "") -> int:
        """The units taken at a quarter hour."""
        return sum(
            entry.units.get(resource_id, 0)
            for key, entry in self.entries.items()
            if key != without and entry.state in OCCUPYING and quarter in entry.quarters()
        )

    def free(self, resource_id: str) -> int:
        """How many there are."""
        return self.capacity if resource_id == POOL else 1

    def create(self, booking_id: str, entry: Entry) -> Refused | None:
        """Books."""
        if entry.start < self.now:
            return "TOO_SOON", {}
        return self._take(booking_id, entry)

    def block(self, booking_id: str, entry: Entry) -> Refused | None:
        """Takes time out of use: of 0 units, all there are."""
        entry.units = {name: units or self.free(name) for name, units in entry.units.items()}
        refused = self._take(booking_id, entry)
        return (refused[0], {}) if refused else None

    def move(self, booking_id: str, start: datetime, length: timedelta) -> Refused | None:
        """Reschedules."""
        entry = self.entries[booking_id]
        if entry.state not in OPEN or not entry.event_type_id:
            return "INVALID_STATE", {}
        if start < self.now:
            return "TOO_SOON", {}
        wanted = quarters(entry.event_type_id, start, length)
        if refused := self._in_the_way(entry.units, wanted, booking_id):
            return refused
        entry.start, entry.length = start, length
        entry.sequence += 1
        entry.move_on(entry.state, "RESCHEDULED")
        return None

    def confirm(self, booking_id: str) -> Refused | None:
        """Accepts."""
        entry = self.entries[booking_id]
        if entry.state not in {"PROVISIONAL", "PENDING"}:
            return "INVALID_STATE", {"state": entry.state}
        if entry.state == "PROVISIONAL" and entry.event_type_id == "visit":
            entry.move_on("PENDING", "PENDING")
            self._end_overdue(booking_id)
        else:
            entry.move_on("CONFIRMED", "CONFIRMED")
        return None

    def decline(self, booking_id: str) -> Refused | None:
        """Turns down."""
        return self._end(booking_id, {"PENDING"}, "DECLINED")

    def cancel(self, booking_id: str) -> Refused | None:
        """Cancels."""
        return self._end(booking_id, OPEN, "CANCELLED")

    def complete(self, booking_id: str) -> Refused | None:
        """It took place."""
        entry = self.entries[booking_id]
        if entry.state != "CONFIRMED" or not entry.event_type_id or self.now < entry.start:
            return "INVALID_STATE", {}
        entry.move_on("COMPLETED", "COMPLETED")
        return None

    def resize(self, units: int) -> Refused | None:
        """Sets how many chairs there are."""
        present = int(self.now.timestamp()) // 900
        quarters_taken = {
            quarter
            for entry in self.entries.values()
            if POOL in entry.units and entry.state in OCCUPYING
            for quarter in entry.quarters()
            if quarter >= present
        }
        days = {quarter // 96 for quarter in quarters_taken if self.count(POOL, quarter) > units}
        if days:
            return "IN_USE", {"dates": ",".join(map(date_text, sorted(days)))}
        self.capacity = units
        return None

    def wait(self, by: timedelta) -> list[str]:
        """Lets time pass; returns what ended by itself."""
        self.now += by
        return [booking_id for booking_id in self.entries if self._end_overdue(booking_id)]

    def _end_overdue(self, booking_id: str) -> bool:
        entry = self.entries[booking_id]
        if entry.state == "PROVISIONAL" and entry.expires and self.now >= entry.expires:
            entry.move_on("EXPIRED", "EXPIRED")
        elif entry.state == "PENDING" and self.now >= entry.start:
            entry.move_on("DECLINED", "DECLINED")
        else:
            return False
        return True

    def _take(self, booking_id: str, entry: Entry) -> Refused | None:
        if refused := self._in_the_way(entry.units, entry.quarters()):
            return refused
        self.entries[booking_id] = entry
        self._end_overdue(booking_id)
        return None

    def _end(self, booking_id: str, states: Iterable[str], state: str) -> Refused | None:
        entry = self.entries[booking_id]
        if entry.state not in states:
            return "INVALID_STATE", {"state": entry.state}
        entry.move_on(state, state)
        return None

    def _in_the_way(
        self, units: Mapping[str, int], wanted: range, without: str = ""
    ) -> Refused | None:
        for resource_id in sorted(units):
            short = [
                quarter
                for quarter in wanted
                if self.count(resource_id, quarter, without) + units[resource_id]
                > self.free(resource_id)
            ]
            if short:
                told = {"resource_id": resource_id}
                for quarter in short:
                    name = f"quanta.{date_text(quarter // 96)}"
                    told[name] = (
                        f"{told[name]},{quarter % 96}" if name in told else str(quarter % 96)
                    )
                return "SLOT_UNAVAILABLE", told
        return None


def quarters(event_type_id: str, start: datetime, length: timedelta) -> range:
    """The quarter hours that a booking takes, since 1970."""
    before, after = BUFFERS[event_type_id]
    first = int(start.timestamp()) // 900
    return range(first - before, first + length // QUARTER + after)


def date_text(day: int) -> str:
    """A day since 1970, as a date."""
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
