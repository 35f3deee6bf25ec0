"""Reads organizations' events for those who follow them: once for all who stand at one place."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from services.availability.app.event_port import EventReader
from services.availability.domain.booking_event import EventPage, EventPosition, LoggedEvent
from shared.runtime.clock import Clock
from shared.runtime.failure import DeadlinePassed, Failure, Overloaded, StoreUnavailable

T = TypeVar("T")

POLL: Final = timedelta(milliseconds=500)

_PAGE: Final = 64
# Followers wait out a store that is silent for less.
_SILENCE_SECONDS: Final = 2.0
# Many who come back at once, each from a place of its own, take turns: looking must not queue
# behind them, nor must their waiting be taken for silence.
_READINGS_AT_ONCE: Final = 2
# For a turn and an answer.
_PATIENCE_SECONDS: Final = 6.0
# Pages of an organization that are kept for who comes after.
_MOST_PAGES: Final = 8

logger = logging.getLogger("holdfast.availability.events")


class EventFeed:
    """Wakes followers when something may have happened. Belongs to one event loop.

    Nothing depends on being rung: ``run`` looks at the newest numbers every poll.
    """

    def __init__(
        self,
        events: EventReader,
        clock: Clock,
        *,
        poll: timedelta = POLL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Follows nothing yet.

        Args:
            events: Where they are.
            clock: The present, for what has ended by itself.
            poll: The longest time between two looks at the store.
            monotonic: Counts seconds.
        """
        self._events = events
        self._clock = clock
        self._poll_seconds = poll.total_seconds()
        self._monotonic = monotonic
        self._known: dict[str, OrganizationEvents] = {}
        self._turns = asyncio.Semaphore(_READINGS_AT_ONCE)
        self._answered_at = monotonic()

    @contextmanager
    def followed(self, organization_id: str) -> Iterator[OrganizationEvents]:
        """Lets somebody follow an organization until the block ends."""
        known = self._known.get(organization_id)
        if known is None:
            known = OrganizationEvents(organization_id, self._events, self._clock, self._turns)
            self._known[organization_id] = known
        known.followers += 1
        try:
            yield known
        finally:
            known.followers -= 1
            if not known.followers:
                del self._known[organization_id]

    def ring(self, organization_id: str) -> None:
        """Tells that something happened in an organization; never waits, never fails."""
        known = self._known.get(organization_id)
        if known is not None:
            known.ring()

    def ring_all(self) -> None:
        """Tells that notices may have been lost."""
        for known in self._known.values():
            known.ring()

    async def run(self) -> None:
        """Looks for what it was not rung for, until it is cancelled; ends for nothing else."""
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    await self._look()
            except (Failure, TimeoutError):
                self._note_silence()
            except Exception:  # and tried again: followers must not be left in silence
                logger.exception("events cannot be followed")
                self._note_silence()
            else:
                self._answered_at = self._monotonic()

    async def _look(self) -> None:
        asked = dict(self._known)
        if not asked:
            return
        numbers = await self._events.numbers(asked)
        for organization_id, known in asked.items():
            known.look(numbers.get(organization_id, 0))

    def _note_silence(self) -> None:
        if self._monotonic() - self._answered_at > _SILENCE_SECONDS:
            for known in self._known.values():
                known.fail(StoreUnavailable("the store cannot be reached"))


class OrganizationEvents:
    """One organization's events, as long as somebody follows them.

    Followers at one place share a reading and its page. A page goes on being right for its
    place although more has happened since: it is what came first.
    """

    def __init__(
        self, organization_id: str, events: EventReader, clock: Clock, turns: asyncio.Semaphore
    ) -> None:
        self.followers = 0
        self.key = organization_id
        self._events = events
        self._clock = clock
        self._turns = turns
        self._number = -1
        self._pages: dict[EventPosition, EventPage] = {}
        self._aging: dict[EventPosition, EventPage] = {}
        self._readings: dict[EventPosition, asyncio.Task[EventPage]] = {}
        self.bell: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done at the next ring; failed when the store is lost. To be had before reading."""

    async def oldest(self) -> EventPosition:
        """Returns the position before the oldest event that is kept.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """
        return await self._answer(partial(self._events.oldest, self.key))

    async def newest(self) -> EventPosition:
        """Returns the position after the newest event.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """
        return await self._answer(partial(self._events.newest, self.key))

    async def after(self, position: EventPosition) -> EventPage:
        """Returns some of what followed a position.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """
        page = self._pages.get(position) or self._aging.get(position)
        if page is not None:
            return page
        reading = self._readings.get(position)
        if reading is None:
            # In no follower's context, and not ended with the first who leaves.
            reading = asyncio.create_task(self._read(position), context=Context())
            reading.add_done_callback(_see)
            self._readings[position] = reading
        return await asyncio.shield(reading)

    def ring(self) -> None:
        """Wakes the followers."""
        # Readings on their way may have begun too early: whoever is woken begins a new one.
        self._readings.clear()
        self._renew_bell().set_result(None)

    def fail(self, failure: Failure) -> None:
        """Lets the followers know that the store is lost."""
        bell = self._renew_bell()
        bell.set_exception(failure)
        bell.exception()  # seen: there may be nobody who waits

    def look(self, number: int) -> None:
        """Takes in the newest feed number, of now and then."""
        self._pages, self._aging = {}, self._pages
        if number != self._number:
            self._number = number
            self.ring()

    async def _read(self, position: EventPosition) -> EventPage:
        reading = asyncio.current_task()
        try:
            page = await self._answer(partial(self._events.after, self.key, position, _PAGE))
        finally:
            if self._readings.get(position) is reading:
                del self._readings[position]
        now = self._clock.now()
        page = replace(page, entries=[_seen_at(entry, now) for entry in page.entries])
        if page.entries:
            if len(self._pages) >= _MOST_PAGES:
                del self._pages[next(iter(self._pages))]
            self._pages[position] = page
        return page

    async def _answer(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Waits for a turn and for the store's answer.

        Raises:
            StoreUnavailable: It took too long.
        """
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), self._turns:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    return await ask()
        except TimeoutError as error:
            raise StoreUnavailable("the store took too long") from error
        except (Overloaded, DeadlinePassed) as error:
            # Of a call it would be told; a follower comes back by itself.
            raise StoreUnavailable("the store is busy") from error

    def _renew_bell(self) -> asyncio.Future[None]:
        bell, self.bell = self.bell, asyncio.get_running_loop().create_future()
        return bell


def _seen_at(entry: LoggedEvent, now: datetime) -> LoggedEvent:
    if entry.booking is None:
        return entry
    return replace(entry, booking=entry.booking.seen_at(now))


def _see(reading: asyncio.Task[EventPage]) -> None:
    if not reading.cancelled():
        reading.exception()  # whoever waited for it may have left
