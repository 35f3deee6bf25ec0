"""Whether the tables tell one story: feeds, events, revisions, states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from tests.faults.tables import (
    BLOCK,
    CANCELLED,
    COMPLETED,
    CONFIRMED,
    DECLINED,
    EXPIRED,
    PENDING,
    PROVISIONAL,
    EventRow,
    OutboxRow,
    Tables,
)
from tests.faults.violation import Rule, Violation

SERVER = "server"
NOT_BOOKINGS = frozenset({"capacity", "rebuilt"})

# Per event, from which state to which.
_ALLOWED: Mapping[str, frozenset[tuple[int, int]]] = {
    "pending": frozenset({(PROVISIONAL, PENDING)}),
    "confirmed": frozenset({(PROVISIONAL, CONFIRMED), (PENDING, CONFIRMED)}),
    "declined": frozenset({(PENDING, DECLINED)}),
    "cancelled": frozenset(
        {(PROVISIONAL, CANCELLED), (PENDING, CANCELLED), (CONFIRMED, CANCELLED)}
    ),
    "expired": frozenset({(PROVISIONAL, EXPIRED)}),
    "rescheduled": frozenset(
        {(PROVISIONAL, PROVISIONAL), (PENDING, PENDING), (CONFIRMED, CONFIRMED)}
    ),
    "completed": frozenset({(CONFIRMED, COMPLETED)}),
}
_BEGINNINGS = frozenset({CONFIRMED, PENDING, PROVISIONAL})


class Event(NamedTuple):
    """One thing that happened to a booking."""

    booking_id: str
    revision: int


def violations(tables: Tables, lives: Mapping[str, timedelta]) -> Iterator[Violation]:
    """Yields what contradicts itself.

    Args:
        tables: What is stored.
        lives: How long provisional bookings were given, as far as is known.
    """
    yield from _feeds(tables)
    yield from _outbox(tables)
    for booking_id in sorted(tables.bookings.keys() | tables.history.keys() | tables.items.keys()):
        yield from _booking(tables, booking_id, lives.get(booking_id))


def _feeds(tables: Tables) -> Iterator[Violation]:
    ordinals: dict[int, list[int]] = {}
    for row in tables.outbox:
        ordinals.setdefault(row.feed, []).append(row.ordinal)
    expected = tables.trimmed + 1
    for feed, found in ordinals.items():
        if feed != expected:
            yield Violation(Rule.FEED, f"feed number {expected} is missing before {feed}")
        expected = feed + 1
        if found != list(range(len(found))):
            yield Violation(Rule.FEED, f"feed {feed} has the rows {found}")
    if tables.feed != expected - 1:
        yield Violation(
            Rule.FEED, f"the feed stands at {tables.feed}, its newest row at {expected - 1}"
        )


def _outbox(tables: Tables) -> Iterator[Violation]:
    told = Counter(
        Event(row.booking_id, row.revision) for row in tables.outbox if row.kind not in NOT_BOOKINGS
    )
    newest: dict[str, int] = {}
    for row in tables.outbox:
        if row.kind not in NOT_BOOKINGS:
            yield from _told(tables, row, newest.get(row.booking_id, -1))
            newest[row.booking_id] = row.revision
    for event, count in told.items():
        if count > 1:
            yield Violation(
                Rule.EVENT, f"{event.booking_id} at {event.revision} is told of {count} times"
            )
    if tables.trimmed == 0:
        for booking_id, events in tables.history.items():
            for revision in events:
                if Event(booking_id, revision) not in told:
                    yield Violation(Rule.EVENT, f"{booking_id} at {revision} is never told of")


def _told(tables: Tables, row: OutboxRow, newest: int) -> Iterator[Violation]:
    what = f"feed {row.feed} tells of {row.kind} {row.booking_id} at {row.revision}"
    if tables.trimmed == 0 and row.revision != newest + 1:
        yield Violation(Rule.FEED, f"{what}, and of {newest} before it")
    event = tables.history.get(row.booking_id, {}).get(row.revision)
    if event is None or event.event != row.kind:
        yield Violation(
            Rule.EVENT, f"{what}: its history has {event.event if event else 'nothing'} there"
        )


def _booking(tables: Tables, booking_id: str, life: timedelta | None) -> Iterator[Violation]:
    row = tables.bookings.get(booking_id)
    events = tables.history.get(booking_id, {})
    if row is None:
        yield Violation(Rule.PARTIAL, f"{booking_id} has items or a history, and no booking")
        return
    if not tables.items.get(booking_id):
        yield Violation(Rule.PARTIAL, f"{booking_id} has no items")
    if sorted(events) != list(range(row.revision + 1)):
        yield Violation(
            Rule.REVISION,
            f"{booking_id} is at revision {row.revision}, its history has {sorted(events)}",
        )
        return
    created = [revision for revision, event in events.items() if event.event == "created"]
    if created != [0]:
        yield Violation(Rule.EVENT, f"{booking_id} was created at revisions {created}")
    last = events[row.revision]
    if (row.state, row.start_time, row.end_time) != (last.state, last.start_time, last.end_time):
        yield Violation(
            Rule.EVENT,
            f"{booking_id} is {_state(row.state, row.start_time, row.end_time)}, its history ends"
            f" with {_state(last.state, last.start_time, last.end_time)}",
        )
    moves = sum(event.event == "rescheduled" for event in events.values())
    if row.sequence != moves:
        yield Violation(
            Rule.REVISION, f"{booking_id} was moved {moves} times, its sequence is {row.sequence}"
        )
    if row.kind == BLOCK and {event.event for event in events.values()} - {"created", "cancelled"}:
        yield Violation(Rule.STATE, f"block {booking_id} was more than created and cancelled")
    yield from _transitions(booking_id, events, life)


def _transitions(
    booking_id: str, events: Mapping[int, EventRow], life: timedelta | None
) -> Iterator[Violation]:
    if events[0].state not in _BEGINNINGS:
        yield Violation(Rule.STATE, f"{booking_id} began in state {events[0].state}")
    for revision in range(1, len(events)):
        before, event = events[revision - 1], events[revision]
        if (before.state, event.state) not in _ALLOWED.get(event.event, ()):
            yield Violation(
                Rule.STATE,
                f"{booking_id} at {revision}: {event.event} from state {before.state} to"
                f" {event.state}",
            )
        due = _due(before, events[0], life)
        is_ending = event.actor == SERVER and event.event in {"expired", "declined"}
        if due is not None and is_ending != (event.created_at >= due):
            yield Violation(
                Rule.STATE,
                f"{booking_id} at {revision}: {event.event} by {event.actor or 'a caller'} at"
                f" {event.created_at}; the server was to end it at {due}",
            )
        if event.event == "completed" and event.created_at < event.start_time:
            yield Violation(Rule.STATE, f"{booking_id} was completed before it started")


def _due(before: EventRow, created: EventRow, life: timedelta | None) -> datetime | None:
    if before.state == PENDING:
        return before.start_time
    if before.state == PROVISIONAL and life is not None:
        return created.created_at + life
    return None


def _state(state: int, start: datetime, end: datetime) -> str:
    return f"in state {state} from {start:%Y-%m-%dT%H:%M} to {end:%Y-%m-%dT%H:%M}"
