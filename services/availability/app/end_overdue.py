"""Ends by itself what nobody confirmed or decided in time."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from services.availability.app.port import Ledger, OverdueReader
from services.availability.app.transition import EVENTS
from services.availability.domain.booking import SERVER, Booking, Note
from services.availability.domain.ledger_claim import Change
from services.availability.domain.refusal import Contended, InvalidState, NotFound
from shared.runtime.clock import Clock
from shared.runtime.failure import Failure

# Within the second in which it is promised.
_PAUSE_SECONDS: Final = 0.4
_BATCH: Final = 200

logger = logging.getLogger("holdfast.availability.overdue")


class EndOverdue:
    """Expires provisional bookings and declines pending ones. Any number of servers may."""

    def __init__(self, bookings: OverdueReader, ledger: Ledger, clock: Clock) -> None:
        self._bookings = bookings
        self._ledger = ledger
        self._clock = clock

    async def __call__(self) -> int:
        """Ends what is overdue, a batch at most; returns how much was found.

        Raises:
            Failure: The store cannot be asked.
        """
        found = await self._bookings.overdue(self._clock.now(), _BATCH)
        outcomes = await asyncio.gather(
            *(self._end(*name) for name in found), return_exceptions=True
        )
        for outcome in outcomes:
            # Another server ended it, or somebody decided after all.
            if isinstance(outcome, BaseException) and not isinstance(
                outcome, InvalidState | NotFound | Contended
            ):
                raise outcome
        return len(found)

    async def keep_ending(self) -> None:
        """Ends what is overdue as it becomes so, until it is cancelled."""
        while True:
            found = 0
            try:
                found = await self()
            except Failure as failure:
                logger.warning("overdue bookings not ended", extra={"cause": str(failure)})
            except Exception:
                logger.exception("overdue bookings not ended")  # and tried again
            if found < _BATCH:
                pause = random.uniform(_PAUSE_SECONDS / 2, _PAUSE_SECONDS)  # noqa: S311  # spreads
                await asyncio.sleep(pause)

    async def _end(self, organization_id: str, booking_id: str) -> None:
        def decide(booking: Booking) -> Change:
            ended = booking.ended(self._clock.now())
            return Change(ended, EVENTS[ended.state], Note(SERVER), b"")

        await self._ledger.change(organization_id, None, booking_id, decide)
