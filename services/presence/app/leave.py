"""Releases holds."""

from __future__ import annotations

from services.presence.app.port import HoldStore
from services.presence.domain.hold import Holder


class LeaveHolds:
    """One leave: of everything, of a resource, or of one hold."""

    def __init__(self, store: HoldStore) -> None:
        self._store = store

    async def __call__(self, holder: Holder, resource_id: str, hold_id: str | None) -> int:
        """Returns how many live holds ended.

        Args:
            holder: Whose.
            resource_id: On this resource only; empty for all.
            hold_id: With a resource: this hold only; None for all on it.

        Raises:
            StoreUnavailable: The store cannot be reached. Some holds may be released already;
                repeating the call releases the rest.
        """
        if not resource_id:
            return await self._store.release_all(holder)
        return await self._store.release(holder, resource_id, hold_id)
