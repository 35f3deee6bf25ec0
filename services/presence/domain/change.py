"""How holds changed, and what of it a watcher of some days is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from services.presence.domain.ending import EndReason
from services.presence.domain.hold import LiveHold, ResourceName, touches
from shared.slots.quantum import Span


class HoldName(NamedTuple):
    """Which hold of a resource, as everybody may know it."""

    holder_id: str
    hold_id: str


@dataclass(frozen=True, slots=True)
class HoldChange:
    """How one hold changed.

    Attributes:
        name: Which hold of the resource.
        before: What it held before; None where it was not there.
        after: How it is now; None where it is gone.
        reason: Why it is gone; None where it is not.
    """

    name: HoldName
    before: Span | None
    after: LiveHold | None
    reason: EndReason | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one call changed of one resource.

    Attributes:
        epoch: In which its revision counts.
        revision: Its place among the changes of its scope: one more than the last one's.
    """

    epoch: int
    revision: int
    resource: ResourceName
    changes: Sequence[HoldChange]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The live holds of one resource as they were after a revision of an epoch."""

    epoch: int
    revision: int
    holds: Sequence[LiveHold]


class Position(NamedTuple):
    """Where a scope, or what is known of it, stands."""

    epoch: int
    revision: int


@dataclass(frozen=True, slots=True)
class History:
    """What changed on one resource after a revision that was asked for.

    Attributes:
        epoch: Of the scope, as it was read.
        revision: Of the scope, as it was read.
        changes: In their order; None where the log does not reach back that far.
    """

    epoch: int
    revision: int
    changes: Sequence[HoldChange] | None


class Told(NamedTuple):
    """What a watcher is told of changes: the holds as they are now, and those that are gone."""

    holds: Sequence[LiveHold]
    ended: Sequence[tuple[HoldName, EndReason]]


def merged(changes: Iterable[HoldChange]) -> list[HoldChange]:
    """Makes several changes of one hold, in their order, into one."""
    found: dict[HoldName, HoldChange] = {}
    for change in changes:
        first = found.get(change.name)
        before = change.before if first is None else first.before
        found[change.name] = HoldChange(change.name, before, change.after, change.reason)
    return list(found.values())


def told(changes: Iterable[HoldChange], days: AbstractSet[int]) -> Told:
    """Selects what concerns a watcher of some days, given as day numbers.

    Args:
        changes: One a hold at most.
        days: What is watched. A hold that touches none of them is not there for the watcher.
    """
    holds, ended = [], []
    for change in changes:
        if change.after is not None and touches(change.after.span, days):
            holds.append(change.after)
        elif change.before is not None and touches(change.before, days):
            ended.append((change.name, change.reason or EndReason.MOVED))
    return Told(holds, ended)
