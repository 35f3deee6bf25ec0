"""Watches as a client does, and keeps what it is told, call after call."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2

from holdfast.common.v1 import watch_pb2
from holdfast.presence.v1 import holder_pb2, presence_pb2, presence_pb2_grpc
from shared.runtime.resume import ResumeTokens
from shared.slots.quantum import covering, day_date
from tests.faults.watch.trace import (
    Event,
    Held,
    Message,
    Name,
    Position,
    Segment,
    Stall,
    Told,
    Watch,
)

_RETRY_SECONDS: Final = (0.02, 0.2)
_STALL_SECONDS: Final = 0.05
_PAUSES: Final = 0.05
_EVENTS: Final = {
    watch_pb2.WATCH_EVENT_SNAPSHOT: Event.SNAPSHOT,
    watch_pb2.WATCH_EVENT_CHANGES: Event.CHANGES,
    watch_pb2.WATCH_EVENT_RESET: Event.RESET,
    watch_pb2.WATCH_EVENT_BOOKMARK: Event.BOOKMARK,
}
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Manners:
    """How a watcher behaves.

    Attributes:
        resumes_after: How many messages it reads before it hangs up and resumes, on average.
        pause_seconds: How long a slow reader reads nothing, again and again; 0 for a prompt one.
        forgets: How likely it begins anew where it could resume.
        away_seconds: How long it is away before it resumes, at most.
    """

    resumes_after: int = 60
    pause_seconds: float = 0.0
    forgets: float = 0.0
    away_seconds: float = 0.0


class Recorder:
    """One watcher, on whatever server it finds, until it is told to stop.

    Attributes:
        hurries: Whether it forgoes its manners, since all that is left is to hear the end.
    """

    def __init__(
        self,
        organization_id: str,
        channels: Sequence[grpc.aio.Channel],
        watch: Watch,
        manners: Manners,
        source: random.Random,
    ) -> None:
        """Watches nothing yet."""
        self.watch = watch
        self.hurries = False
        self._channels = channels
        self._manners = manners
        self._source = source
        self._request = presence_pb2.WatchPresenceRequest(
            organization_id=organization_id,
            resource_ids=watch.resources,
            dates=[
                date_pb2.Date(year=day.year, month=day.month, day=day.day)
                for day in map(day_date, sorted(watch.days))
            ],
        )
        self._tokens = ResumeTokens(self._request, scopes=len(watch.resources))
        self._told: Mapping[str, Position] | None = None
        self._token = b""

    @property
    def told(self) -> Mapping[str, Position]:
        """How far it was told; empty before the first message."""
        return self._told or {}

    async def run(self, is_done: Callable[[Recorder], bool]) -> None:
        """Watches, call after call, until a question asked after each message says so."""
        while not is_done(self):
            if self._source.random() < self._manners.forgets:
                self._told, self._token = None, b""
            await self._call(is_done)
            if not self.hurries:
                await asyncio.sleep(self._source.uniform(0, self._manners.away_seconds))

    async def _call(self, is_done: Callable[[Recorder], bool]) -> None:
        segment = Segment(time.monotonic(), self._told, is_prompt=not self._manners.pause_seconds)
        stub = presence_pb2_grpc.PresenceServiceStub(self._source.choice(self._channels))
        self._request.resume_token = self._token
        call: Any = stub.WatchPresence(self._request)
        left = self._source.randint(1, 2 * self._manners.resumes_after)
        try:
            while left > 0 and not is_done(self):
                left -= 1
                read = await call.read()
                if read is grpc.aio.EOF:
                    break
                self._take(segment, read)
                if self._source.random() < _PAUSES and not self.hurries:
                    await asyncio.sleep(self._manners.pause_seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            # A server that was killed, or that lost its store: elsewhere, after a moment.
            segment.ended_at = time.monotonic() if segment.messages else None
            await asyncio.sleep(self._source.uniform(*_RETRY_SECONDS))
        finally:
            call.cancel()
            if segment.messages:
                segment.ended_at = segment.ended_at or segment.messages[-1].at
                self.watch.segments.append(segment)

    def _take(self, segment: Segment, read: presence_pb2.WatchPresenceResponse) -> None:
        positions = self._tokens.decode(read.resume_token)
        self._token = read.resume_token
        self._told = {
            name: Position(*position)
            for name, position in zip(self.watch.resources, positions, strict=True)
        }
        told = [_told(resource) for resource in read.resources]
        segment.messages.append(Message(time.monotonic(), _EVENTS[read.event], told, self._told))


def _told(resource: presence_pb2.ResourcePresence) -> Told:
    return Told(
        resource.resource_id,
        resource.after_revision,
        resource.revision,
        {Name(hold.holder_id, hold.hold_id): held(hold) for hold in resource.holds},
        {Name(end.holder_id, end.hold_id): int(end.reason) for end in resource.ended},
    )


def held(hold: holder_pb2.Hold) -> Held:
    """A hold as the validators compare it."""
    span = covering(_aware(hold.start_time), _aware(hold.end_time))
    acquired = hold.acquire_time.seconds * _MICROSECONDS + hold.acquire_time.nanos // 1_000
    return Held(span.first, span.stop, hold.units, acquired, hold.overdue)


def _aware(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)


class Stalls:
    """Notes when this process itself did not come round to anything."""

    def __init__(self) -> None:
        self.found: list[Stall] = []

    async def run(self) -> None:
        """Looks until it is cancelled."""
        with suppress(asyncio.CancelledError):
            while True:
                began = time.monotonic()
                await asyncio.sleep(_STALL_SECONDS)
                late = time.monotonic() - began - _STALL_SECONDS
                if late > _STALL_SECONDS:
                    self.found.append(Stall(began, late))
