"""Folds the messages of WatchPresence into the holds that are live. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from shared.client.live_hold import EndedHold, HoldName, LiveHold
from shared.client.watch_event import WatchKind
from shared.slots.quantum import SECONDS_PER_QUANTUM, Span

if TYPE_CHECKING:  # only shapes: folding loads no contract
    from google.protobuf.timestamp_pb2 import Timestamp

    from holdfast.presence.v1.holder_pb2 import Hold
    from holdfast.presence.v1.presence_pb2 import ResourcePresence, WatchPresenceResponse
    from shared.client.failure import HoldfastError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Numbers of common.v1.WatchEvent.
_KINDS: Final = {1: WatchKind.SNAPSHOT, 2: WatchKind.CHANGES, 3: WatchKind.RESET}
# Numbers of presence.v1.HoldEndReason.
_END_REASONS: Final = {1: "LEFT", 2: "EXPIRED", 3: "MOVED", 4: "BOOKED", 5: "BLOCKED"}


@dataclass(frozen=True, slots=True)
class ResourceHolds:
    """The live holds of one resource that touch the watched dates."""

    revision: int = 0
    holds: Mapping[HoldName, LiveHold] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PresenceState:
    """Everything known of the watched resources. A fold makes a new one."""

    resources: Mapping[str, ResourceHolds] = field(default_factory=dict)

    def of(self, resource_id: str) -> tuple[LiveHold, ...]:
        """Returns the holds of one resource, by start, then holder."""
        known = self.resources.get(resource_id)
        return tuple(sorted(known.holds.values(), key=_order)) if known else ()

    def __iter__(self) -> Iterator[LiveHold]:
        for resource_id in self.resources:
            yield from self.of(resource_id)


@dataclass(frozen=True, slots=True)
class PresenceEvent:
    """One thing that a watch of holds tells.

    Attributes:
        kind: What it says.
        state: Every live hold after it.
        holds: SNAPSHOT, RESET: the holds of the resources it tells of. CHANGES: each that was
            acquired, moved, became overdue or was renewed after all.
        ended: CHANGES: each that is gone.
        failure: STALE: why the server is not heard.
    """

    kind: WatchKind
    state: PresenceState
    holds: tuple[LiveHold, ...] = ()
    ended: tuple[EndedHold, ...] = ()
    failure: HoldfastError | None = None


def fold(
    state: PresenceState, message: WatchPresenceResponse
) -> tuple[PresenceState, PresenceEvent | None]:
    """Returns the state after a message, and what it told; None for a bookmark."""
    kind = _KINDS.get(message.event)
    if kind is None:
        return state, None
    resources = dict(state.resources)
    told: list[LiveHold] = []
    ended: list[EndedHold] = []
    for part in message.resources:
        holds = [live_hold(hold) for hold in part.holds]
        told += holds
        gone = [
            EndedHold(
                part.resource_id,
                HoldName(end.holder_id, end.hold_id),
                _END_REASONS.get(end.reason, ""),
            )
            for end in part.ended
        ]
        ended += gone
        known = resources.get(part.resource_id, ResourceHolds())
        resources[part.resource_id] = _after(kind, part, known, holds, gone)
    after = PresenceState(resources)
    return after, PresenceEvent(kind, after, tuple(told), tuple(ended))


def live_hold(hold: Hold) -> LiveHold:
    """Returns a hold of the contract in Python's types."""
    return LiveHold(
        hold.resource_id,
        HoldName(hold.holder_id, hold.hold_id),
        # The ends of a hold are quarter hours; the contract rounds them.
        Span(
            hold.start_time.seconds // SECONDS_PER_QUANTUM,
            -(-hold.end_time.seconds // SECONDS_PER_QUANTUM),
        ),
        _instant(hold.start_time),
        _instant(hold.end_time),
        _instant(hold.expire_time),
        hold.overdue,
        max(hold.units, 1),  # of an older server: none is said
        _instant(hold.acquire_time) if hold.HasField("acquire_time") else None,
    )


def _after(
    kind: WatchKind,
    part: ResourcePresence,
    known: ResourceHolds,
    holds: list[LiveHold],
    gone: list[EndedHold],
) -> ResourceHolds:
    if kind is not WatchKind.CHANGES:
        return ResourceHolds(part.revision, {hold.name: hold for hold in holds})
    live = dict(known.holds)
    for end in gone:
        live.pop(end.name, None)
    live.update((hold.name, hold) for hold in holds)
    return ResourceHolds(part.revision, live)


def _order(hold: LiveHold) -> tuple[int, HoldName]:
    return hold.span.first, hold.name


def _instant(stamp: Timestamp) -> datetime:
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
