"""Whether what a caller was refused for was so, at some moment of the call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from tests.faults.history import Call, History, Refused
from tests.faults.order import Commits
from tests.faults.replay import Moment, Replay
from tests.faults.story import Event
from tests.faults.tables import DayKey, Tables
from tests.faults.violation import Rule, Violation, day_text, quanta_text

_STATES = (
    "",
    "CONFIRMED",
    "CANCELLED",
    "PENDING",
    "PROVISIONAL",
    "DECLINED",
    "EXPIRED",
    "COMPLETED",
)


@dataclass(slots=True)
class _Claim:
    """What a refusal says: fewer units than these are left at each of these quanta; 0: all."""

    call: Call
    newest: int
    units: int
    without: str
    quanta: Mapping[DayKey, frozenset[int]]
    is_explained: bool = field(default=False)

    def holds(self, replay: Replay) -> bool:
        """Whether it is so now."""
        for key, quanta in self.quanta.items():
            counts = replay.occupancy.counts(key, self.without)
            # Who wants all there is, is stopped by one.
            room = replay.least_capacity(key[0]) - self.units if self.units else 0
            if any(counts[quantum] <= room for quantum in quanta):
                return False
        return True


class Refusals:
    """Judges SLOT_UNAVAILABLE while the outbox is replayed."""

    def __init__(self, history: History, tables: Tables, commits: Commits) -> None:
        waiting = []
        for call in history.writes():
            if isinstance(call.outcome, Refused) and call.outcome.reason == "SLOT_UNAVAILABLE":
                claim = _claim(call, tables, commits.perhaps_before(call.ended))
                waiting.append((commits.surely_before(call.started), claim))
        # Those whose moment comes first are last.
        self._waiting = sorted(waiting, key=lambda pair: -pair[0])
        self._open: list[_Claim] = []
        self.violations: list[Violation] = []

    def begin(self, replay: Replay) -> None:
        """Looks at the state before the first event."""
        self._admit(0, replay)

    def see(self, moment: Moment, replay: Replay) -> None:
        """Looks at the state after an event."""
        is_resized = moment.event.kind == "capacity"
        for claim in self._open:
            concerns = is_resized or not moment.touched.isdisjoint(claim.quanta)
            if concerns and not claim.is_explained:
                claim.is_explained = claim.holds(replay)
        if moment.is_end:
            self._admit(moment.feed, replay)
            self._dismiss(moment.feed)

    def end(self) -> None:
        """There are no more events."""
        self._dismiss(None)

    def _admit(self, feed: int, replay: Replay) -> None:
        while self._waiting and self._waiting[-1][0] <= feed:
            claim = self._waiting.pop()[1]
            claim.is_explained = not claim.quanta or claim.holds(replay)
            self._open.append(claim)

    def _dismiss(self, feed: int | None) -> None:
        still = []
        for claim in self._open:
            if claim.is_explained:
                continue
            if feed is None or feed >= claim.newest:
                self._note(claim)
            else:
                still.append(claim)
        self._open = still

    def _note(self, claim: _Claim) -> None:
        told = "; ".join(
            f"{day_text(key)}, quanta {quanta_text(quanta)}" for key, quanta in claim.quanta.items()
        )
        self.violations.append(
            Violation(
                Rule.UNEXPLAINED,
                f"{claim.call} for {claim.units} of {told}: free throughout the call",
            )
        )


def _claim(call: Call, tables: Tables, newest: int) -> _Claim:
    assert isinstance(call.outcome, Refused)
    metadata = call.outcome.metadata
    resource_id = metadata.get("resource_id", "")
    quanta = {
        (resource_id, (date.fromisoformat(name[7:]) - date(1970, 1, 1)).days): frozenset(
            map(int, text.split(","))
        )
        for name, text in metadata.items()
        if name.startswith("quanta.")
    }
    without = call.request.booking_id if call.method == "RescheduleBooking" else ""
    return _Claim(call, newest, _units(call, resource_id, tables), without, quanta)


def _units(call: Call, resource_id: str, tables: Tables) -> int:
    if call.method == "RescheduleBooking":
        rows = tables.items.get(call.request.booking_id, ())
        return next((row.units for row in rows if row.resource_id == resource_id), 1)
    if call.method == "CreateBlock":
        return int(call.request.units)
    return next(
        (item.units or 1 for item in call.request.items if item.resource_id == resource_id), 1
    )


def states(history: History, tables: Tables, commits: Commits) -> Iterator[Violation]:
    """Yields INVALID_STATE for a state that the booking had at no moment of the call."""
    for call in history.writes():
        if not isinstance(call.outcome, Refused) or call.outcome.reason != "INVALID_STATE":
            continue
        told = call.outcome.metadata.get("state", "")
        booking_id = call.request.booking_id
        if told not in _STATES or told in {"EXPIRED", "DECLINED"}:
            continue  # a block; or told by the clock, before the server got round to it
        oldest = commits.surely_before(call.started)
        newest = commits.perhaps_before(call.ended)
        state: int | None = None
        possible = set()
        for revision, event in sorted(tables.history.get(booking_id, {}).items()):
            feed = commits.feeds.get(Event(booking_id, revision), 0)
            if feed > newest:
                break
            if feed > oldest and state is not None:
                possible.add(_STATES[state])
            state = event.state
        if state is not None:
            possible.add(_STATES[state])
        if told not in possible:
            yield Violation(
                Rule.UNEXPLAINED,
                f"{call}: {booking_id} was said to be {told}, and was"
                f" {' or '.join(sorted(possible)) or 'unknown'}",
            )


def existence(history: History, commits: Commits) -> Iterator[Violation]:
    """Yields NOT_FOUND for bookings that were there, ID_TAKEN for ids that were not."""
    first: dict[str, int] = {
        event.booking_id: feed for event, feed in commits.feeds.items() if event.revision == 0
    }
    for call in history.writes():
        if not isinstance(call.outcome, Refused):
            continue
        created = first.get(getattr(call.request, "booking_id", ""))
        if call.outcome.reason == "NOT_FOUND" and call.outcome.metadata.get("kind") == "booking":
            if created is not None and created <= commits.surely_before(call.started):
                yield Violation(Rule.UNEXPLAINED, f"{call} was not found, and was there")
        elif call.outcome.reason == "ID_TAKEN" and (
            created is None or created > commits.perhaps_before(call.ended)
        ):
            yield Violation(Rule.UNEXPLAINED, f"{call}: nobody had that id")
