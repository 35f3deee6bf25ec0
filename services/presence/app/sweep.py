"""Ends the holds whose time is over."""

from __future__ import annotations

from services.presence.app.port import HoldLog


class SweepHolds:
    """One sweep over all holds of the store."""

    def __init__(self, log: HoldLog) -> None:
        self._log = log

    async def __call__(self) -> None:
        """Ends what expired and marks what is overdue; of several servers, one tells each.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        await self._log.sweep()
