"""What this process knows of the holds of a resource that somebody watches."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.presence.domain.change import HoldChange, HoldName, LogEntry, Position, Snapshot
from services.presence.domain.hold import LiveHold, ResourceName
from shared.runtime.topic import Topic


@dataclass(eq=False, slots=True)
class HoldUpdate:
    """What one call changed of one resource.

    Attributes:
        position: After it.
        changes: One a hold.
        encoded: Room for those who tell many watchers the same.
    """

    position: Position
    changes: Sequence[HoldChange]
    encoded: dict[Hashable, Any] = field(default_factory=dict)


class HoldTopic(Topic[ResourceName, HoldUpdate]):
    """The live holds of one resource as of a position, and who follows them.

    Attributes:
        position: Of the newest change that it has.
        read_at: By the event loop's clock, when it was last compared with the store.
        encoded: Room for those who tell many watchers the same; empty after each change.
    """

    def __init__(self, resource: ResourceName, snapshot: Snapshot, read_at: float) -> None:
        super().__init__(resource)
        self.encoded: dict[Hashable, Any] = {}
        self._restore(snapshot, read_at)

    @property
    def holds(self) -> Mapping[HoldName, LiveHold]:
        """The live holds; a renewal is no change, so their expiry may be later than it says."""
        return self._holds

    def apply(self, entry: LogEntry) -> None:
        """Takes the next change in and tells it to the followers; an older one is skipped."""
        position = Position(entry.epoch, entry.revision)
        if entry.revision <= self.position.revision:
            return
        for change in entry.changes:
            if change.after is None:
                self._holds.pop(change.name, None)
            else:
                self._holds[change.name] = change.after
        self._moved(position)
        self.publish(HoldUpdate(position, entry.changes))

    def restore(self, snapshot: Snapshot, read_at: float) -> None:
        """Starts anew from a snapshot and tells the followers."""
        self._restore(snapshot, read_at)
        self.reset()

    def renew(self, snapshot: Snapshot) -> None:
        """Takes from a snapshot how far expiries have moved, and nothing else."""
        for hold in snapshot.holds:
            name = HoldName(hold.holder_id, hold.hold_id)
            known = self._holds.get(name)
            if (
                known is not None
                and (known.span, known.is_overdue) == (hold.span, hold.is_overdue)
                and known.expires_at < hold.expires_at
            ):
                self._holds[name] = replace(known, expires_at=hold.expires_at)
                self.encoded.clear()

    def _restore(self, snapshot: Snapshot, read_at: float) -> None:
        self._holds = {HoldName(h.holder_id, h.hold_id): h for h in snapshot.holds}
        self.read_at = read_at
        self._moved(Position(snapshot.epoch, snapshot.revision))

    def _moved(self, position: Position) -> None:
        self.position = position
        self.encoded.clear()
