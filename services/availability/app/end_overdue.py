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
from shared.runtime import deadline
from shared.runtime.clock import Clock
from shared.runtime.failure import Failure

# Within the second in which it is promised.
_PAUSE_SECONDS: Final = 0.4
_BATCH: Final = 500
_MOST_AT_ONCE: Final = 4_000
# For one of them, and until one that failed is tried again.
_PATIENCE_SECONDS: Final = 5.0

_Name = tuple[str, str]

logger = logging.getLogger("holdfast.availability.overdue")


class EndOverdue:
    """Expires provisional bookings and declines pending ones. Any number of servers may.

    Each is ended on its own: one that is stuck keeps no other waiting. Belongs to one event loop.
    """

    def __init__(self, bookings: OverdueReader, ledger: Ledger, clock: Clock) -> None:
        self._bookings = bookings
        self._ledger = ledger
        self._clock = clock
        # Those that are being ended, and those that failed a moment ago.
        self._known: dict[_Name, asyncio.Task[None]] = {}

    async def keep_ending(self) -> None:
        """Ends what is overdue as it becomes so, until it is cancelled."""
        try:
            while True:
                begun = 0
                try:
                    begun = await self._look()
                except Failure as failure:
                    logger.warning("overdue bookings not found", extra={"cause": str(failure)})
                except Exception:
                    logger.exception("overdue bookings not found")  # and tried again
                if begun < _BATCH:
                    pause = random.uniform(_PAUSE_SECONDS / 2, _PAUSE_SECONDS)  # noqa: S311  # spreads
                    await asyncio.sleep(pause)
        finally:
            for task in self._known.values():
                task.cancel()
            await asyncio.gather(*self._known.values(), return_exceptions=True)

    async def _look(self) -> int:
        """Begins to end what is overdue, a batch at most; returns how much."""
        if len(self._known) >= _MOST_AT_ONCE:
            return 0
        limit = len(self._known) + _BATCH
        found = await self._bookings.overdue(self._clock.now(), limit)
        begun = [name for name in found if name not in self._known]
        for name in begun:
            self._known[name] = asyncio.create_task(self._end(name))
        return len(begun)

    async def _end(self, name: _Name) -> None:
        organization_id, booking_id = name

        def decide(booking: Booking) -> Change:
            ended = booking.ended(self._clock.now())
            return Change(ended, EVENTS[ended.state], Note(SERVER), b"")

        deadline.begin(_PATIENCE_SECONDS)
        try:
            await self._ledger.change(organization_id, None, booking_id, decide)
        except (InvalidState, NotFound):
            pass  # another server ended it, or somebody decided after all
        except (Failure, TimeoutError) as failure:
            if not isinstance(failure, Contended):
                logger.warning("an overdue booking is not ended", extra={"cause": str(failure)})
            await asyncio.sleep(_PATIENCE_SECONDS)
        except Exception:
            logger.exception("an overdue booking is not ended")
            await asyncio.sleep(_PATIENCE_SECONDS)
        finally:
            del self._known[name]
