"""Holds in the store, by its own clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.presence.domain.hold import (
    HOLDER_ID_LENGTH,
    Holder,
    HoldKey,
    HoldRule,
    HoldTerms,
    LiveHold,
)
from services.presence.domain.refusal import SlotHeld, TooManyHolds
from services.presence.storage.layout import PARTITIONS, holder_key, holds_key, partition
from services.presence.storage.server import HoldServer, Script, ScriptCall
from shared.slots.quantum import Span

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class RedisHolds:
    """The port ``HoldStore`` over scripts; each decides in one step for one partition."""

    def __init__(self, server: HoldServer, terms: HoldTerms) -> None:
        self._server = server
        self._timeout_microseconds = terms.timeout // _MICROSECOND
        self._limit = terms.holds_per_resource
        self._keep = Script.load("keep")
        self._release = Script.load("release")
        self._live = Script.load("live")

    async def keep(self, key: HoldKey, span: Span, rule: HoldRule | None) -> datetime | None:
        """Renews a live hold of that span, else acquires or swaps it under ``rule``.

        Raises:
            SlotHeld: The rule is exclusive and another holder's live hold is in the way.
            TooManyHolds: The holder may not have a further hold on the resource.
            StoreUnavailable: The server cannot be reached.
        """
        holder = key.holder
        call = ScriptCall(
            self._keep,
            [
                holds_key(holder.organization_id, key.resource_id),
                holder_key(partition(holder.organization_id, key.resource_id), holder),
            ],
            [
                holder.holder_id, key.hold_id, key.resource_id, span.first, span.stop,
                rule.value if rule else "", self._timeout_microseconds, self._limit,
            ],
        )  # fmt: skip
        verdict, *values = await self._server.run(call)
        if verdict == b"kept":
            return _instant(values[0])
        if verdict == b"held":
            raise SlotHeld(key.resource_id, span, _pairs(values))
        if verdict == b"full":
            raise TooManyHolds(self._limit)
        return None

    async def release(self, holder: Holder, resource_id: str, hold_id: str | None) -> int:
        """Releases one hold on a resource, or all of the holder's where ``hold_id`` is None.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        scope = ["all"] if hold_id is None else ["one", hold_id]
        holds = holds_key(holder.organization_id, resource_id)
        call = ScriptCall(self._release, [holds], [holder.holder_id, *scope])
        released: int = await self._server.run(call)
        return released

    async def release_all(self, holder: Holder) -> int:
        """Releases every hold of the holder.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        resources = await self._server.members([holder_key(n, holder) for n in range(PARTITIONS)])
        calls = [
            ScriptCall(
                self._release,
                [holds_key(holder.organization_id, resource_id) for resource_id in found],
                [holder.holder_id, "all"],
            )
            for found in resources
            if found
        ]
        return sum(await self._server.run_all(calls)) if calls else 0

    async def live(
        self, organization_id: str, resource_ids: Sequence[str], span: Span
    ) -> list[LiveHold]:
        """Reads the live holds that overlap the span.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        by_partition: defaultdict[int, list[str]] = defaultdict(list)
        for resource_id in resource_ids:
            by_partition[partition(organization_id, resource_id)].append(resource_id)
        calls = [
            ScriptCall(
                self._live,
                [holds_key(organization_id, resource_id) for resource_id in together],
                [span.first, span.stop],
            )
            for together in by_partition.values()
        ]
        answers = await self._server.run_all(calls)
        return [
            hold
            for together, answer in zip(by_partition.values(), answers, strict=True)
            for resource_id, packed in zip(together, answer, strict=True)
            for hold in _holds(resource_id, packed)
        ]


def _holds(resource_id: str, packed: list[Any]) -> Iterator[LiveHold]:
    for field, first, stop, expiry in zip(*[iter(packed)] * 4, strict=True):
        holder_id = field[:HOLDER_ID_LENGTH].decode()
        yield LiveHold(resource_id, holder_id, Span(first, stop), _instant(expiry))


def _pairs(values: list[int]) -> list[tuple[int, int]]:
    return list(zip(values[::2], values[1::2], strict=True))


def _instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
