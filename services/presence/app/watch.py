"""Watches the holds of resources: where a watch begins, and what has changed since."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.presence.app.follow import HoldFollower
from services.presence.app.mirror import HoldTopic, HoldUpdate
from services.presence.app.port import HoldLog
from services.presence.domain.change import HoldChange, Position, merged
from services.presence.domain.hold import ResourceName
from shared.runtime.mailbox import Mailbox


@dataclass(frozen=True)
class Resumption:
    """What changed on a resource between two positions: one change a hold."""

    after: Position
    position: Position
    changes: Sequence[HoldChange]


@dataclass(frozen=True)
class Beginning:
    """Where a watch begins.

    Attributes:
        topics: All of them, subscribed, in the order asked.
        told: How far an earlier watch was told; empty for a new one.
        resumed: Those of which the watcher is told what changed. Of the others it is told the
            state.
    """

    topics: Mapping[ResourceName, HoldTopic]
    told: Mapping[ResourceName, Position]
    resumed: Mapping[ResourceName, Resumption]


class WatchHolds:
    """One watch."""

    def __init__(self, follower: HoldFollower, log: HoldLog) -> None:
        self._follower = follower
        self._log = log

    def covered(self, topic: HoldTopic) -> Position:
        """Returns up to where a topic has every change, others' of its scope counted."""
        return self._follower.covered(topic)

    @asynccontextmanager
    async def __call__(
        self,
        resources: Sequence[ResourceName],
        told: Mapping[ResourceName, Position],
        mailbox: Mailbox[ResourceName, HoldUpdate],
    ) -> AsyncIterator[Beginning]:
        """Subscribes a mailbox until the block ends; yields where the watch begins.

        Args:
            resources: What is watched.
            told: How far an earlier watch was told; empty for a new one.
            mailbox: Gets what comes after the beginning, and maybe some of what is in it.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        async with self._follower.topics.subscribed(resources, mailbox) as topics:
            await self._follower.refresh(topics.values())
            yield Beginning(topics, told, await self._resumed(topics, told))

    async def _resumed(
        self, topics: Mapping[ResourceName, HoldTopic], told: Mapping[ResourceName, Position]
    ) -> dict[ResourceName, Resumption]:
        asked = {
            name: position.revision
            for name, position in told.items()
            if position.epoch == topics[name].position.epoch
        }
        found: dict[ResourceName, Resumption] = {}
        for name, history in (await self._log.since(asked)).items() if asked else ():
            after, position = told[name], Position(history.epoch, history.revision)
            if not await self._follower.is_current(topics[name], position):
                continue
            # The store may have been started anew between the two looks at the epoch.
            if history.changes is None or position.epoch != after.epoch or position < after:
                continue
            # The topic must not be older than what is told: its state may be told next.
            if await self._follower.reached(topics[name], position):
                found[name] = Resumption(after, position, merged(history.changes))
        return found
