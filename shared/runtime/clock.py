"""The one source of the present in a service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """The host's clock, moved by a fixed offset.

    The offset is for tests and demonstrations: every service of one system gets the same.
    """

    def __init__(self, offset: timedelta = timedelta(0)) -> None:
        self._offset = offset

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        present = datetime.now(UTC)
        return present + self._offset if self._offset else present
