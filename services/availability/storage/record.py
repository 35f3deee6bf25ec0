"""What a group of decided claims writes, as rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.availability.domain.booking import Booking
from services.availability.domain.claim import DayKey, DayState
from services.availability.domain.day_bytes import planes_to_bytes
from services.availability.domain.ledger_claim import Change, Decided
from services.availability.domain.request_key import RequestKey
from shared.slots import bitmap
from shared.slots.quantum import day_date

Record = dict[str, Any]

_JSON: Final = json.JSONEncoder(separators=(",", ":"))


@dataclass(slots=True)
class Records:
    """Rows by table; a table without any is not written.

    A booking that is changed twice in a transaction is written as it is in the end.
    """

    bookings: list[Record] = field(default_factory=list)
    items: list[Record] = field(default_factory=list)
    changes: dict[str, Record] = field(default_factory=dict)
    moves: dict[str, list[Record]] = field(default_factory=dict)
    history: list[Record] = field(default_factory=list)
    decided: list[Record] = field(default_factory=list)

    def add(self, key: RequestKey | None, decided: Decided) -> None:
        """Takes in what one claim writes, all but days."""
        change = decided.change
        if change is not None:
            self._add_change(change, decided)
        record = {
            "ordinal": len(self.decided),
            "kind": decided.kind,
            "id": change.booking.booking_id if change else "",
            "revision": change.booking.revision if change else 0,
        }
        if key is not None:
            record["method"] = key.method
            record["request"] = key.request_id
            record["hash"] = key.content_hash.hex()
            record["answer"] = decided.answer.hex()
        self.decided.append(record)

    def _add_change(self, change: Change, decided: Decided) -> None:
        booking, event, note, _ = change
        standing = _standing(booking)
        happened = {
            "event": event,
            "actor": note.actor,
            "why": note.reason,
            "overridden": note.is_override,
        }
        if decided.is_new:
            # Its first history is written from the same record.
            self.bookings.append({**standing, **_origin(booking), **happened})
            self.items += _items(booking)
            return
        self.changes[booking.booking_id] = standing
        if decided.is_moved:
            self.moves[booking.booking_id] = _items(booking)
        self.history.append({**standing, **happened})


def announcement(days: Sequence[Record], capacities: Sequence[tuple[str, int]]) -> str:
    """Returns what the first event of a transaction tells of days and capacities, as JSON."""
    told: Record = {"days": [_told(day) for day in days]}
    if capacities:
        told["capacities"] = capacities
    return _JSON.encode(told)


def day_records(states: Iterable[tuple[DayKey, DayState]]) -> list[Record]:
    """Returns days as rows."""
    return [
        {
            "resource": key.resource_id,
            "day": str(day_date(key.day)),
            "busy": bitmap.to_bits(state.busy),
            "taken": planes_to_bytes(state.taken).hex(),
        }
        for key, state in states
    ]


def written(rows: Sequence[Record]) -> str:
    """Returns rows as the JSON that a statement reads them from."""
    return _JSON.encode(rows)


def array(values: Iterable[object]) -> str:
    """Writes ids, dates or numbers as PostgreSQL's text of an array.

    The driver's own arrays cost as much as the rest of a statement's parameters together.
    """
    # Quoted: an id may read NULL. None of these values has a quote or a backslash in it.
    return "{" + ",".join(f'"{value}"' for value in values) + "}"


def _told(day: Record) -> list[str]:
    told = [day["resource"], day["day"], day["busy"]]
    return [*told, day["taken"]] if day["taken"] else told


def _standing(booking: Booking) -> Record:
    due_at = booking.due_at
    return {
        "id": booking.booking_id,
        "state": int(booking.state),
        "revision": booking.revision,
        "sequence": booking.sequence,
        "start": str(booking.start),
        "end": str(booking.end),
        "reason": booking.cancel_reason,
        "updated": str(booking.updated_at),
        "due": str(due_at) if due_at else None,
    }


def _origin(booking: Booking) -> Record:
    return {
        "kind": int(booking.kind),
        "event_type": booking.event_type_id,
        "title": booking.event_type_title,
        "booker": booking.booker.booker_id,
        "name": booking.booker.name,
        "email": booking.booker.email,
        "location": booking.location,
        "zone": booking.time_zone,
        "block": booking.block_reason,
        "created": str(booking.created_at),
        "needs": booking.needs_confirmation,
        "hash": booking.token_hash.hex(),
        "token": booking.token_version,
    }


def _items(booking: Booking) -> list[Record]:
    start = str(booking.start)
    return [
        {
            "id": booking.booking_id,
            "ordinal": ordinal,
            "resource": item.resource_id,
            "units": item.units,
            "first": item.occupancy.first,
            "stop": item.occupancy.stop,
            "start": start,
            "pool": item.is_pool,
        }
        for ordinal, item in enumerate(booking.items, 1)
    ]
