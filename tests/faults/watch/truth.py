"""What really became of holds, as the store's own log tells it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tests.faults.watch.trace import Held, Holds, Name, Position

_CHECKPOINT_EVERY: Final = 64


class Change(NamedTuple):
    """How one hold changed: the quanta it had before, how it is now, why it is gone."""

    before: tuple[int, int] | None
    after: Held | None
    reason: int


class Entry(NamedTuple):
    """What one call changed of one resource.

    Attributes:
        absent_at: By the store's clock in microseconds, when it was not there yet; 0: unknown.
        seen_at: When it was.
    """

    position: Position
    resource: str
    changes: Mapping[Name, Change]
    absent_at: int = 0
    seen_at: int = 0


class Expected(NamedTuple):
    """What a watcher of some days is to be told of changes: as ``Told``."""

    holds: dict[Name, Held]
    ended: dict[Name, int]


@dataclass(slots=True)
class Line:
    """One resource in one epoch, from a known state on.

    Attributes:
        base: The revision of the known state.
        state: That state.
        entries: Those after it, in their order.
        known_to: Up to which revision, others' of the scope counted, nothing is missing.
    """

    base: int
    state: dict[Name, Held]
    entries: list[Entry] = field(default_factory=list)
    known_to: int = 0
    _revisions: list[int] = field(default_factory=list)
    _checkpoints: list[dict[Name, Held]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known_to = max(self.known_to, self.base)
        self._checkpoints.append(dict(self.state))

    def add(self, entry: Entry) -> None:
        """Takes in the next entry."""
        self.entries.append(entry)
        self._revisions.append(entry.position.revision)
        apply(self.state, entry)
        if len(self.entries) % _CHECKPOINT_EVERY == 0:
            self._checkpoints.append(dict(self.state))

    def knows(self, revision: int) -> bool:
        """Whether the state after a revision can be told."""
        return self.base <= revision <= self.known_to

    def at(self, revision: int) -> dict[Name, Held]:
        """The holds after a revision."""
        count = bisect_right(self._revisions, revision)
        number = count // _CHECKPOINT_EVERY
        state = dict(self._checkpoints[number])
        for entry in self.entries[number * _CHECKPOINT_EVERY : count]:
            apply(state, entry)
        return state

    def between(self, after: int, revision: int) -> list[Entry]:
        """The entries in (after, revision]."""
        revisions = self._revisions
        return self.entries[bisect_right(revisions, after) : bisect_right(revisions, revision)]


class Truth:
    """Every change of every resource, as far as somebody saw it."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, int], Line] = {}

    def line(self, resource: str, epoch: int) -> Line | None:
        """A resource in one epoch; None where nothing is known of it."""
        return self.lines.get((resource, epoch))

    def begin(self, resource: str, epoch: int, base: int, state: Holds) -> Line:
        """Begins a resource's line at a known state."""
        line = self.lines[resource, epoch] = Line(base, dict(state))
        return line

    def ends(self, resource: str, line: Line) -> bool:
        """Whether the store lost a resource's line, and another epoch began."""
        *_, (_, newest) = self.of_resource(resource)
        return newest is not line

    def of_resource(self, resource: str) -> Iterator[tuple[int, Line]]:
        """A resource's epochs, the oldest first."""
        for name, epoch in sorted(self.lines):
            if name == resource:
                yield epoch, self.lines[name, epoch]


def apply(state: dict[Name, Held], entry: Entry) -> None:
    """Makes the state after an entry of the one before."""
    for name, change in entry.changes.items():
        if change.after is None:
            state.pop(name, None)
        else:
            state[name] = change.after


def expected(entries: Iterable[Entry], days: frozenset[int]) -> Expected:
    """What a watcher of some days is told of entries, one message for all of them."""
    first: dict[Name, tuple[int, int] | None] = {}
    last: dict[Name, Change] = {}
    for entry in entries:
        for name, change in entry.changes.items():
            first.setdefault(name, change.before)
            last[name] = change
    found = Expected({}, {})
    for name, change in last.items():
        before = first[name]
        if change.after is not None and change.after.touches(days):
            found.holds[name] = change.after
        elif before is not None and Held(*before, 1, 0, False).touches(days):
            found.ended[name] = change.reason or MOVED
    return found


def shown(state: Holds, days: frozenset[int]) -> dict[Name, Held]:
    """The holds that a watcher of some days sees."""
    return {name: held for name, held in state.items() if held.touches(days)}


LEFT: Final = 1
EXPIRED: Final = 2
MOVED: Final = 3
BOOKED: Final = 4
BLOCKED: Final = 5
