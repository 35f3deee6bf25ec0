"""RebuildDay: a day's bitmap and counters anew, from the bookings that occupy it."""

from __future__ import annotations

from collections.abc import Callable

from services.availability.app.port import Ledger
from services.availability.domain.claim import DayKey, DayState
from services.availability.domain.request_key import RequestKey


class RebuildDay:
    """Rebuilds days."""

    def __init__(self, ledger: Ledger, encode: Callable[[DayKey, DayState], bytes]) -> None:
        self._ledger = ledger
        self._encode = encode

    async def __call__(self, key: RequestKey, day: DayKey) -> bytes:
        """Rebuilds, and returns the encoded day; of a replay, the one first returned."""
        return await self._ledger.rebuild(key, day, lambda state: self._encode(day, state))
