"""A clock that tests move by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.runtime.clock import Clock


class ManualClock(Clock):
    """Stands still until it is told otherwise."""

    def __init__(self, present: datetime) -> None:
        super().__init__()
        self._present = present

    def now(self) -> datetime:
        return self._present

    def set(self, present: datetime) -> None:
        self._present = present

    def advance(self, by: timedelta) -> None:
        self._present += by
