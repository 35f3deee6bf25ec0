"""Follows the log of holds for everybody who watches, one subscription a resource."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Final

from services.presence.app.mirror import HoldTopic
from services.presence.app.port import HoldLog, HoldTail
from services.presence.domain.change import LogEntry, Position, Snapshot
from services.presence.domain.hold import ResourceName
from shared.runtime.failure import StoreUnavailable
from shared.runtime.topic import Topics

_CHECK_SECONDS: Final = 1.0
_MOST_AT_ONCE: Final = 500


@dataclass
class _Scope:
    """Where the log of one scope is read on, and for whom.

    Attributes:
        position: Every change up to there is in every topic.
        is_doubtful: Changes may have been missed: the topics are to be read anew.
    """

    position: Position
    topics: dict[ResourceName, HoldTopic] = field(default_factory=dict)
    is_doubtful: bool = False


class _Snapshots:
    """Reads together what is asked for at once, one reading at a time.

    When everybody comes back after a restart, heartbeats must not queue behind a connection for
    each resource of each watcher.
    """

    def __init__(self, log: HoldLog) -> None:
        self._log = log
        self._wanted: dict[ResourceName, asyncio.Future[Snapshot]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def __call__(self, resource: ResourceName) -> Snapshot:
        """Returns the present state of a resource.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        future = self._wanted.get(resource)
        if future is None:
            future = self._wanted[resource] = asyncio.get_running_loop().create_future()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(future)

    async def _read(self) -> None:
        while self._wanted:
            names = list(islice(self._wanted, _MOST_AT_ONCE))
            futures = {name: self._wanted.pop(name) for name in names}
            try:
                found = await self._log.snapshot(names)
            except Exception as failure:  # noqa: BLE001  # theirs who wait for it
                for future in futures.values():
                    future.set_exception(failure)
                    future.exception()  # seen: whoever asked may be gone
            else:
                for name, future in futures.items():
                    future.set_result(found[name])


class HoldFollower:
    """Keeps topics as new as the log. ``round`` is to be called again and again."""

    def __init__(
        self, log: HoldLog, tail: HoldTail, *, patience: timedelta, linger: timedelta
    ) -> None:
        """Follows nothing yet.

        Args:
            log: For snapshots.
            tail: For what comes after them.
            patience: How long the store may be silent before the watches are ended.
            linger: How long a resource is followed after its last watcher left.
        """
        self._log = log
        self._tail = tail
        self._patience_seconds = patience.total_seconds()
        self._opening = _Snapshots(log)
        self.topics = Topics(self._open, self._close, linger=linger)
        self._scopes: dict[int, _Scope] = {}
        self._wanted = asyncio.Event()
        self._advanced = asyncio.Event()
        self._failure: StoreUnavailable | None = None
        self._answered_at = 0.0
        self._checked_at = 0.0

    async def close(self) -> None:
        """Ends all subscriptions."""
        await self.topics.close()

    def covered(self, topic: HoldTopic) -> Position:
        """Returns up to where a topic has every change, others' of its scope counted."""
        scope = self._scopes.get(self._log.scope(topic.key))
        if scope is None or scope.is_doubtful or scope.position.epoch != topic.position.epoch:
            return topic.position
        return max(topic.position, scope.position)

    async def is_current(self, topic: HoldTopic, found: Position) -> bool:
        """Tells whether a topic is in the epoch that the store was found in.

        If not, it is so when this returns False: the store was started anew a moment ago.

        Raises:
            StoreUnavailable: It took too long.
        """
        if topic.position.epoch >= found.epoch:
            return topic.position.epoch == found.epoch
        scope = self._scopes.get(self._log.scope(topic.key))
        if scope is not None:
            scope.is_doubtful = True
        await self.reached(topic, found)
        return False

    async def reached(self, topic: HoldTopic, position: Position) -> bool:
        """Waits until a topic has every change up to a position; False if its epoch ended.

        Raises:
            StoreUnavailable: It took too long.
        """
        try:
            async with asyncio.timeout(self._patience_seconds):
                while self.covered(topic) < position:
                    await self._advanced.wait()
        except TimeoutError as error:
            raise StoreUnavailable("the log of holds cannot be read") from error
        return topic.position.epoch == position.epoch

    async def refresh(self, topics: Iterable[HoldTopic]) -> None:
        """Compares expiries with the store's, unless that was done a moment ago.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        if self._failure is not None:
            raise StoreUnavailable(str(self._failure))
        now = asyncio.get_running_loop().time()
        old = {t.key: t for t in topics if t.read_at < now - _CHECK_SECONDS}
        if not old:
            return
        for topic in old.values():
            topic.read_at = now  # whoever comes meanwhile need not ask, too
        try:
            found = await self._log.snapshot(old)
        except StoreUnavailable:
            for topic in old.values():
                topic.read_at = 0.0
            raise
        for resource, snapshot in found.items():
            if not await self.is_current(old[resource], Position(snapshot.epoch, 0)):
                continue  # it was read anew, in whole
            old[resource].renew(snapshot)

    async def round(self) -> None:
        """Reads what came and tells it; waits a moment if nothing has.

        Raises:
            StoreUnavailable: The store cannot be reached. The watches go on, until it was
                silent for too long.
        """
        now = asyncio.get_running_loop().time
        if not self._scopes:
            self._failure = None  # whoever opens the next one finds out for itself
            self._wanted.clear()
            await self._wanted.wait()
            self._answered_at = now()
        try:
            await self._read()
            self._answered_at, self._failure = now(), None
        except StoreUnavailable as failure:
            self._checked_at = 0.0  # it may have been started anew: that is looked at first
            if now() - self._answered_at > self._patience_seconds:
                self._failure = failure
                for topic in self.topics:
                    topic.fail(failure)
            raise

    async def _read(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._checked_at > _CHECK_SECONDS:
            await self._check()
            self._checked_at = now
        doubtful = [number for number, scope in self._scopes.items() if scope.is_doubtful]
        if doubtful:
            await self._restore(doubtful)
        starts = {n: (s, s.position, set(s.topics.values())) for n, s in self._scopes.items()}
        if not starts:
            return
        entries = await self._tail.read({n: start.revision for n, (_, start, _) in starts.items()})
        by_scope: dict[int, list[LogEntry]] = {}
        for number, entry in entries:
            by_scope.setdefault(number, []).append(entry)
        for number, found in by_scope.items():
            self._take(*starts[number], found)
        if entries or doubtful:
            self._advanced.set()
            self._advanced.clear()

    @staticmethod
    def _take(
        scope: _Scope, start: Position, known: AbstractSet[HoldTopic], entries: Sequence[LogEntry]
    ) -> None:
        """Applies what was read after ``start``, as far as no entry is missing.

        Args:
            scope: Of all the entries.
            start: Where the topics known stood when the reading began.
            known: Topics that were there then.
            entries: In their order.
        """
        # A topic opened meanwhile, from an older snapshot, has a gap before the first entry.
        behind = [t for t in scope.topics.values() if t not in known and t.position < start]
        position = start
        for entry in entries:
            following = Position(position.epoch, position.revision + 1)
            if (entry.epoch, entry.revision) != following:
                scope.is_doubtful = True
                break
            position = following
            topic = scope.topics.get(entry.resource)
            if topic is not None and topic not in behind and topic.position.epoch == entry.epoch:
                topic.apply(entry)
        scope.position = min([position, *(topic.position for topic in behind)])

    async def _check(self) -> None:
        known = {number: (scope, scope.position) for number, scope in self._scopes.items()}
        for number, found in (await self._log.positions(list(known))).items():
            scope, position = known[number]
            if found.epoch != position.epoch or found.revision < position.revision:
                scope.is_doubtful = True

    async def _restore(self, numbers: Iterable[int]) -> None:
        asked = [name for number in numbers for name in self._scopes[number].topics]
        found = await self._log.snapshot(asked)
        now = asyncio.get_running_loop().time()
        for number in numbers:
            scope = self._scopes.get(number)
            if scope is None:
                continue
            told = [found[name] for name in scope.topics if name in found]
            if not told:
                continue  # all of them are new, and read since
            scope.position = Position(told[0].epoch, told[0].revision)
            scope.is_doubtful = False
            for name, topic in scope.topics.items():
                if name in found:
                    topic.restore(found[name], now)
                else:
                    self._join(scope, topic)

    async def _open(self, resource: ResourceName) -> HoldTopic:
        snapshot = await self._opening(resource)
        topic = HoldTopic(resource, snapshot, asyncio.get_running_loop().time())
        number = self._log.scope(resource)
        scope = self._scopes.get(number)
        if scope is None:
            scope = self._scopes[number] = _Scope(topic.position)
            self._wanted.set()
        scope.topics[resource] = topic
        self._join(scope, topic)
        return topic

    @staticmethod
    def _join(scope: _Scope, topic: HoldTopic) -> None:
        if scope.position.epoch != topic.position.epoch:
            scope.is_doubtful = True
        elif topic.position.revision < scope.position.revision:
            # Changes between the two were read when the topic was not there yet.
            scope.position = topic.position

    def _close(self, topic: HoldTopic) -> None:
        number = self._log.scope(topic.key)
        scope = self._scopes[number]
        del scope.topics[topic.key]
        if not scope.topics:
            del self._scopes[number]
