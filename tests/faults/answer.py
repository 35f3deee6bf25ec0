"""Whether what callers were told is what is stored, and nothing else is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

from tests.faults.history import Answered, Call, History, Lost, Refused
from tests.faults.story import SERVER, Event
from tests.faults.tables import (
    DECLINED,
    EXPIRED,
    PENDING,
    PROVISIONAL,
    EventRow,
    Tables,
)
from tests.faults.violation import Rule, Violation

Intent = tuple[str, str]

# Says nothing about what was asked for.
_NOT_NOW = frozenset({"OVERLOADED", "CONTENDED"})
_EVENTS: Mapping[str, frozenset[str]] = {
    "CreateBooking": frozenset({"created"}),
    "CreateBlock": frozenset({"created"}),
    "ConfirmBooking": frozenset({"confirmed", "pending"}),
    "DeclineBooking": frozenset({"declined"}),
    "CancelBooking": frozenset({"cancelled"}),
    "CompleteBooking": frozenset({"completed"}),
    "RescheduleBooking": frozenset({"rescheduled"}),
}


def event_of(call: Call) -> Event:
    """What an answered call about a booking did."""
    booking = call.answer.booking
    return Event(booking.booking_id, booking.revision)


def intents_of(history: History) -> dict[Intent, list[Call]]:
    """The calls that may have changed something, by what their retries share."""
    found: dict[Intent, list[Call]] = defaultdict(list)
    for call in history.writes():
        found[call.intent].append(call)
    return found


def violations(history: History, tables: Tables) -> Iterator[Violation]:
    """Yields what callers were told and is not so, and what is so and nobody was told."""
    makers: dict[Event, list[Intent]] = defaultdict(list)
    lost: dict[tuple[str, str], list[Intent]] = defaultdict(list)
    for intent, calls in intents_of(history).items():
        answered = [call for call in calls if isinstance(call.outcome, Answered)]
        if answered:
            yield from _answers(intent, calls, answered, tables)
            if intent[0] in _EVENTS:
                makers[event_of(answered[0])].append(intent)
        elif any(isinstance(call.outcome, Lost) for call in calls):
            if intent in tables.keys:
                for event in _EVENTS.get(intent[0], ()):
                    lost[calls[0].request.booking_id, event].append(intent)
        elif intent in tables.keys:
            reasons = [call.outcome.reason for call in calls if isinstance(call.outcome, Refused)]
            yield Violation(
                Rule.REFUSED, f"{calls[0]} was refused ({reasons}), and its request id is kept"
            )
    for made, intents in makers.items():
        if len(intents) > 1:
            names = ", ".join(f"{method} {request_id[:8]}" for method, request_id in intents)
            yield Violation(
                Rule.SHARED,
                f"{made.booking_id} at {made.revision} is the answer to each of {names}",
            )
    yield from _inventions(tables, makers, lost)
    yield from _reads(history, tables)


def _answers(
    intent: Intent, calls: Sequence[Call], answered: Sequence[Call], tables: Tables
) -> Iterator[Violation]:
    messages = {call.answer.SerializeToString(deterministic=True) for call in answered}
    if len(messages) > 1:
        yield Violation(Rule.TWICE, f"{answered[0]} was given {len(messages)} different answers")
    first_told = min(call.ended for call in answered)
    for call in calls:
        if not isinstance(call.outcome, Refused) or call.outcome.reason in _NOT_NOW:
            continue
        if call.started > first_told:
            yield Violation(
                Rule.TWICE, f"{call} was answered, and later refused: {call.outcome.reason}"
            )
    if intent not in tables.keys:
        yield Violation(Rule.LOST, f"{answered[0]} was answered, and its request id is not kept")
    if intent[0] in _EVENTS:
        for call in answered:
            yield from _acknowledged(call, tables)


def _ended(state: int, following: EventRow | None) -> set[int]:
    """Returns how a booking has ended for everybody, once it is overdue, before that is written.

    The event that follows, if any does, must be the one that the server then writes.
    """
    ended = {PROVISIONAL: EXPIRED, PENDING: DECLINED}.get(state)
    if ended is None or (following and (following.actor, following.state) != (SERVER, ended)):
        return set()
    return {ended}


def _acknowledged(call: Call, tables: Tables) -> Iterator[Violation]:
    event = event_of(call)
    booking = call.answer.booking
    row = tables.history.get(event.booking_id, {}).get(event.revision)
    if row is None:
        yield Violation(
            Rule.LOST, f"{call} was answered with {event.booking_id} at {event.revision}"
        )
        return
    if row.event not in _EVENTS[call.method]:
        yield Violation(
            Rule.LOST,
            f"{call} was answered with {event.booking_id} at {event.revision}, which is"
            f" {row.event}",
        )
    told = (
        booking.state,
        booking.start_time.ToDatetime(UTC),
        booking.end_time.ToDatetime(UTC),
    )
    states = {row.state} | _ended(
        row.state, tables.history[event.booking_id].get(event.revision + 1)
    )
    if told not in {(state, row.start_time, row.end_time) for state in states}:
        yield Violation(Rule.LOST, f"{call} was told another state or time than its history has")
    wanted = {item.resource_id: item.units for item in booking.items}
    stored = {item.resource_id: item.units for item in tables.items.get(event.booking_id, ())}
    if wanted != stored:
        yield Violation(
            Rule.PARTIAL, f"{event.booking_id} was told to have {wanted} and has {stored}"
        )


def _inventions(
    tables: Tables,
    makers: Mapping[Event, Sequence[Intent]],
    lost: Mapping[tuple[str, str], list[Intent]],
) -> Iterator[Violation]:
    """Yields events that no call can have made."""
    spent: set[Intent] = set()
    for booking_id, events in sorted(tables.history.items()):
        for revision, event in sorted(events.items()):
            if Event(booking_id, revision) in makers:
                continue
            if event.actor == SERVER and event.event in {"expired", "declined"}:
                continue
            candidates = lost.get((booking_id, event.event), []) + lost.get(("", event.event), [])
            maker = next((intent for intent in candidates if intent not in spent), None)
            if maker is not None:
                spent.add(maker)
            else:
                yield Violation(
                    Rule.INVENTED, f"{event.event} {booking_id} at {revision}: by no call"
                )
    for intents in lost.values():
        for intent in set(intents) - spent:
            spent.add(intent)
            yield Violation(
                Rule.PARTIAL, f"{intent[0]} {intent[1][:8]}: its request id is kept, and no more"
            )


def _reads(history: History, tables: Tables) -> Iterator[Violation]:
    """Yields reads that miss what had been acknowledged, or saw what was never committed."""
    told: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for call in history.writes():
        if isinstance(call.outcome, Answered) and call.method in _EVENTS:
            event = event_of(call)
            told[event.booking_id].append((call.ended, event.revision))
    for call in history.calls:
        if call.method != "GetBooking" or isinstance(call.outcome, Lost):
            continue
        booking_id = call.request.booking_id
        known = max(
            (revision for ended, revision in told[booking_id] if ended < call.started), default=-1
        )
        seen = _seen(call.outcome)
        if seen is None:
            continue
        if seen < known:
            yield Violation(
                Rule.EARLY,
                f"{booking_id} was acknowledged at {known}, and read later at"
                f" {'nothing' if seen < 0 else seen}",
            )
        # One more: what is overdue is told as ended before the server gets round to it.
        newest = max(tables.history.get(booking_id, {}), default=-1)
        if seen > newest + 1 or (seen >= 0 and newest < 0):
            yield Violation(
                Rule.LOST, f"{booking_id} was read at revision {seen}, and is at {newest}"
            )


def _seen(outcome: Any) -> int | None:
    if isinstance(outcome, Answered):
        revision: int = outcome.message.booking.revision
        return revision
    return -1 if outcome.reason == "NOT_FOUND" else None
