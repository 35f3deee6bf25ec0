"""Finds where sessions were told that they hold what cannot all be theirs, or for how long.

Pure, like the validators of watches: what callers were answered goes in, and the store's log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tests.faults.watch.trace import Held, Name
from tests.faults.watch.truth import BLOCKED, BOOKED, EXPIRED, Change, Entry, Line, Truth, apply
from tests.faults.watch.violation import Rule, Violation

_SWEPT_WITHIN: Final = 1_000_000


class Grant(NamedTuple):
    """A hold that a session was granted, or had renewed.

    Attributes:
        expires_at: In microseconds of the store's clock, like ``granted_at``.
        sent: When it was asked for, in seconds of this process's clock, like ``answered``.
    """

    resource: str
    name: Name
    first: int
    stop: int
    expires_at: int
    granted_at: int
    sent: float
    answered: float


class Release(NamedTuple):
    """A call that released holds of one session: one, all of a resource, or all (None)."""

    holder_id: str
    resource: str | None
    hold_id: str | None
    sent: float
    answered: float

    def frees(self, grant: Grant) -> bool:
        """Whether it released a hold."""
        return (
            self.holder_id == grant.name.holder_id
            and self.resource in {None, grant.resource}
            and self.hold_id in {None, grant.name.hold_id}
        )


class Settlement(NamedTuple):
    """A call that told of a booking or a block; ``committed_at`` by the store's clock."""

    resource: str
    first: int
    stop: int
    committed_at: int
    reason: int
    sent: float
    answered: float


@dataclass(slots=True)
class Claims:
    """What all sessions of a run asked for and were answered."""

    grants: list[Grant] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)


def judge(truth: Truth, claims: Claims, ended_at: int) -> list[Violation]:
    """Returns every broken promise.

    Args:
        truth: What became of the holds; all resources are exclusive.
        claims: What callers were told.
        ended_at: By the store's clock, when the truth was read to its end.
    """
    found = _granted_twice(claims)
    judge = _Judge(claims)
    for (resource, _), line in truth.lines.items():
        judge.line(resource, line, ended_at)
    return found + judge.found


def _granted_twice(claims: Claims) -> list[Violation]:
    """By what sessions were told alone: each believes in its hold until it expires."""
    found = []
    current: defaultdict[str, dict[Name, Grant]] = defaultdict(dict)
    for grant in sorted(claims.grants, key=lambda grant: grant.granted_at):
        here = current[grant.resource]
        for other in here.values():
            if (
                other.name.holder_id != grant.name.holder_id
                and other.first < grant.stop
                and grant.first < other.stop
                and other.expires_at >= grant.granted_at
                and not _is_freed(claims, other, grant)
            ):
                text = f"{grant.resource}: granted at {grant.granted_at}, another's until"
                found.append(Violation(Rule.OVERLAP, f"{text} {other.expires_at}"))
        here[grant.name] = grant
    return found


def _is_freed(claims: Claims, held: Grant, rival: Grant) -> bool:
    """Whether a call may have released a hold before its rival was granted."""
    releases: Iterable[Release] = (r for r in claims.releases if r.frees(held))
    settlements = (
        s
        for s in claims.settlements
        if s.resource == held.resource and s.first < held.stop and held.first < s.stop
    )
    calls = (call for kind in (releases, settlements) for call in kind)
    return any(call.sent <= rival.answered and call.answered >= held.sent for call in calls)


class _Judge:
    """Folds the log, and asks at each change whether it may be."""

    def __init__(self, claims: Claims) -> None:
        self.found: list[Violation] = []
        self._settlements = claims.settlements
        self._beats: defaultdict[tuple[str, Name], list[Grant]] = defaultdict(list)
        for grant in claims.grants:
            self._beats[grant.resource, grant.name].append(grant)
        for beats in self._beats.values():
            beats.sort(key=lambda grant: grant.granted_at)

    def line(self, resource: str, line: Line, ended_at: int) -> None:
        """One resource in one epoch."""
        state = line.at(line.base)
        for entry in line.entries:
            for name, change in entry.changes.items():
                self._change(entry, state, name, change)
            apply(state, entry)
        for name in state:
            beat = self._last_beat(resource, name, ended_at)
            if beat is not None and ended_at > beat.expires_at + _SWEPT_WITHIN:
                self._fault(Rule.LATE, resource, "never ended")

    def _change(self, entry: Entry, state: dict[Name, Held], name: Name, change: Change) -> None:
        held = state.get(name)
        before = None if held is None else (held.first, held.stop)
        if before != change.before or (held is None and change.after is None):
            self._fault(Rule.TWICE, entry.resource, f"{before} was not {change.before}")
        if change.after is not None:
            self._is_free(entry, state, name, change.after)
        if change.reason == EXPIRED:
            self._expired(entry, name)
        if change.reason in {BOOKED, BLOCKED} and held is not None:
            self._settled(entry, held, change.reason)

    def _is_free(self, entry: Entry, state: dict[Name, Held], name: Name, now: Held) -> None:
        for other, held in state.items():
            change = entry.changes.get(other)
            after = held if change is None else change.after
            if other.holder_id == name.holder_id or after is None:
                continue
            if after.overlaps(now.first, now.stop):
                self._fault(Rule.OVERLAP, entry.resource, f"at {entry.position.revision}")

    def _expired(self, entry: Entry, name: Name) -> None:
        beat = self._last_beat(entry.resource, name, entry.absent_at)
        if beat is None or not entry.absent_at:
            return
        if entry.seen_at < beat.expires_at:
            early = (beat.expires_at - entry.seen_at) / 1e6
            self._fault(Rule.EARLY, entry.resource, f"by {early:.3f} s")
        if entry.absent_at > beat.expires_at + _SWEPT_WITHIN:
            late = (entry.absent_at - beat.expires_at) / 1e6
            self._fault(Rule.LATE, entry.resource, f"by {late:.3f} s")

    def _settled(self, entry: Entry, held: Held, reason: int) -> None:
        told = [
            settlement
            for settlement in self._settlements
            if settlement.resource == entry.resource
            and settlement.reason == reason
            and held.overlaps(settlement.first, settlement.stop)
        ]
        if not told:
            self._fault(Rule.REASON, entry.resource, f"reason {reason}")
        elif all(settlement.committed_at < held.acquired for settlement in told):
            newest = max(settlement.committed_at for settlement in told)
            late = (held.acquired - newest) / 1e6
            self._fault(Rule.SETTLED, entry.resource, f"taken {late:.3f} s after the commit")

    def _last_beat(self, resource: str, name: Name, until: int) -> Grant | None:
        beats = self._beats.get((resource, name), [])
        return max(
            (beat for beat in beats if beat.granted_at <= until),
            key=lambda beat: beat.granted_at,
            default=None,
        )

    def _fault(self, rule: Rule, resource: str, text: str) -> None:
        self.found.append(Violation(rule, f"{resource}: {text}"))
