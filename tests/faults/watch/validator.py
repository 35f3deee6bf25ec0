"""Finds where what a watcher was told cannot be what the store's log says.

Pure: a watcher's calls and the truth go in, broken promises come out. Where the truth itself is
not known (what a store wrote just before it was killed), nothing is judged by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from tests.faults.watch.trace import (
    Event,
    Held,
    Message,
    Name,
    Position,
    Segment,
    Stall,
    Told,
    Watch,
)
from tests.faults.watch.truth import Entry, Truth, expected, shown
from tests.faults.watch.violation import Rule, Violation

_BOOKMARK_SECONDS: Final = 5.0
# A whole comparison costs a fold of the log; between two of them every change is compared.
_WHOLE_EVERY: Final = 50
_NOWHERE: Final = Position(0, -1)


def validate(
    watch: Watch,
    truth: Truth,
    stalls: Sequence[Stall] = (),
    end: Mapping[str, Position] | None = None,
) -> list[Violation]:
    """Returns every broken promise of one watch; none is the only right answer.

    Args:
        watch: What was told.
        truth: What was.
        stalls: When the process that read was too busy to.
        end: How far it must have been told in the end.
    """
    walk = _Walk(watch, truth)
    for segment in watch.segments:
        walk.segment(segment)
        if segment.is_prompt:
            walk.found += _silences(watch, segment, stalls)
    walk.ends(end or {})
    return walk.found


def _silences(watch: Watch, segment: Segment, stalls: Sequence[Stall]) -> list[Violation]:
    times = [segment.began, *(message.at for message in segment.messages)]
    if segment.ended_at is not None:
        times.append(segment.ended_at)
    return [
        Violation(Rule.BOOKMARK, f"{watch.name}: nothing for {later - earlier:.1f} s")
        for earlier, later in pairwise(times)
        if later - earlier > _BOOKMARK_SECONDS + _stalled(stalls, earlier, later)
    ]


def _stalled(stalls: Sequence[Stall], earlier: float, later: float) -> float:
    return sum(stall.seconds for stall in stalls if earlier - stall.seconds <= stall.began <= later)


class _Walk:
    """Goes through one watch's messages with what it knew before each."""

    def __init__(self, watch: Watch, truth: Truth) -> None:
        self.found: list[Violation] = []
        self._watch = watch
        self._truth = truth
        self._days = watch.days
        self._told = dict.fromkeys(watch.resources, _NOWHERE)
        # The revision that the last message about a resource gave it.
        self._read: dict[str, int] = {}
        self._folded: dict[str, dict[Name, Held]] = {}
        # By resource not yet told of in this call: the revision of the token it began with.
        self._resuming: dict[str, int] = {}
        # What came and went while nobody listened need not be told to who resumes.
        self._is_opening = False
        self._messages = 0

    def segment(self, segment: Segment) -> None:
        """One call."""
        self._resuming = {}
        if segment.resumed is None:
            self._told = dict.fromkeys(self._watch.resources, _NOWHERE)
            self._read, self._folded = {}, {}
        else:
            self._resuming = {name: told.revision for name, told in segment.resumed.items()}
            if segment.resumed != self._told:
                self._fault(Rule.RESUMABLE, "the reader resumed with an old token itself")
        for number, message in enumerate(segment.messages):
            if segment.resumed is None and number == 0 and message.event is not Event.SNAPSHOT:
                self._fault(Rule.RESUMABLE, f"a new watch begins with {message.event}")
            self._is_opening = number == 0
            self._message(message)
        for resource in self._folded:
            self._compare(resource)

    def ends(self, end: Mapping[str, Position]) -> None:
        """The last message was read: all that was to be told must have been."""
        for resource, wanted in end.items():
            told = self._told.get(resource, _NOWHERE)
            if told.epoch != wanted.epoch:
                self._fault(Rule.RELIABLE, f"{resource}: never told of epoch {wanted.epoch}")
            elif missed := self._touching(resource, told.epoch, told.revision, wanted.revision):
                self._fault(Rule.RELIABLE, f"{resource}: {_revisions(missed)} in the end")

    def _message(self, message: Message) -> None:
        self._messages += 1
        named = {told.resource: told for told in message.told}
        if len(named) != len(message.told):
            self._fault(Rule.ATOMIC, "a resource twice in one message")
        if bool(named) == (message.event is Event.BOOKMARK):
            self._fault(Rule.ATOMIC, f"{message.event} of {len(named)} resources")
        for resource, told in named.items():
            if message.event is Event.CHANGES:
                self._changes(told, message.positions[resource])
            else:
                self._state(told, message.event, message.positions[resource])
        for resource, position in message.positions.items():
            self._moves(resource, position, named.get(resource), message.event)
        if self._messages % _WHOLE_EVERY == 0:
            for resource in named:
                self._compare(resource)

    def _changes(self, told: Told, position: Position) -> None:
        resource, known = told.resource, self._read.get(told.resource)
        before = self._told[resource]
        if known is None:
            self._fault(Rule.RESET, f"{resource}: changes of a state that was never told")
            return
        if position.epoch != before.epoch:
            return  # told by ``_moves``
        self._places(told, known)
        self._is_what_was(told, before)
        self._read[resource] = told.revision
        self._resuming.pop(resource, None)
        folded = self._folded[resource]
        folded.update(told.holds)
        for name in told.ended:
            folded.pop(name, None)

    def _places(self, told: Told, known: int) -> None:
        """Whether changes begin where the ones before them ended."""
        resource = told.resource
        where = f"{resource}: ({told.after}, {told.revision}] after {known}"
        if resource in self._resuming:
            token = self._resuming[resource]
            if told.after != token or told.revision <= token:
                self._fault(Rule.RESUMABLE, f"{where}, token {token}")
        elif told.revision == known:
            self._fault(Rule.UNIQUE, where)
        elif told.revision < known or told.revision <= told.after:
            self._fault(Rule.ORDERED, where)
        elif told.after != known:
            self._fault(Rule.RELIABLE if told.after > known else Rule.UNIQUE, where)

    def _is_what_was(self, told: Told, before: Position) -> None:
        """Whether changes are those of the log: one call's are one message, and none is half."""
        resource = told.resource
        line = self._truth.line(resource, before.epoch)
        if line is None or not (line.knows(before.revision) and line.knows(told.revision)):
            return
        entries = self._touching(resource, before.epoch, before.revision, told.revision)
        is_resumption = resource in self._resuming
        if not is_resumption and len(entries) > 1:
            self._fault(Rule.RELIABLE, f"{resource}: {_revisions(entries)} in one message")
        if is_resumption:
            entries = line.between(before.revision, told.revision)
        wanted = expected(entries, self._days)
        has = {**told.holds, **told.ended}
        wants = {**wanted.holds, **wanted.ended}
        where = f"{resource} at {told.revision}"
        if has.keys() - wants.keys():
            self._fault(Rule.INVENTED, f"{where}: {_names(has.keys() - wants.keys())}")
        if wants.keys() - has.keys():
            self._fault(Rule.ATOMIC, f"{where}: without {_names(wants.keys() - has.keys())}")
        if any(has[name] != wants[name] for name in has.keys() & wants.keys()):
            self._fault(Rule.CONVERGENT, f"{where}: a hold that is not so")

    def _state(self, told: Told, event: Event, position: Position) -> None:
        resource = told.resource
        before, known = self._told[resource], self._read.get(told.resource)
        if event is not Event.RESET and known is not None:
            if position.epoch != before.epoch:
                self._fault(Rule.RESET, f"{resource}: a SNAPSHOT of another epoch")
            elif told.revision < known:
                self._fault(Rule.ORDERED, f"{resource}: a SNAPSHOT at {told.revision}")
        if told.ended or told.after:
            self._fault(Rule.ATOMIC, f"{resource}: a state that tells changes")
        self._read[resource] = told.revision
        self._folded[resource] = dict(told.holds)
        self._resuming.pop(resource, None)
        self._told[resource] = Position(position.epoch, told.revision)
        self._compare(resource)

    def _moves(self, resource: str, position: Position, told: Told | None, event: Event) -> None:
        """Whether a token stands for what was told, and for no more."""
        before = self._told[resource]
        through = before.revision if told is None else max(before.revision, told.revision)
        if position.epoch != before.epoch:
            if before is not _NOWHERE:
                what = f"the token of {event}" if told is None else str(event)
                where = f"{position} after {before}"
                self._fault(Rule.RESET, f"{resource}: {what} of another epoch, {where}")
        elif position.revision < through:
            self._fault(Rule.ORDERED, f"{resource}: the token goes back to {position.revision}")
        elif missed := self._touching(resource, before.epoch, through, position.revision):
            self._fault(Rule.RELIABLE, f"{resource}: {_revisions(missed)}")
        self._told[resource] = position

    def _compare(self, resource: str) -> None:
        told, revision = self._told[resource], self._read[resource]
        line = self._truth.line(resource, told.epoch)
        if line is None or not line.knows(revision):
            return
        if self._folded[resource] != shown(line.at(revision), self._days):
            self._fault(Rule.CONVERGENT, f"{resource} at {revision}")

    def _touching(self, resource: str, epoch: int, after: int, revision: int) -> list[Entry]:
        line = self._truth.line(resource, epoch)
        if line is None or revision <= after:
            return []
        entries = line.between(max(after, line.base), revision)
        if self._is_opening and not any(expected(entries, self._days)):
            return []
        return [entry for entry in entries if any(expected([entry], self._days))]

    def _fault(self, rule: Rule, text: str) -> None:
        self.found.append(Violation(rule, f"{self._watch.name}: {text}"))


def _revisions(entries: Sequence[Entry]) -> str:
    return f"revisions {', '.join(str(entry.position.revision) for entry in entries[:5])}"


def _names(names: set[Name]) -> str:
    return ", ".join(sorted(f"{name.holder_id[:6]}/{name.hold_id}" for name in names))
