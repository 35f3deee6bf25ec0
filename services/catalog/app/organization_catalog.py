"""One organization's catalog in memory, as of a revision, and who follows it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.catalog.domain.entry import EntryName
from shared.runtime.resume import Position
from shared.runtime.topic import Topic

# Changes of which the names are kept: who resumes soon need not ask the store.
_RECENT: Final = 256


@dataclass(eq=False, slots=True)
class CatalogChange:
    """What changed after one revision, up to another.

    Attributes:
        after: The revision before.
        revision: The one after.
        entries: As they are then, encoded; None when gone.
        encoded: Room for those who tell many watchers the same.
    """

    after: int
    revision: int
    entries: Mapping[EntryName, bytes | None]
    encoded: bytes | None = None


class OrganizationCatalog(Topic[str, CatalogChange]):
    """Every entry that is not deleted, encoded, at ``position``. Belongs to one event loop.

    Attributes:
        position: Up to where every change is known.
        entries: By name.
        checked_at: By the event loop's clock, when the last comparison with the store began.
    """

    def __init__(
        self,
        organization_id: str,
        position: Position,
        entries: dict[EntryName, bytes],
        checked_at: float,
    ) -> None:
        super().__init__(organization_id)
        self.position = position
        self.entries = entries
        self.checked_at = checked_at
        self._recent: deque[CatalogChange] = deque(maxlen=_RECENT)

    def apply(self, change: CatalogChange) -> None:
        """Takes the change in that follows on ``position``, and tells it to the followers."""
        for name, entry in change.entries.items():
            if entry is None:
                self.entries.pop(name, None)
            else:
                self.entries[name] = entry
        self.position = Position(self.position.epoch, change.revision)
        self._recent.append(change)
        self.publish(change)

    def restore(self, position: Position, entries: dict[EntryName, bytes]) -> None:
        """Starts anew from a state, and tells the followers."""
        self.position, self.entries = position, entries
        self._recent.clear()
        self.reset()

    def names_since(self, revision: int) -> set[EntryName] | None:
        """Returns the names of what changed after a revision; None when that is not known.

        Revisions inside of one change count as the one before it.
        """
        if revision > self.position.revision:
            return None
        names: set[EntryName] = set()
        known_from = self.position.revision
        for change in reversed(self._recent):
            if known_from <= revision:
                break
            names.update(change.entries)
            known_from = change.after
        return names if known_from <= revision else None
