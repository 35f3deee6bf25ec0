"""Keeps the catalogs that somebody watches as new as the store."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.catalog.app.organization_catalog import CatalogChange, OrganizationCatalog
from services.catalog.app.port import CatalogLog
from services.catalog.domain.entry import EntryName
from shared.runtime.failure import Failure, StoreUnavailable
from shared.runtime.mailbox import Mailbox
from shared.runtime.resume import Position
from shared.runtime.topic import Topics

# Who begins to watch is satisfied with a catalog compared with the store so short a time ago.
_FRESH_SECONDS: Final = 0.3
# Watchers wait out a store that is silent for less.
_SILENCE_SECONDS: Final = 5.0
# Readings of whole catalogs or of their changes, at once.
_READ_AT_ONCE: Final = 2
# Between rounds: what changes meanwhile is read together.
_PAUSE_SECONDS: Final = 0.005

logger = logging.getLogger("holdfast.catalog.watch")


@dataclass(frozen=True)
class Beginning:
    """Where a watch begins.

    Attributes:
        catalog: Subscribed.
        changed: To a watch that resumes, the names of what changed since; None where it is
            told the whole state.
        is_reset: Whether that is because what changed cannot be told.
    """

    catalog: OrganizationCatalog
    changed: AbstractSet[EntryName] | None
    is_reset: bool


class CatalogFeed:
    """The catalogs that are watched, each read once. Belongs to one event loop."""

    def __init__(self, log: CatalogLog, *, poll: timedelta, linger: timedelta) -> None:
        """Knows nothing yet; ``run`` must run for changes to be told.

        Args:
            log: Of changes.
            poll: The longest time between two looks at the store.
            linger: For how long a catalog that nobody watches any more is kept.
        """
        self._log = log
        self._poll_seconds = poll.total_seconds()
        self._topics = Topics(self._open, self._forget, linger=linger)
        self._due: set[str] = set()
        self._wanted = asyncio.Event()
        self._waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._reading = asyncio.Semaphore(_READ_AT_ONCE)

    def ring(self, organization_id: str) -> None:
        """Tells that a catalog may have changed: it is looked at now."""
        if self._topics.get(organization_id) is not None:
            self._due.add(organization_id)
            self._wanted.set()

    @asynccontextmanager
    async def watched(
        self, organization_id: str, told: Position | None, mailbox: Mailbox[str, CatalogChange]
    ) -> AsyncIterator[Beginning]:
        """Subscribes a mailbox until the block ends; yields where the watch begins.

        Args:
            organization_id: Whose catalog.
            told: How far an earlier watch was told; None for a new one.
            mailbox: Gets what comes after the beginning, and maybe some of what is in it.

        Raises:
            StoreUnavailable: The store cannot be asked.
            Overloaded: It is too busy.
        """
        async with self._topics.subscribed([organization_id], mailbox) as topics:
            catalog = topics[organization_id]
            is_old = catalog.checked_at < _now() - _FRESH_SECONDS
            if is_old or (told is not None and told > catalog.position):
                await self._checked(catalog)
            changed = None if told is None else await self._missed(catalog, told)
            yield Beginning(catalog, changed, is_reset=told is not None and changed is None)

    async def run(self) -> None:
        """Follows the store until it is cancelled; ends for nothing else."""
        poll_at = _now()
        try:
            while True:
                self._wanted.clear()
                if not self._due:
                    try:
                        async with asyncio.timeout(max(0.0, poll_at - _now())):
                            await self._wanted.wait()
                    except TimeoutError:
                        pass
                if _now() >= poll_at:
                    self._due.update(catalog.key for catalog in self._topics)
                    poll_at = _now() + self._poll_seconds
                due, self._due = self._due, set()
                if due:
                    await self._round(due)
                    await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            await self._topics.close()

    async def _round(self, due: Iterable[str]) -> None:
        waiting = {name: self._waiting.pop(name, []) for name in due}
        catalogs = [catalog for name in waiting if (catalog := self._topics.get(name)) is not None]
        failures = await self._look(catalogs) if catalogs else {}
        for catalog in catalogs:
            if catalog.checked_at < _now() - _SILENCE_SECONDS:
                catalog.fail(StoreUnavailable("the catalog's database cannot be read"))
        for name, futures in waiting.items():
            for future in futures:
                if not future.done():
                    _answer(future, failures.get(name))

    async def _look(self, catalogs: Sequence[OrganizationCatalog]) -> dict[str, Exception]:
        began = _now()
        try:
            positions = await self._log.positions([catalog.key for catalog in catalogs])
        except Exception as failure:  # noqa: BLE001  # and tried again
            _note(failure)
            return dict.fromkeys((catalog.key for catalog in catalogs), failure)
        changed = []
        for catalog in catalogs:
            if catalog.position == positions[catalog.key]:
                catalog.checked_at = began
            else:
                changed.append(catalog)
        ends = await asyncio.gather(*map(self._advance, changed), return_exceptions=True)
        failures: dict[str, Exception] = {}
        for catalog, end in zip(changed, ends, strict=True):
            if isinstance(end, Exception):
                _note(end)
                failures[catalog.key] = end
        return failures

    async def _advance(self, catalog: OrganizationCatalog) -> None:
        async with self._reading:
            began = _now()
            known = catalog.position
            position, entries = await self._log.since(catalog.key, known.revision)
            if entries is None or position.epoch != known.epoch:
                logger.warning(
                    "a catalog is read anew",
                    extra={"position": known.revision, "revision": position.revision},
                )
                catalog.restore(*await self._log.state(catalog.key))
            elif position.revision > known.revision:
                catalog.apply(CatalogChange(known.revision, position.revision, entries))
            catalog.checked_at = began

    async def _missed(
        self, catalog: OrganizationCatalog, told: Position
    ) -> AbstractSet[EntryName] | None:
        """Returns what a watcher has missed, or None when that is not known."""
        if told.epoch != catalog.position.epoch:
            return None
        names: AbstractSet[EntryName] | None = catalog.names_since(told.revision)
        if names is not None or told.revision > catalog.position.revision:
            return names
        position, stored = await self._log.touched(catalog.key, told.revision)
        if catalog.position < position:
            await self._checked(catalog)
        # What came meanwhile is in the mailbox, and in the catalog: it is told with the rest.
        since = catalog.names_since(position.revision)
        if stored is None or since is None or told.epoch != catalog.position.epoch:
            return None
        return stored | since

    async def _checked(self, catalog: OrganizationCatalog) -> None:
        """Waits until the catalog has every change that is committed by now.

        Raises:
            Failure: The store could not be asked.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting[catalog.key].append(future)
        self._due.add(catalog.key)
        self._wanted.set()
        await future

    async def _open(self, organization_id: str) -> OrganizationCatalog:
        async with self._reading:
            began = _now()
            return OrganizationCatalog(
                organization_id, *await self._log.state(organization_id), began
            )

    def _forget(self, catalog: OrganizationCatalog) -> None:
        for future in self._waiting.pop(catalog.key, ()):
            if not future.done():
                _answer(future, StoreUnavailable("the catalog is no longer followed"))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _answer(future: asyncio.Future[None], failure: Exception | None) -> None:
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)
        future.exception()  # seen: whoever asked may be gone


def _note(failure: Exception) -> None:
    if not isinstance(failure, Failure):
        logger.error("catalogs cannot be followed", exc_info=failure)
