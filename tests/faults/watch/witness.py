"""Reads the store's own log while the services write it: the truth that watches are held to."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.presence.domain.change import HoldChange
from services.presence.domain.hold import LiveHold, ResourceName
from services.presence.storage.layout import (
    head_key,
    holds_key,
    log_key,
    named_resource,
    partition,
)
from services.presence.storage.packed import hold_changes, live_holds, microseconds
from tests.faults.watch.trace import Held, Name, Position
from tests.faults.watch.truth import Change, Entry, Truth

_POLL_SECONDS: Final = 0.01
_PATIENCE_SECONDS: Final = 0.5


class Witness:
    """Follows the logs of some resources' partitions into a truth.

    The store may be killed under it: what it had not read by then is not known, and neither is
    when what comes first after that came.

    Attributes:
        read_at: By the store's clock in microseconds, when it last read; 0: not known.
    """

    def __init__(self, url: str, organization_id: str, resources: Sequence[str]) -> None:
        """Reads nothing yet.

        Args:
            url: Of the store.
            organization_id: Whose resources.
            resources: All that anything is held of.
        """
        self.truth = Truth()
        self._scopes: defaultdict[int, list[ResourceName]] = defaultdict(list)
        for resource in resources:
            name = ResourceName(organization_id, resource)
            self._scopes[partition(name)].append(name)
        self._client = redis.asyncio.Redis.from_url(
            url,
            socket_timeout=_PATIENCE_SECONDS,
            socket_connect_timeout=_PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._heads: dict[int, Position] = {}
        self._lost: set[int] = set()
        self.read_at = 0
        self._advanced = asyncio.Event()
        self._is_ended = False

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Reads until the block ends."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            # Not by a cancellation: the driver may swallow it.
            self._is_ended = True
            await task
            await self._client.aclose()

    async def _run(self) -> None:
        while not self._is_ended:
            try:
                await self._round()
            except (exceptions.RedisError, OSError):
                self.read_at = 0  # whatever comes next may have come long ago
            await asyncio.sleep(_POLL_SECONDS)

    async def _round(self) -> None:
        pipeline = self._client.pipeline(transaction=True)
        pipeline.time()
        for scope in self._scopes:
            pipeline.hmget(head_key(scope), ["epoch", "revision"])
            after = self._heads[scope].revision if scope in self._heads else 0
            pipeline.xrange(log_key(scope), min=f"({after}-0")
        (seconds, rest), *answers = await pipeline.execute()
        seen_at = int(seconds) * 1_000_000 + int(rest)
        absent_at, self.read_at = self.read_at, seen_at
        for scope, (epoch, revision), entries in zip(
            self._scopes, answers[::2], answers[1::2], strict=True
        ):
            head = Position(int(epoch or 0), int(revision or 0))
            known = self._heads.get(scope)
            if known is not None and known.epoch == head.epoch:
                # Started anew with older data, it stands before what was seen, for a moment.
                if head.revision >= known.revision:
                    self._take(scope, head, entries, (absent_at, seen_at))
                else:
                    self._lost.add(scope)
            elif head.epoch:
                await self._begin(scope, seen_at)
            else:
                self._lost.add(scope)
        self._advanced.set()
        self._advanced.clear()

    async def caught_up(self) -> None:
        """Waits until it has read all that is there now."""
        await self._advanced.wait()  # which may have begun before
        await self._advanced.wait()

    async def all_gone(self) -> None:
        """Waits until nobody holds anything."""
        await self.caught_up()
        while any(
            (line := self.truth.line(name.resource_id, head.epoch)) is not None and line.state
            for scope, head in self._heads.items()
            for name in self._scopes[scope]
        ):
            await self._advanced.wait()

    async def end(self) -> dict[str, Position]:
        """Returns how far each resource's changes go."""
        await self.caught_up()
        return {
            name.resource_id: self._heads[scope]
            for scope, names in self._scopes.items()
            for name in names
            if scope in self._heads
        }

    def head(self, resource: str) -> Position | None:
        """How far it has read what concerns a resource; None after a loss, until it is known."""
        for scope, names in self._scopes.items():
            if scope not in self._lost and any(name.resource_id == resource for name in names):
                return self._heads.get(scope)
        return None

    async def _begin(self, scope: int, seen_at: int) -> None:
        """A new epoch: what is there now is where it begins, unless all of its log is there."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hmget(head_key(scope), ["epoch", "revision"])
        pipeline.xrange(log_key(scope))
        for name in self._scopes[scope]:
            pipeline.hgetall(holds_key(name))
        (epoch, revision), entries, *holds = await pipeline.execute()
        head = Position(int(epoch or 0), int(revision or 0))
        if not head.epoch:
            return
        if head.revision == len(entries):  # from the first change on
            for name in self._scopes[scope]:
                self.truth.begin(name.resource_id, head.epoch, 0, {})
            self._take(scope, head, entries, (0, seen_at))
            return
        self._heads[scope] = head
        self._lost.discard(scope)
        for name, found in zip(self._scopes[scope], holds, strict=True):
            pairs = [part for pair in found.items() for part in pair]
            state = {
                Name(hold.holder_id, hold.hold_id): _held(hold)
                for hold in live_holds(name.resource_id, pairs)
            }
            self.truth.begin(name.resource_id, head.epoch, head.revision, state)

    def _take(
        self, scope: int, head: Position, entries: Iterable[Any], when: tuple[int, int]
    ) -> None:
        self._heads[scope] = head
        self._lost.discard(scope)
        for number, fields in entries:
            resource = named_resource(fields[b"name"].decode()).resource_id
            line = self.truth.line(resource, head.epoch)
            if line is None:
                continue  # of another organization
            changes = hold_changes(resource, fields[b"changes"], fields.get(b"beside", b""))
            position = Position(head.epoch, int(number.partition(b"-")[0]))
            line.add(Entry(position, resource, dict(map(_change, changes)), *when))
        for name in self._scopes[scope]:
            line = self.truth.line(name.resource_id, head.epoch)
            assert line is not None  # begun with the epoch
            line.known_to = head.revision


def _change(change: HoldChange) -> tuple[Name, Change]:
    before = None if change.before is None else (change.before.first, change.before.stop)
    after = None if change.after is None else _held(change.after)
    reason = 0 if change.reason is None else change.reason.value
    return Name(*change.name), Change(before, after, reason)


def _held(hold: LiveHold) -> Held:
    acquired = microseconds(hold.acquired_at)
    return Held(hold.span.first, hold.span.stop, hold.units, acquired, hold.is_overdue)
