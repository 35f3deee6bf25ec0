"""What a group of decided claims writes, as rows.

Rows are JSON texts, written field by field: dictionaries, encoded one by one, were the dearest
part of a booking. Dates, numbers, bits and hexadecimal digits hold nothing to escape; whatever a
caller may have said goes through ``_text``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as _text
from typing import Final, NamedTuple

from services.availability.domain.booking import Booking
from services.availability.domain.claim import DayKey, DayState
from services.availability.domain.day_bytes import planes_to_bytes
from services.availability.domain.ledger_claim import Change, Decided
from services.availability.domain.request_key import RequestKey
from shared.slots import bitmap
from shared.slots.quantum import day_date

_NOTHING: Final = '""'
_BOOLEAN: Final = ("false", "true")


@dataclass(slots=True)
class Records:
    """Rows by table, as JSON; a table without any is not written.

    A booking that is changed twice in a transaction is written as it is in the end.
    """

    bookings: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    changes: dict[str, str] = field(default_factory=dict)
    moves: dict[str, list[str]] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    decided: list[str] = field(default_factory=list)

    def add(self, key: RequestKey | None, decided: Decided) -> None:
        """Takes in what one claim writes, all but days."""
        change = decided.change
        booking_id, revision = '""', 0
        if change is not None:
            booking_id, revision = _text(change.booking.booking_id), change.booking.revision
            self._add_change(change, decided)
        answered = ""
        if key is not None:
            answered = (
                f',"method":"{key.method}","request":{_text(key.request_id)}'
                f',"hash":"{key.content_hash.hex()}","answer":"{decided.answer.hex()}"'
            )
        self.decided.append(
            f'{{"ordinal":{len(self.decided)},"kind":"{decided.kind}","id":{booking_id}'
            f',"revision":{revision}{answered}}}'
        )

    def _add_change(self, change: Change, decided: Decided) -> None:
        booking, event, note, _ = change
        # Writing an instant costs as much as all the rest of its row's numbers.
        start, updated = booking.start.isoformat(), booking.updated_at.isoformat()
        standing = _standing(booking, start, updated)
        happened = (
            f',"event":"{event}","actor":{_text(note.actor)},"why":{_text(note.reason)}'
            f',"overridden":{_BOOLEAN[note.is_override]}}}'
        )
        if decided.is_new:
            # Its first history is written from the same record.
            is_fresh = booking.created_at is booking.updated_at
            created = updated if is_fresh else booking.created_at.isoformat()
            self.bookings.append(f"{standing}{_origin(booking, created)}{happened}")
            self.items += _items(booking, start)
            return
        self.changes[booking.booking_id] = f"{standing}}}"
        if decided.is_moved:
            self.moves[booking.booking_id] = _items(booking, start)
        self.history.append(f"{standing}{happened}")


class DayRow(NamedTuple):
    """A day that changed, in JSON: its resource, date, busy quanta and counters."""

    resource: str
    day: str
    busy: str
    taken: str

    def record(self) -> str:
        """Returns it as a row."""
        return (
            f'{{"resource":{self.resource},"day":{self.day},"busy":{self.busy}'
            f',"taken":{self.taken}}}'
        )

    def told(self) -> str:
        """Returns it as an event tells it: without counters where there are none."""
        return f"[{','.join(self if self.taken != _NOTHING else self[:-1])}]"


def day_row(key: DayKey, state: DayState) -> DayRow:
    """Returns a day as it is to be stored."""
    taken = f'"{planes_to_bytes(state.taken).hex()}"' if state.taken else _NOTHING
    busy = bitmap.to_bits(state.busy)
    return DayRow(_text(key.resource_id), f'"{day_date(key.day)}"', f'"{busy}"', taken)


def announcement(days: Iterable[DayRow], capacity: tuple[str, int] | None) -> str:
    """Returns what the first event of a transaction tells of days and a capacity, as JSON."""
    told = f'{{"days":{written(day.told() for day in days)}'
    if capacity is None:
        return f"{told}}}"
    resource_id, units = capacity
    return f'{told},"capacities":[[{_text(resource_id)},{units}]]}}'


def written(rows: Iterable[str]) -> str:
    """Returns rows as the JSON that a statement reads them from."""
    return f"[{','.join(rows)}]"


def array(values: Iterable[object]) -> str:
    """Writes ids, dates or numbers as PostgreSQL's text of an array.

    The driver's own arrays cost as much as the rest of a statement's parameters together.
    """
    # Quoted: an id may read NULL. None of these values has a quote or a backslash in it.
    return "{" + ",".join(f'"{value}"' for value in values) + "}"


def _standing(booking: Booking, start: str, updated: str) -> str:
    """Returns the beginning of a row: what changes in a booking's life."""
    due_at = booking.due_at
    due = f'"{due_at.isoformat()}"' if due_at else "null"
    return (
        f'{{"id":{_text(booking.booking_id)},"state":{int(booking.state)}'
        f',"revision":{booking.revision},"sequence":{booking.sequence}'
        f',"start":"{start}","end":"{booking.end.isoformat()}"'
        f',"reason":{_text(booking.cancel_reason)},"updated":"{updated}","due":{due}'
    )


def _origin(booking: Booking, created: str) -> str:
    """Returns the middle of a row: what stays as it was when the booking was made."""
    booker = booking.booker
    return (
        f',"kind":{int(booking.kind)},"event_type":{_text(booking.event_type_id)}'
        f',"title":{_text(booking.event_type_title)},"booker":{_text(booker.booker_id)}'
        f',"name":{_text(booker.name)},"email":{_text(booker.email)}'
        f',"location":{_text(booking.location)},"zone":{_text(booking.time_zone)}'
        f',"block":{_text(booking.block_reason)},"created":"{created}"'
        f',"needs":{_BOOLEAN[booking.needs_confirmation]},"hash":"{booking.token_hash.hex()}"'
        f',"token":{booking.token_version}'
    )


def _items(booking: Booking, start: str) -> list[str]:
    of_booking = f'"id":{_text(booking.booking_id)},"start":"{start}"'
    return [
        f'{{{of_booking},"ordinal":{ordinal},"resource":{_text(item.resource_id)}'
        f',"units":{item.units},"first":{item.occupancy.first},"stop":{item.occupancy.stop}'
        f',"pool":{_BOOLEAN[item.is_pool]}}}'
        for ordinal, item in enumerate(booking.items, 1)
    ]
