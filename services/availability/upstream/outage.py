"""An outage is logged twice, at its beginning and at its end, however many calls it fails."""

from __future__ import annotations

import logging


class Outage:
    """Whether something works that bookings can do without."""

    def __init__(self, logger: logging.Logger, begins: str, ends: str) -> None:
        """Takes it to work.

        Args:
            logger: Told.
            begins: What it is told when something begins to fail.
            ends: What when it works again.
        """
        self._logger = logger
        self._begins = begins
        self._ends = ends
        self._is_on = False

    def begins(self, cause: str, failure: BaseException | None = None) -> None:
        """Notes a failure.

        Args:
            cause: Logged.
            failure: Logged with where it came from, as what should never happen.
        """
        if not self._is_on:
            self._is_on = True
            self._logger.warning(self._begins, extra={"cause": cause}, exc_info=failure)

    def ends(self) -> None:
        """Notes a success."""
        if self._is_on:
            self._is_on = False
            self._logger.info(self._ends)
