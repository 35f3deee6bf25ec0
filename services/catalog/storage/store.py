"""The catalogs of all organizations in one database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakValueDictionary

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.catalog.app.port import Change, View
from services.catalog.domain.entry import EntryName
from services.catalog.domain.record import Stamp
from services.catalog.storage.answer import AnswerTable
from services.catalog.storage.date_override import DateOverrideTable
from services.catalog.storage.event_type import EventTypeTable
from services.catalog.storage.failure import at_most_twice
from services.catalog.storage.link import LinkTable
from services.catalog.storage.offering import OfferingReader
from services.catalog.storage.resource import ResourceTable
from services.catalog.storage.schedule import ScheduleTable
from services.catalog.storage.schema import organizations
from shared.runtime.clock import Clock
from shared.runtime.unbroken import Unbroken

T = TypeVar("T")

_PATIENCE_SECONDS = 5


def _nobody(_: str) -> None:
    """Tells nobody."""


class PostgresStore:
    """Reads and changes catalogs; one change at a time in each organization.

    The organization's row is each change's first lock. That makes its revision, which is also
    etag and version, race-free, and no change ever waits for two locks in another order.
    Changes of one organization also queue here, so that they do not hold connections meanwhile.
    """

    def __init__(
        self, engine: AsyncEngine, clock: Clock, changed: Callable[[str], None] = _nobody
    ) -> None:
        """Connects when it is first used.

        Args:
            engine: To the database.
            clock: For the times of changes.
            changed: Told of each organization whose catalog may have changed, once it has.
        """
        self._engine = engine
        self._changed = changed
        # Statements that stand alone need no BEGIN and COMMIT, which cost a round trip each.
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # The database's own timeouts bound it.
        self._unbroken = Unbroken()

    async def read(self, organization_id: str, work: Callable[[View], Awaitable[T]]) -> T:
        """Runs ``work``, each statement by itself.

        Raises:
            StoreUnavailable: The database does not answer.
            Overloaded: It is too busy.
        """

        async def attempt() -> T:
            async with self._reading.connect() as connection:
                return await work(_View(connection, organization_id))

        return await self._unbroken(at_most_twice(attempt))

    async def change(self, organization_id: str, work: Callable[[Change], Awaitable[T]]) -> T:
        """Runs ``work`` in a transaction that waits for the organization's other changes.

        Raises:
            StoreUnavailable: The database does not answer; a retry with the same request_id
                tells what happened.
            Overloaded: It is too busy; nothing happened.
        """

        async def attempt() -> T:
            async with self._engine.begin() as connection:
                revision = await _locked(connection, organization_id)
                stamp = Stamp(self._clock.now(), revision + 1)
                return await work(_Change(connection, organization_id, stamp))

        async with self._turn(organization_id):
            try:
                return await self._unbroken(at_most_twice(attempt))
            finally:
                self._changed(organization_id)

    async def close(self) -> None:
        """Waits for what is running, then closes every connection."""
        await self._unbroken.finish(_PATIENCE_SECONDS)
        await self._engine.dispose()

    def _turn(self, organization_id: str) -> asyncio.Lock:
        turn = self._turns.get(organization_id)
        if turn is None:
            turn = self._turns[organization_id] = asyncio.Lock()
        return turn


class _View:
    """One organization's tables over one connection; each made when it is asked for."""

    def __init__(self, connection: AsyncConnection, organization_id: str) -> None:
        self._touched: set[EntryName] = set()
        self._scope = connection, organization_id, self._touched

    @property
    def resources(self) -> ResourceTable:
        return ResourceTable(*self._scope)

    @property
    def schedules(self) -> ScheduleTable:
        return ScheduleTable(*self._scope)

    @property
    def date_overrides(self) -> DateOverrideTable:
        return DateOverrideTable(*self._scope)

    @property
    def event_types(self) -> EventTypeTable:
        return EventTypeTable(*self._scope)

    @property
    def offerings(self) -> OfferingReader:
        return OfferingReader(*self._scope[:2])


class _Change(_View):
    def __init__(self, connection: AsyncConnection, organization_id: str, stamp: Stamp) -> None:
        super().__init__(connection, organization_id)
        self.stamp = stamp

    @property
    def links(self) -> LinkTable:
        return LinkTable(*self._scope)

    @property
    def answers(self) -> AnswerTable:
        return AnswerTable(*self._scope, self.stamp)


async def _locked(connection: AsyncConnection, organization_id: str) -> int:
    c = organizations.c
    lock = select(c.revision).where(c.organization_id == organization_id).with_for_update()
    revision = (await connection.execute(lock)).scalar()
    if revision is None:
        first = insert(organizations).values(organization_id=organization_id, revision=0)
        await connection.execute(first.on_conflict_do_nothing())
        revision = (await connection.execute(lock)).scalar_one()
    return int(revision)
