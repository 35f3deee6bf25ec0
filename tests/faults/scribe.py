"""A sequential engine that writes honest tables, for tests of the checker to damage."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.availability.v1 import availability_pb2, booking_pb2
from tests.contract.availability.world import length, stamp
from tests.faults.history import Answered, Call, Facts, History, Outcome, Refused
from tests.faults.occupancy import Occupancy, bits
from tests.faults.story import SERVER
from tests.faults.tables import (
    CANCELLED,
    CONFIRMED,
    EXPIRED,
    PROVISIONAL,
    BookingRow,
    DayKey,
    DayRow,
    EventRow,
    ItemRow,
    OutboxRow,
    Tables,
)

DAY = datetime(2027, 3, 8, tzinfo=UTC)
NOW = datetime(2027, 3, 1, 8, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
FACTS = Facts(frozenset({"chairs"}), {"session": (15, 15)})


class Scribe:
    """One caller, one call a second; every call is right unless a test damages what it wrote."""

    def __init__(self) -> None:
        self.history = History(FACTS)
        self.tables = Tables({}, {}, {}, [], {}, {}, set(), 0, 0)
        self._occupancy = Occupancy()
        self._clock = 0.0

    def create(
        self, booking_id: str, hour: int, resources: Mapping[str, int] | Sequence[str] = ("room",)
    ) -> Call:
        """Books an hour."""
        units = dict(resources) if isinstance(resources, Mapping) else dict.fromkeys(resources, 1)
        start = DAY + timedelta(hours=hour)
        self._write_booking(booking_id, CONFIRMED, 0, start)
        self.tables.items[booking_id] = _items(units, start)
        keys = self._occupancy.take(booking_id, self.tables.items[booking_id])
        self._write_event(booking_id, "created", 0, CONFIRMED, start, keys)
        request = booking_pb2.CreateBookingRequest(
            request_id=str(uuid.uuid4()),
            booking_id=booking_id,
            items=[
                booking_pb2.BookingItem(resource_id=name, units=count)
                for name, count in units.items()
            ],
            event_type_id="session",
            start_time=stamp(start),
            duration=length(timedelta(hours=1)),
        )
        return self._answer("CreateBooking", request)

    def expire(self, call: Call, life: timedelta, *, at: timedelta) -> None:
        """Makes what a call booked provisional for so long; the server ends it then."""
        call.request.provisional_duration.FromTimedelta(life)
        booking_id = call.request.booking_id
        row, events = self.tables.bookings[booking_id], self.tables.history[booking_id]
        events[0] = events[0]._replace(state=PROVISIONAL)
        call.outcome.message.booking.state = PROVISIONAL  # type: ignore[union-attr]  # answered
        self._write_booking(booking_id, EXPIRED, 1, row.start_time)
        keys = self._occupancy.release(booking_id)
        self._write_event(booking_id, "expired", 1, EXPIRED, row.start_time, keys)
        events[1] = events[1]._replace(actor=SERVER, created_at=NOW + at)

    def cancel(self, booking_id: str) -> Call:
        """Cancels."""
        row = self.tables.bookings[booking_id]
        self._write_booking(booking_id, CANCELLED, row.revision + 1, row.start_time, row.sequence)
        keys = self._occupancy.release(booking_id)
        self._write_event(
            booking_id, "cancelled", row.revision + 1, CANCELLED, row.start_time, keys
        )
        request = booking_pb2.CancelBookingRequest(
            request_id=str(uuid.uuid4()), booking_id=booking_id
        )
        return self._answer("CancelBooking", request)

    def move(self, booking_id: str, hour: int) -> Call:
        """Reschedules."""
        row = self.tables.bookings[booking_id]
        start = DAY + timedelta(hours=hour)
        self._write_booking(booking_id, CONFIRMED, row.revision + 1, start, row.sequence + 1)
        units = {item.resource_id: item.units for item in self.tables.items[booking_id]}
        self.tables.items[booking_id] = _items(units, start)
        keys = self._occupancy.release(booking_id)
        keys |= self._occupancy.take(booking_id, self.tables.items[booking_id])
        self._write_event(booking_id, "rescheduled", row.revision + 1, CONFIRMED, start, keys)
        request = booking_pb2.RescheduleBookingRequest(
            request_id=str(uuid.uuid4()), booking_id=booking_id, start_time=stamp(start)
        )
        return self._answer("RescheduleBooking", request)

    def resize(self, units: int) -> Call:
        """Sets how many chairs there are."""
        self.tables.capacities["chairs"] = units
        keys = {key for key in self.tables.days if key[0] == "chairs"}
        self._append("capacity", "", 0, keys, {"capacities": [["chairs", units]]})
        request = availability_pb2.SetCapacityRequest(
            request_id=str(uuid.uuid4()), resource_id="chairs", units=units
        )
        self.tables.keys.add(("SetCapacity", request.request_id))
        answer = availability_pb2.SetCapacityResponse()
        answer.capacity.resource_id, answer.capacity.units = "chairs", units
        return self.note("SetCapacity", request, Answered(answer))

    def refuse(self, hour: int, quanta: Sequence[int], resource_id: str = "room") -> Call:
        """Is refused an hour."""
        request = booking_pb2.CreateBookingRequest(
            request_id=str(uuid.uuid4()),
            booking_id=str(uuid.uuid4()),
            items=[booking_pb2.BookingItem(resource_id=resource_id)],
            start_time=stamp(DAY + timedelta(hours=hour)),
        )
        told = {"resource_id": resource_id, "quanta.2027-03-08": ",".join(map(str, quanta))}
        return self.note("CreateBooking", request, Refused("SLOT_UNAVAILABLE", told))

    def note(self, method: str, request: Any, outcome: Outcome) -> Call:
        """Records a call of the next second."""
        call = Call(method, request, self._clock, self._clock + 0.5, outcome)
        self._clock += 1
        self.history.calls.append(call)
        return call

    def _answer(self, method: str, request: Any) -> Call:
        self.tables.keys.add((method, request.request_id))
        row = self.tables.bookings[request.booking_id]
        booking = booking_pb2.Booking(
            booking_id=row.booking_id,
            state=row.state,  # type: ignore[arg-type]  # the contract's numbers
            revision=row.revision,
            start_time=stamp(row.start_time),
            end_time=stamp(row.end_time),
            items=[
                booking_pb2.BookingItem(resource_id=item.resource_id, units=item.units)
                for item in self.tables.items[row.booking_id]
            ],
        )
        return self.note(method, request, Answered(_Answer(booking)))

    def _write_booking(
        self, booking_id: str, state: int, revision: int, start: datetime, sequence: int = 0
    ) -> None:
        self.tables.bookings[booking_id] = BookingRow(
            booking_id, 1, state, revision, sequence, "session", start, start + timedelta(hours=1)
        )

    def _write_event(
        self,
        booking_id: str,
        kind: str,
        revision: int,
        state: int,
        start: datetime,
        keys: set[DayKey],
    ) -> None:
        self.tables.history.setdefault(booking_id, {})[revision] = EventRow(
            kind, state, "", NOW, start, start + timedelta(hours=1)
        )
        self._append(kind, booking_id, revision, keys, {})

    def _append(
        self, kind: str, booking_id: str, revision: int, keys: set[DayKey], more: dict[str, Any]
    ) -> None:
        self.tables.feed += 1
        days = []
        for key in sorted(keys):
            is_pool = key[0] in FACTS.pools
            counts = list(self._occupancy.counts(key))
            capacity = self.tables.capacities.get(key[0], 1)
            busy = bits(count >= capacity for count in counts)
            self.tables.days[key] = DayRow(busy, self.tables.feed, counts if is_pool else None)
            day = datetime.fromtimestamp(key[1] * 86_400, UTC).date().isoformat()
            entry = [key[0], day, f"{busy:096b}"[::-1]]
            days.append(entry + [_planes(counts).hex()] * is_pool)
        self.tables.outbox.append(
            OutboxRow(self.tables.feed, 0, kind, booking_id, revision, {"days": days, **more})
        )


class _Answer:
    """An answer whose ``booking`` is all that is asked for."""

    def __init__(self, booking: booking_pb2.Booking) -> None:
        self.booking = booking

    def SerializeToString(self, **options: Any) -> bytes:
        return self.booking.SerializeToString(**options)


def _items(units: Mapping[str, int], start: datetime) -> list[ItemRow]:
    first = int((start - QUARTER).timestamp()) // 900
    return [
        ItemRow(name, count, first, first + 6, name in FACTS.pools) for name, count in units.items()
    ]


def _planes(counts: Sequence[int]) -> bytes:
    planes = []
    for place in range(max(counts).bit_length()):
        text = "".join(str(count >> place & 1) for count in counts)
        planes.append(int(text, 2).to_bytes(12, "big"))
    return b"".join(planes)
