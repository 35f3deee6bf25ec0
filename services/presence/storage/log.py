"""What changed: snapshots that say where they stand, the log since, and the sweep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from services.presence.domain.change import History, Position, Snapshot
from services.presence.domain.hold import HoldTerms, ResourceName
from services.presence.storage.layout import (
    PARTITIONS,
    head_key,
    partition,
    partition_keys,
    resource_name,
)
from services.presence.storage.packed import hold_changes, live_holds
from services.presence.storage.script import Script, ScriptCall
from services.presence.storage.server import HoldServer

_MICROSECOND: Final = timedelta(microseconds=1)
# One run of the sweep is one pause of the store for everybody else.
_MOST_SWEPT_AT_ONCE: Final = 500


class RedisHoldLog:
    """The port ``HoldLog`` over scripts; a scope is a partition."""

    def __init__(self, server: HoldServer, terms: HoldTerms, *, log_length: int) -> None:
        """As ``RedisHolds``."""
        self._server = server
        self._log_length = log_length
        self._lead = terms.overdue_before_expiry // _MICROSECOND
        self._snapshot = Script.load("snapshot")
        self._since = Script.load("since")
        self._sweep = Script.load("sweep")

    def scope(self, resource: ResourceName) -> int:
        """Returns the scope in which a resource's revisions count."""
        return partition(resource)

    async def snapshot(self, resources: Iterable[ResourceName]) -> dict[ResourceName, Snapshot]:
        """Reads the live holds of resources, those of one scope in one step.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        scopes = _by_scope(resources)
        answers = await self._server.run_all(
            [
                ScriptCall(
                    self._snapshot,
                    partition_keys(number),
                    [self._log_length, *map(resource_name, together)],
                )
                for number, together in scopes.items()
            ]
        )
        return {
            resource: Snapshot(epoch, revision, list(live_holds(resource.resource_id, pairs)))
            for together, (epoch, revision, *found) in zip(scopes.values(), answers, strict=True)
            for resource, pairs in zip(together, found, strict=True)
        }

    async def since(self, revisions: Mapping[ResourceName, int]) -> dict[ResourceName, History]:
        """Reads what changed on each resource after a revision.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        scopes = _by_scope(revisions)
        answers = await self._server.run_all(
            [
                ScriptCall(self._since, partition_keys(number), _asked(together, revisions))
                for number, together in scopes.items()
            ]
        )
        return {
            resource: History(epoch, revision, _entries(resource, told))
            for together, (epoch, revision, *found) in zip(scopes.values(), answers, strict=True)
            for resource, told in zip(together, found, strict=True)
        }

    async def positions(self, scopes: Sequence[int]) -> dict[int, Position]:
        """Reads where scopes stand; one that has been lost stands at epoch 0.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        heads = await self._server.fields([head_key(n) for n in scopes], ["epoch", "revision"])
        return {
            number: Position(int(epoch or 0), int(revision or 0))
            for number, (epoch, revision) in zip(scopes, heads, strict=True)
        }

    async def sweep(self) -> None:
        """Ends what expired and marks what is overdue, in all scopes.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        full: Sequence[int] = range(PARTITIONS)
        while full:
            answers = await self._server.run_all(
                [
                    ScriptCall(
                        self._sweep,
                        partition_keys(number),
                        [self._lead, self._log_length, _MOST_SWEPT_AT_ONCE],
                    )
                    for number in full
                ]
            )
            full = [
                number
                for number, seen in zip(full, answers, strict=True)
                if seen == _MOST_SWEPT_AT_ONCE
            ]


def _by_scope(resources: Iterable[ResourceName]) -> dict[int, list[ResourceName]]:
    found: defaultdict[int, list[ResourceName]] = defaultdict(list)
    for resource in resources:
        found[partition(resource)].append(resource)
    return found


def _asked(
    resources: Iterable[ResourceName], revisions: Mapping[ResourceName, int]
) -> list[str | int]:
    return [part for r in resources for part in (resource_name(r), revisions[r])]


def _entries(resource: ResourceName, told: Any) -> list[Any] | None:
    if told == b"":
        return None
    return [
        change
        for records, beside in zip(told[::2], told[1::2], strict=True)
        for change in hold_changes(resource.resource_id, records, beside)
    ]
