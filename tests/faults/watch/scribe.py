"""Writes an honest story: what became of holds, and a watch that was told all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.faults.watch.trace import (
    Event,
    Held,
    Message,
    Name,
    Position,
    Segment,
    Told,
    Watch,
)
from tests.faults.watch.truth import Change, Entry, Line, Truth, expected, shown

ROOM: Final = "room"
HALL: Final = "hall"
DAY: Final = 20_000
_HOUR: Final = 4
_STEP_SECONDS: Final = 0.5
_BOOKMARK_SECONDS: Final = 4.0


def name(holder: str, hold_id: str = "") -> Name:
    """A hold of somebody's."""
    return Name(holder, hold_id)


def hour(number: int, *, acquired: int = 0, day: int = DAY) -> Held:
    """An hour of the watched day, counted from midnight."""
    first = 96 * day + _HOUR * number
    return Held(first, first + _HOUR, 1, acquired, is_overdue=False)


class Scribe:
    """Two resources in one scope, and one watcher of both on one day."""

    def __init__(self) -> None:
        self.truth = Truth()
        self.watch = Watch("watcher", [ROOM, HALL], frozenset({DAY}))
        self._at = 0.0
        self._epoch, self._revision = 7, 0
        self._lines: dict[str, Line] = {}
        self._read: dict[str, int] = {}
        self._begin_epoch({})
        self._open(None)
        self._say(Event.SNAPSHOT, [self._state(ROOM), self._state(HALL)])

    @property
    def end(self) -> dict[str, Position]:
        """Where both stand."""
        return dict.fromkeys(self.watch.resources, self._position)

    def change(self, resource: str, holds: Mapping[Name, Held | int]) -> None:
        """One call: holds as they are now, or why they are gone."""
        entry = self._entry(resource, holds)
        told = expected([entry], self.watch.days)
        if any(told):
            after, self._read[resource] = self._read[resource], self._revision
            self._say(
                Event.CHANGES, [Told(resource, after, self._revision, told.holds, told.ended)]
            )

    def idle(self) -> None:
        """Nothing happens for a while."""
        self._at += _BOOKMARK_SECONDS - _STEP_SECONDS
        self._say(Event.BOOKMARK, [])

    def away(self, *missed: tuple[str, Mapping[Name, Held | int]]) -> None:
        """The watcher hangs up, misses some calls, and resumes."""
        token = self._position
        self._close()
        entries = [self._entry(resource, holds) for resource, holds in missed]
        self._open(dict.fromkeys(self.watch.resources, token))
        told = []
        for resource in self.watch.resources:
            own = [entry for entry in entries if entry.resource == resource]
            found = expected(own, self.watch.days)
            self._read[resource] = token.revision
            if any(found):
                told.append(
                    Told(resource, token.revision, self._revision, found.holds, found.ended)
                )
                self._read[resource] = self._revision
        self._say(Event.CHANGES if told else Event.BOOKMARK, told)

    def lose(self, holds: Mapping[Name, Held]) -> None:
        """The store is started anew: of the room's holds these are left, of the hall's none."""
        self._epoch += 1
        self._begin_epoch(holds)
        self._say(Event.RESET, [self._state(ROOM), self._state(HALL)])

    def finish(self) -> Scribe:
        """Ends the last call."""
        self._close()
        return self

    @property
    def _position(self) -> Position:
        return Position(self._epoch, self._revision)

    def _entry(self, resource: str, holds: Mapping[Name, Held | int]) -> Entry:
        line = self._lines[resource]
        self._revision += 1
        changes = {}
        for hold, now in holds.items():
            known = line.state.get(hold)
            before = None if known is None else (known.first, known.stop)
            if isinstance(now, int):
                changes[hold] = Change(before, None, now)
            else:
                changes[hold] = Change(before, now, 0)
        entry = Entry(self._position, resource, changes)
        line.add(entry)
        for other in self._lines.values():
            other.known_to = self._revision
        return entry

    def _begin_epoch(self, holds: Mapping[Name, Held]) -> None:
        for resource in self.watch.resources:
            state = holds if resource == ROOM else {}
            self._lines[resource] = self.truth.begin(resource, self._epoch, self._revision, state)

    def _state(self, resource: str) -> Told:
        self._read[resource] = self._revision
        holds = shown(self._lines[resource].state, self.watch.days)
        return Told(resource, 0, self._revision, holds, {})

    def _open(self, resumed: Mapping[str, Position] | None) -> None:
        self.watch.segments.append(Segment(self._at, resumed))

    def _close(self) -> None:
        self.watch.segments[-1].ended_at = self._at

    def _say(self, event: Event, told: list[Told]) -> None:
        self._at += _STEP_SECONDS
        positions = dict.fromkeys(self.watch.resources, self._position)
        self.watch.segments[-1].messages.append(Message(self._at, event, told, positions))
