"""Holds in the store, by its own clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any, Final, NamedTuple

from services.presence.domain.ending import EndReason
from services.presence.domain.hold import (
    LONGEST_HOLD,
    Holder,
    HoldTerms,
    LiveHold,
    ResourceName,
)
from services.presence.domain.refusal import HoldTooLong, Refusal, SlotHeld, TooManyHolds
from services.presence.domain.taken import SettledTime
from services.presence.domain.wish import (
    Action,
    Ended,
    Keep,
    Kept,
    Leave,
    Left,
    Refused,
    Unjudged,
    Verdict,
    Wish,
)
from services.presence.storage.layout import (
    PARTITIONS,
    holder_key,
    partition,
    partition_keys,
    resource_name,
)
from services.presence.storage.packed import instant, live_holds, microseconds
from services.presence.storage.script import Script, ScriptCall
from services.presence.storage.server import HoldServer
from shared.slots.quantum import QUANTUM, Span

_MICROSECOND: Final = timedelta(microseconds=1)
_LEAVE: Final = "leave"
# A script is a pause of the store for everybody else.
_MOST_AT_ONCE: Final = 200


class RedisHolds:
    """The port ``HoldStore`` over scripts; each decides in one step for one partition."""

    def __init__(self, server: HoldServer, terms: HoldTerms, *, log_length: int) -> None:
        """Sends nothing yet.

        Args:
            server: Where the holds lie.
            terms: On which they are given.
            log_length: Changes that a partition's log keeps at least.
        """
        self._server = server
        self._limit = terms.holds_per_resource
        self._log_length = log_length
        self._timeout = terms.timeout // _MICROSECOND
        self._lead = terms.overdue_before_expiry // _MICROSECOND
        self._settling = [self._timeout, log_length]
        self._keep = Script.load("keep")
        self._release = Script.load("release")
        self._live = Script.load("live")
        self._settle = Script.load("settle")

    async def fulfil(self, wishes: Sequence[Wish]) -> list[Verdict]:
        """Fulfils wishes in their order, those of one partition in one step, 200 at a time.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        verdicts: list[Verdict] = []
        for verdict in await self.fulfil_each(wishes):
            if isinstance(verdict, Exception):
                raise verdict
            verdicts.append(verdict)
        return verdicts

    async def fulfil_each(self, wishes: Sequence[Wish]) -> list[Verdict | Exception]:
        """As ``fulfil``; what failed in a partition stands in place of its verdicts.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        parts = _parts([wish.key.resource for wish in wishes])
        terms = [self._timeout, self._lead, self._limit, self._log_length]
        answers = await self._server.run_each(
            [
                ScriptCall(
                    self._keep,
                    partition_keys(part.number),
                    [*terms, *chain.from_iterable(_arguments(wishes[n]) for n in part.places)],
                )
                for part in parts
            ]
        )
        found: list[Verdict | Exception] = [Unjudged()] * len(wishes)
        for part, answer in zip(parts, answers, strict=True):
            if isinstance(answer, Exception):
                for place in part.places:
                    found[place] = answer
            else:
                for place, told in zip(part.places, answer, strict=True):
                    found[place] = self._verdict(wishes[place], told)
        return found

    async def release(self, holder: Holder, resource_id: str, hold_id: str | None) -> int:
        """Releases one hold on a resource, or all of the holder's where ``hold_id`` is None.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        resource = ResourceName(holder.organization_id, resource_id)
        call = self._releasing(partition(resource), holder, hold_id, [resource])
        released: int = await self._server.run(call)
        return released

    async def release_all(self, holder: Holder) -> int:
        """Releases every hold of the holder.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        resources = await self._server.members([holder_key(n, holder) for n in range(PARTITIONS)])
        answers = await self._run(
            self._releasing(
                number, holder, None, [ResourceName(holder.organization_id, r) for r in found]
            )
            for number, found in enumerate(resources)
            if found
        )
        return sum(answers)

    async def live(
        self, organization_id: str, resource_ids: Sequence[str], span: Span
    ) -> list[LiveHold]:
        """Reads the live holds that overlap the span.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        by_partition: defaultdict[int, list[ResourceName]] = defaultdict(list)
        for resource_id in resource_ids:
            resource = ResourceName(organization_id, resource_id)
            by_partition[partition(resource)].append(resource)
        answers = await self._run(
            ScriptCall(
                self._live,
                partition_keys(number),
                [span.first, span.stop, *map(resource_name, together)],
            )
            for number, together in by_partition.items()
        )
        return [
            hold
            for together, answer in zip(by_partition.values(), answers, strict=True)
            for resource, pairs in zip(together, answer, strict=True)
            for hold in live_holds(resource.resource_id, pairs)
        ]

    async def settle(self, settled: Sequence[SettledTime]) -> int:
        """Ends the holds over time that is taken, in one round trip, 200 at a time in one step.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        answers = await self._run(
            ScriptCall(
                self._settle,
                partition_keys(part.number),
                [*self._settling, *chain.from_iterable(_settling(settled[n]) for n in part.places)],
            )
            for part in _parts([time.resource for time in settled])
        )
        return sum(answers)

    async def _run(self, calls: Iterable[ScriptCall]) -> list[Any]:
        pending = list(calls)
        if len(pending) == 1:
            return [await self._server.run(pending[0])]
        return await self._server.run_all(pending) if pending else []

    def _releasing(
        self, number: int, holder: Holder, hold_id: str | None, resources: Iterable[ResourceName]
    ) -> ScriptCall:
        which = ["all", ""] if hold_id is None else ["one", hold_id]
        arguments: list[str | int] = [self._timeout, self._log_length, holder.holder_id, *which]
        arguments += map(resource_name, resources)
        return ScriptCall(self._release, partition_keys(number), arguments)

    def _verdict(self, wish: Wish, told: list[Any]) -> Verdict:
        kind, *values = told
        if kind == b"left":
            return Left(was_live=bool(values[0]))
        if kind == b"ended":
            return Ended(EndReason(values[0]))
        if kind == b"unjudged":
            return Unjudged()
        assert isinstance(wish, Keep)  # nothing else comes of leaving
        if kind == b"kept":
            return _kept(wish, *values)
        return Refused(self._refusal(wish, kind, values))

    def _refusal(self, wish: Keep, kind: bytes, values: list[int]) -> Refusal:
        if kind == b"long":
            return HoldTooLong(_longest(wish) * QUANTUM)
        if kind == b"full":
            return TooManyHolds(self._limit)
        spans = list(zip(values[::2], values[1::2], strict=True))
        return SlotHeld(wish.key.resource_id, wish.span, spans)


def _kept(wish: Keep, expiry: int, ahead: int | None = None, *quanta: int) -> Kept:
    return Kept(instant(expiry), Span(*quanta) if quanta else wish.span, ahead)


class _Part(NamedTuple):
    """What one script call is about: the partition, and the places of its resources among all."""

    number: int
    places: list[int]


def _parts(resources: Sequence[ResourceName]) -> list[_Part]:
    by_partition: dict[int, _Part] = {}
    found: list[_Part] = []
    for place, resource in enumerate(resources):
        number = partition(resource)
        part = by_partition.get(number)
        if part is None or len(part.places) == _MOST_AT_ONCE:
            part = by_partition[number] = _Part(number, [])
            found.append(part)
        part.places.append(place)
    return found


def _arguments(wish: Wish) -> list[str | int]:
    key = wish.key
    who = [resource_name(key.resource), key.holder.holder_id, key.hold_id]
    if isinstance(wish, Leave):
        return [_LEAVE, *who]
    asked = [wish.action.value, *who, wish.span.first, wish.span.stop, wish.units]
    if wish.action is Action.STAY:
        return asked
    rule = wish.rule.rule.value if wish.rule else ""
    return [*asked, wish.event_type_id, rule, _longest(wish)]


def _settling(time: SettledTime) -> list[str | int]:
    return [
        resource_name(time.resource), time.holder.holder_id if time.holder else "",
        time.span.first, time.span.stop, time.units, microseconds(time.committed_at),
        time.reason.value, time.rule.value,
    ]  # fmt: skip


def _longest(wish: Keep) -> int:
    return (wish.rule.longest if wish.rule else None) or LONGEST_HOLD // QUANTUM
