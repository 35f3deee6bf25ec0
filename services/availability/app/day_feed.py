"""Keeps organizations' days in memory as new as the store, for reads and for watches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from services.availability.app.organization_days import (
    DayFeedTerms,
    Days,
    OrganizationDays,
    make_room,
)
from services.availability.app.port import DayReader, FeedReader
from services.availability.domain.claim import DayKey, DayState
from services.availability.domain.day_change import ChangedDay, DayChange, FeedPage
from shared.runtime.failure import Failure, StoreUnavailable
from shared.runtime.mailbox import Mailbox

# Under the second in which others' commits must be seen.
_FRESH_SECONDS: Final = 0.9
# Watchers wait out a store that is silent for less; a reading that takes longer is given up.
_SILENCE_SECONDS: Final = 2.0
# For reading all that an organization's watchers watch, and for how many at once.
_RESTART_SECONDS: Final = 10.0
_RESTARTS_AT_ONCE: Final = 4
# Between readings for one organization: what changes meanwhile is read together.
_PAUSE_SECONDS: Final = 0.005
# When memory is full, a part of this size is freed at once.
_SPARED: Final = 16
# Past every feed number: asks for the number alone.
_NEWEST: Final = 2**62

logger = logging.getLogger("holdfast.availability.days")


class DayFeed:
    """The port ``DayReader`` over memory, fed by the outbox. Belongs to one event loop.

    A read sees every commit that this process was told of, and others' that are older than a
    second; when the store is silent for longer, reads end in StoreUnavailable rather than in an
    old answer.
    """

    def __init__(
        self,
        feed: FeedReader,
        days: DayReader,
        terms: DayFeedTerms,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Knows nothing yet; ``run`` must run for anything to be answered."""
        self._feed = feed
        self._days = days
        self._poll_seconds = terms.poll.total_seconds()
        self._idle_seconds = terms.idle.total_seconds()
        self._most = terms.most
        self._room = terms.most
        self._monotonic = monotonic
        self._known: dict[str, OrganizationDays] = {}
        self._due: set[str] = set()
        self._waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._wanted = asyncio.Event()
        self._restarting: dict[str, asyncio.Task[None]] = {}
        self._restarts = asyncio.Semaphore(_RESTARTS_AT_ONCE)
        self._answered_at = monotonic()

    async def of_resource(
        self, organization_id: str, resource_id: str, days: range
    ) -> Mapping[int, DayState]:
        """As in the port."""
        known = self._known.get(organization_id)
        if known is not None:
            now = self._monotonic()
            if now - known.confirmed_at < _FRESH_SECONDS:
                found = known.of_resource(resource_id, days)
                if found is not None:
                    known.used_at = now
                    return found
        return (await self._read(organization_id, {resource_id: days}))[resource_id]

    async def of_resources(
        self, organization_id: str, resource_ids: Sequence[str], days: Sequence[int]
    ) -> Mapping[str, Mapping[int, DayState]]:
        """As in the port."""
        return await self._read(organization_id, dict.fromkeys(resource_ids, days))

    async def capacities(
        self, organization_id: str, resource_ids: Collection[str]
    ) -> Mapping[str, int]:
        """As in the port."""
        known = await self.fresh(organization_id)
        while (found := known.capacities(resource_ids)) is None:
            generation = known.generation
            with known.filling():
                stored = await self._days.capacities(organization_id, resource_ids)
                if known.generation == generation:
                    known.fill_capacities(stored)
            await self.fresh(organization_id)
        return found

    async def fresh(self, organization_id: str) -> OrganizationDays:
        """Returns what is known, once that is as new as reads must be.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """
        known = self._known.get(organization_id)
        if known is None:
            known = self._known[organization_id] = OrganizationDays(organization_id)
        known.used_at = self._monotonic()
        since = known.used_at - _FRESH_SECONDS
        while known.confirmed_at < since:
            await self._refreshed(known)
        return known

    @asynccontextmanager
    async def watched(
        self,
        organization_id: str,
        wanted: Days,
        mailbox: Mailbox[str, DayChange],
        *,
        at_least: int = 0,
    ) -> AsyncIterator[OrganizationDays]:
        """Subscribes a mailbox until the block ends; every wanted day stays known meanwhile.

        Args:
            organization_id: Whose days.
            wanted: Which.
            mailbox: Gets every change of the organization, of other days too.
            at_least: A feed number that somebody was told of: a store that has it is asked
                for it first.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """
        known = await self.fresh(organization_id)
        # Whoever booked here and then watches sees the booking at once.
        if known.position < max(at_least, known.noted):
            await self._caught_up(known)
        with known.pinned(wanted):
            while True:
                if missing := known.missing(wanted):
                    await self._fill(known, missing)
                elif known.newest(wanted) > known.position:
                    await self._caught_up(known)
                else:
                    break
            if self._room < 0:
                self._make_room()
            known.subscribers.add(mailbox)
            try:
                yield known
            finally:
                known.subscribers.discard(mailbox)
                known.used_at = self._monotonic()

    def note(self, organization_id: str, days: Sequence[ChangedDay] | None) -> None:
        """Takes in what this process has just committed, before anybody is told of it.

        Args:
            organization_id: Whose.
            days: As the commit left them; None where something may have been committed, but
                what is not known: then the next read asks the store.
        """
        known = self._known.get(organization_id)
        if known is not None:
            if days is None:
                known.doubt(self._monotonic())
            else:
                known.note(days)
        self.ring(organization_id)

    def remembered(
        self, organization_id: str, keys: Iterable[DayKey]
    ) -> Mapping[DayKey, DayState] | None:
        """Returns days as they were heard of last, however old; None unless all are known."""
        known = self._known.get(organization_id)
        if known is None:
            return None
        known.used_at = self._monotonic()
        return known.remembered(keys)

    def ring(self, organization_id: str) -> None:
        """Tells that an organization's days may have changed: watchers wait for it."""
        known = self._known.get(organization_id)
        if known is not None and known.subscribers:
            self._due.add(organization_id)
            self._wanted.set()

    def ring_all(self) -> None:
        """Tells that notices may have been lost."""
        for organization_id in self._known:
            self.ring(organization_id)

    async def run(self) -> None:
        """Follows the store until it is cancelled; ends for nothing else."""
        try:
            await self._follow()
        finally:
            for task in self._restarting.values():
                task.cancel()
            await asyncio.gather(*self._restarting.values(), return_exceptions=True)

    async def _follow(self) -> None:
        poll_at = self._monotonic()
        while True:
            self._wanted.clear()
            if not self._due:
                try:
                    async with asyncio.timeout(max(0.0, poll_at - self._monotonic())):
                        await self._wanted.wait()
                except TimeoutError:
                    pass
            if self._monotonic() >= poll_at:
                self._drop_idle()
                self._due.update(self._known)
                poll_at = self._monotonic() + self._poll_seconds
            due, self._due = self._due, set()
            if due:
                await self._round(sorted(due))
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _round(self, due: Sequence[str]) -> None:
        due = [name for name in due if name not in self._restarting]
        waiting = {name: self._waiting.pop(name, []) for name in due}
        asked = {name: known for name in due if (known := self._known.get(name)) is not None}
        failure: Exception | None = None
        try:
            if asked:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    await self._look(asked)
        except Failure as error:
            failure = error
        except TimeoutError:
            failure = StoreUnavailable("the store took too long")
        except Exception as error:  # and tried again: watchers must not be left in silence
            logger.exception("days cannot be followed")
            failure = error
        self._note_answer(failure)
        for name, futures in waiting.items():
            if name in self._restarting:
                self._waiting[name] += futures  # they are answered when it has ended
            else:
                _answer(futures, failure)

    async def _look(self, asked: Mapping[str, OrganizationDays]) -> None:
        began = self._monotonic()
        noted = {name: known.noted for name, known in asked.items()}
        pages = await self._feed.read(
            {name: known.position if known.epoch else _NEWEST for name, known in asked.items()}
        )
        for name, page in pages.items():
            known = asked[name]
            if not known.epoch:  # nothing is known yet, so nothing can have been missed
                known.epoch, known.position = page.epoch, page.number
            elif page.number < noted[name] or not known.continues(page):
                # On its own: others must not wait for what this one has to read.
                self._restarting[name] = asyncio.create_task(self._restart(known, page))
                continue
            for change in page.changes:
                known.advance(change)
            known.settle()
            known.is_behind = known.position < page.number
            if known.is_behind:
                self._due.add(name)
            elif began >= known.doubted_at:
                known.confirmed_at = began

    async def _restart(self, known: OrganizationDays, page: FeedPage) -> None:
        """Starts an organization over; ends its watches where that does not succeed."""
        known.distrust(self._monotonic())
        failure: Exception | None = None
        try:
            async with self._restarts, asyncio.timeout(_RESTART_SECONDS):
                await self._start_over(known, page)
        except (Failure, TimeoutError) as error:
            failure = error
        except Exception as error:  # as in a round
            logger.exception("days cannot be read anew")
            failure = error
        finally:
            del self._restarting[known.key]
        if failure is not None:
            known.fail(StoreUnavailable("the store cannot be reached"))
            _answer(self._waiting.pop(known.key, []), failure)
        self._due.add(known.key)
        self._wanted.set()

    async def _start_over(self, known: OrganizationDays, page: FeedPage) -> None:
        """Reads everything that is watched anew: what is known may never have happened."""
        logger.warning(
            "days are read anew", extra={"position": known.position, "number": page.number}
        )
        fresh = OrganizationDays(known.key)
        fresh.epoch, fresh.position = page.epoch, page.number
        while True:
            if missing := fresh.missing(known.pins):
                await self._fill(fresh, missing)
            elif fresh.newest(known.pins) > fresh.position:
                further = (await self._feed.read({known.key: fresh.position}))[known.key]
                if not fresh.continues(further):
                    return  # once more: the next reading finds the same
                for change in further.changes:
                    fresh.advance(change)
            else:
                break
        known.become(fresh)
        known.reset()

    def _note_answer(self, failure: Exception | None) -> None:
        now = self._monotonic()
        if failure is None:
            self._answered_at = now
        elif now - self._answered_at > _SILENCE_SECONDS:
            for known in self._known.values():
                known.fail(StoreUnavailable("the store cannot be reached"))

    async def _read(self, organization_id: str, wanted: Days) -> dict[str, dict[int, DayState]]:
        known = await self.fresh(organization_id)
        found = known.of_resources(wanted)
        if found is None:
            with known.pinned(wanted):
                while found is None:
                    await self._fill(known, known.missing(wanted))
                    await self.fresh(organization_id)
                    found = known.of_resources(wanted)
            if self._room < 0:
                self._make_room()
        return found

    async def _caught_up(self, known: OrganizationDays) -> None:
        """Waits until every change is known that is committed by now.

        Raises:
            StoreUnavailable: The store could not be asked.
        """
        await self._refreshed(known)
        while known.is_behind:
            await self._refreshed(known)

    async def _refreshed(self, known: OrganizationDays) -> None:
        """Waits for a reading that begins from now on.

        Raises:
            StoreUnavailable: The store could not be asked.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[known.key].append(future)
        self._due.add(known.key)
        self._wanted.set()
        await future

    async def _fill(self, known: OrganizationDays, missing: Days) -> None:
        generation = known.generation
        with known.filling():
            found = await self._stored(known.key, missing)
            if known.generation == generation:
                self._room -= known.fill(missing, found)

    async def _stored(
        self, organization_id: str, wanted: Days
    ) -> Mapping[str, Mapping[int, DayState]]:
        days = sorted({day for found in wanted.values() for day in found})
        span = range(days[0], days[-1] + 1)
        if len(wanted) > 1 or len(days) < len(span):
            return await self._days.of_resources(organization_id, list(wanted), days)
        (resource_id,) = wanted
        return {resource_id: await self._days.of_resource(organization_id, resource_id, span)}

    def _make_room(self) -> None:
        spared = self._most // _SPARED  # so that it is not done again for the next day
        self._room = max(spared, make_room(self._known.values(), self._most, spared))

    def _drop_idle(self) -> None:
        oldest = self._monotonic() - self._idle_seconds
        for name, known in list(self._known.items()):
            if known.used_at < oldest and not known.is_followed and name not in self._waiting:
                del self._known[name]


def _answer(futures: Iterable[asyncio.Future[None]], failure: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(StoreUnavailable("the store cannot be reached"))
