"""GetDatePresence against the log: what it showed must have been so at one moment of the call."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final, NamedTuple

import grpc
from google.type import date_pb2

from holdfast.presence.v1 import presence_pb2, presence_pb2_grpc
from shared.slots.quantum import day_date
from tests.faults.watch.recorder import held
from tests.faults.watch.trace import Held, Name, Position
from tests.faults.watch.truth import Truth, shown
from tests.faults.watch.violation import Rule, Violation
from tests.faults.watch.witness import Witness

_PAUSE_SECONDS: Final = 0.05


class Reading(NamedTuple):
    """One answer, and where the log stood before and after it."""

    resource: str
    days: frozenset[int]
    holds: dict[Name, Held]
    before: Position
    after: Position


class Reader:
    """Reads now and then, for as long as a run lasts."""

    def __init__(
        self,
        organization_id: str,
        channels: Sequence[grpc.aio.Channel],
        witness: Witness,
        source: random.Random,
    ) -> None:
        self.found: list[Reading] = []
        self._organization_id = organization_id
        self._channels = channels
        self._witness = witness
        self._source = source

    async def run(self, resources: Sequence[str], days: frozenset[int]) -> None:
        """Reads until it is cancelled."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            resource = self._source.choice(resources)
            before = self._witness.head(resource)
            try:
                holds = await self._read(resource, days)
            except grpc.aio.AioRpcError:
                continue  # the store or the server is being killed
            await self._witness.caught_up()
            after = self._witness.head(resource)
            if before is not None and after is not None:
                self.found.append(Reading(resource, days, holds, before, after))

    async def _read(self, resource: str, days: frozenset[int]) -> dict[Name, Held]:
        request = presence_pb2.GetDatePresenceRequest(
            organization_id=self._organization_id,
            resource_ids=[resource],
            dates=[
                date_pb2.Date(year=day.year, month=day.month, day=day.day)
                for day in map(day_date, sorted(days))
            ],
        )
        stub = presence_pb2_grpc.PresenceServiceStub(self._source.choice(self._channels))
        answer = await stub.GetDatePresence(request, timeout=5)
        return {Name(hold.holder_id, hold.hold_id): held(hold) for hold in answer.holds}


def misread(readings: Sequence[Reading], truth: Truth) -> list[Violation]:
    """Returns a violation for each answer that shows what never was."""
    return [
        Violation(Rule.CONVERGENT, f"GetDatePresence of {reading.resource}")
        for reading in readings
        if not _was_so(reading, truth)
    ]


def _was_so(reading: Reading, truth: Truth) -> bool:
    line = truth.line(reading.resource, reading.before.epoch)
    if line is None or reading.before.epoch != reading.after.epoch:
        return True
    if not (line.knows(reading.before.revision) and line.knows(reading.after.revision)):
        return True
    if reading.after.revision == line.known_to and truth.ends(reading.resource, line):
        return True  # the store may have lost it by then, and nothing was written since
    entries = line.between(reading.before.revision, reading.after.revision)
    moments = [reading.before.revision, *(entry.position.revision for entry in entries)]
    return any(
        _is_like(reading.holds, shown(line.at(revision), reading.days)) for revision in moments
    )


def _is_like(seen: dict[Name, Held], state: dict[Name, Held]) -> bool:
    """What expired and is not swept yet is in the log, and no more in an answer."""
    if any(state.get(name) != hold for name, hold in seen.items()):
        return False
    return all(state[name].is_overdue for name in state.keys() - seen.keys())
