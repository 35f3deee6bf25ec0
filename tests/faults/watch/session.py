"""What sessions do: hold, renew, swap, leave, stream, go silent, and have bookings settled."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from holdfast.presence.v1 import hold_check_pb2, presence_pb2, presence_pb2_grpc
from shared.client.value import to_duration
from shared.slots.quantum import SECONDS_PER_QUANTUM
from tests.faults.watch.claim import Claims, Grant, Release, Settlement
from tests.faults.watch.trace import Name
from tests.faults.watch.truth import BLOCKED, BOOKED

_MIX: Final[Mapping[str, float]] = {
    "take": 50,
    "renew": 25,
    "leave": 8,
    "turn": 10,
    "settle": 4,
    "look": 2,
    "rest": 1,
}
_LOST: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)
_PATIENCE_SECONDS: Final = 5.0
_COMMITS_KEPT: Final = 20
_MICROSECONDS: Final = 1_000_000
_QUANTUM: Final = timedelta(seconds=SECONDS_PER_QUANTUM)

_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where sessions meet.

    Attributes:
        channels: To the servers; each call takes any.
        first: The first quantum of the days that are held.
        quanta: How many of them there are.
        timeout: Of a hold, in microseconds.
        rests_seconds: How long somebody goes silent at most.
    """

    organization_id: str
    channels: Sequence[grpc.aio.Channel]
    resources: Sequence[str]
    first: int
    quanta: int
    timeout: int
    rests_seconds: float


@dataclass(slots=True)
class Crowd:
    """Many sessions at once."""

    place: Place
    seed: int
    claims: Claims = field(default_factory=Claims)
    done: Counter[str] = field(default_factory=Counter)
    pause_seconds: float = 0.0
    progress: Callable[[int], None] = lambda _: None
    _left: int = 0
    commits: deque[int] = field(default_factory=lambda: deque(maxlen=_COMMITS_KEPT))

    async def run(self, operations: int, sessions: int) -> None:
        """Does so many operations and returns when the last one is answered."""
        self._left = operations
        async with asyncio.TaskGroup() as group:
            for number in range(sessions):
                source = random.Random(f"{self.seed}/{number}")
                group.create_task(self._client(source))

    async def touch_everything(self) -> None:
        """Holds all of each resource's days once: whoever watches any of them is told."""
        session = _Session(self, random.Random(self.seed))
        span = (self.place.first, self.place.first + self.place.quanta)
        for resource in self.place.resources:
            await session.hold(resource, span)

    def stop(self) -> None:
        """Lets ``run`` return once what is under way is answered."""
        self._left = 0

    async def _client(self, source: random.Random) -> None:
        names, weights = list(_MIX), list(_MIX.values())
        session = _Session(self, source)
        while self._left > 0:
            self._left -= 1
            (name,) = source.choices(names, weights)
            operation: Callable[[], Awaitable[None]] = getattr(session, name)
            try:
                await operation()
            except (TimeoutError, asyncio.InvalidStateError):  # the stream ended unnoticed
                await self._lost(session, source)
            except grpc.aio.AioRpcError as error:
                if error.code() in _LOST:
                    await self._lost(session, source)
                else:
                    # Refused for another's hold, or a limit.
                    self.done[error.code().name] += 1
            self.done[name] += 1
            self.progress(self._left)
            if self.pause_seconds:
                await asyncio.sleep(source.uniform(0, 2 * self.pause_seconds))
            if name == "rest":
                session = _Session(self, source)
        session.forget_stream()

    async def _lost(self, session: _Session, source: random.Random) -> None:
        self.done["lost"] += 1
        session.forget_stream()
        await asyncio.sleep(source.uniform(0.01, 0.1))


class _Session:
    """One session, until it goes silent for good."""

    def __init__(self, crowd: Crowd, source: random.Random) -> None:
        self._crowd = crowd
        self._place = crowd.place
        self._claims = crowd.claims
        self._source = source
        self._secret = secrets.token_urlsafe(16)
        self._holder_id = ""
        self._held: dict[tuple[str, str], _Span] = {}
        self._stream: Any = None
        self._streamed: dict[tuple[str, str], _Span] = {}

    @property
    def _stub(self) -> presence_pb2_grpc.PresenceServiceStub:
        return presence_pb2_grpc.PresenceServiceStub(self._source.choice(self._place.channels))

    async def take(self) -> None:
        """Takes a hold, or swaps one."""
        key = (self._source.choice(self._place.resources), self._source.choice(["", "b"]))
        await self._beat(key, self._span())

    async def hold(self, resource: str, span: _Span) -> None:
        """Takes one hold."""
        await self._beat((resource, ""), span)

    async def renew(self) -> None:
        """Renews a hold, which may be gone."""
        if self._held:
            key = self._source.choice(list(self._held))
            await self._beat(key, self._held[key])

    async def leave(self) -> None:
        """Releases one hold, those of a resource, or all."""
        resource = self._source.choice([None, *self._place.resources])
        hold_id = self._source.choice([None, "", "b"]) if resource is not None else None
        request = presence_pb2.LeaveRequest(
            organization_id=self._place.organization_id,
            session=self._secret,
            resource_id=resource or "",
            hold_id=hold_id,
        )
        sent = time.monotonic()
        with suppress(KeyError):
            for key in list(self._held):
                if resource in {None, key[0]} and hold_id in {None, key[1]}:
                    del self._held[key]
        try:
            await self._stub.Leave(request, timeout=_PATIENCE_SECONDS)
        finally:
            self._released(resource, hold_id, sent)

    async def turn(self) -> None:
        """Keeps several holds over a stream, or ends it by closing its side."""
        if self._stream is not None and self._source.random() < 0.2:
            sent = time.monotonic()
            stream, self._stream = self._stream, None
            keys, self._streamed = list(self._streamed), {}
            try:
                await stream.done_writing()
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    while await stream.read() is not grpc.aio.EOF:
                        pass
            except TimeoutError:
                stream.cancel()
            finally:
                for resource, hold_id in keys:
                    self._released(resource, hold_id, sent)
            return
        request = presence_pb2.HoldStreamRequest()
        if self._stream is None:
            self._stream = self._stub.HoldStream(timeout=60)
            request.organization_id = self._place.organization_id
            request.session = self._secret
        count = self._source.randint(0, 2)
        for resource in self._source.sample(self._place.resources, count):
            key, span = (resource, self._source.choice(["", "b"])), self._span()
            kept = request.keep.add(resource_id=resource, hold_id=key[1])
            _write(kept.start_time, span)
            kept.duration.CopyFrom(to_duration((span[1] - span[0]) * _QUANTUM))
            self._streamed[key] = span
        sent = time.monotonic()
        await self._stream.write(request)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            answer = await self._stream.read()
        if answer is grpc.aio.EOF:
            self.forget_stream()
            return
        self._holder_id = answer.holder_id
        self._fared(answer, sent)

    async def settle(self) -> None:
        """Has a booking settled that was committed a moment ago."""
        if not self._crowd.commits:
            return
        committed_at = self._source.choice(self._crowd.commits)
        reason = self._source.choice([BOOKED, BOOKED, BLOCKED])
        first, stop = self._span()
        resource = self._source.choice(self._place.resources)
        settlement = hold_check_pb2.Settlement(
            session=self._source.choice(["", self._secret]),
            items=[
                hold_check_pb2.ResourceQuanta(
                    resource_id=resource, first_quantum=first, stop_quantum=stop
                )
            ],
            reason=reason,  # type: ignore[arg-type]  # its number
        )
        seconds, rest = divmod(committed_at, _MICROSECONDS)
        settlement.commit_time.CopyFrom(Timestamp(seconds=seconds, nanos=rest * 1_000))
        request = hold_check_pb2.SettleHoldsRequest(
            organization_id=self._place.organization_id, settlements=[settlement]
        )
        sent = time.monotonic()
        # Noted first: what it does may be seen before its answer.
        number = len(self._claims.settlements)
        told = Settlement(resource, first, stop, committed_at, reason, sent, float("inf"))
        self._claims.settlements.append(told)
        answer = await self._stub.SettleHolds(request, timeout=_PATIENCE_SECONDS)
        self._claims.settlements[number] = told._replace(answered=time.monotonic())
        self._crowd.done["settled"] += answer.ended

    async def look(self) -> None:
        """Asks what time it is by the store's clock: an instant at which a booking may commit."""
        request = hold_check_pb2.CheckHoldsRequest(organization_id=self._place.organization_id)
        answer = await self._stub.CheckHolds(request, timeout=_PATIENCE_SECONDS)
        stamp = answer.store_time
        self._crowd.commits.append(stamp.seconds * _MICROSECONDS + stamp.nanos // 1_000)

    async def rest(self) -> None:
        """Lets the store's clock go on, and everything of its own expire."""
        self.forget_stream()
        await asyncio.sleep(self._source.uniform(0, self._place.rests_seconds))

    def forget_stream(self) -> None:
        """Ends the stream without a word."""
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None
        self._streamed = {}

    async def _beat(self, key: tuple[str, str], span: _Span) -> None:
        request = presence_pb2.HeartbeatRequest(
            organization_id=self._place.organization_id,
            session=self._secret,
            resource_id=key[0],
            hold_id=key[1],
        )
        _write(request.start_time, span)
        request.duration.CopyFrom(to_duration((span[1] - span[0]) * _QUANTUM))
        sent = time.monotonic()
        answer = await self._stub.Heartbeat(request, timeout=_PATIENCE_SECONDS)
        self._holder_id = answer.holder_id
        self._held[key] = span
        self._granted(key, span, answer.expire_time, sent)
        self._crowd.done["granted"] += 1

    def _fared(self, answer: presence_pb2.HoldStreamResponse, sent: float) -> None:
        for result in answer.results:
            key = (result.resource_id, result.hold_id)
            span = self._streamed.get(key)
            if span is None:
                continue
            if result.state == presence_pb2.HOLD_STATE_HELD:
                self._granted(key, span, result.expire_time, sent)
                self._crowd.done["streamed"] += 1
            else:
                del self._streamed[key]

    def _granted(self, key: tuple[str, str], span: _Span, expires: Timestamp, sent: float) -> None:
        expires_at = expires.seconds * _MICROSECONDS + expires.nanos // 1_000
        self._claims.grants.append(
            Grant(
                key[0],
                Name(self._holder_id, key[1]),
                *span,
                expires_at,
                expires_at - self._place.timeout,
                sent,
                time.monotonic(),
            )
        )

    def _released(self, resource: str | None, hold_id: str | None, sent: float) -> None:
        self._claims.releases.append(
            Release(self._holder_id, resource, hold_id, sent, time.monotonic())
        )

    def _span(self) -> _Span:
        first = self._place.first + self._source.randrange(self._place.quanta)
        return first, first + self._source.choice([1, 2, 4, 4, 8])


def _write(stamp: Timestamp, span: _Span) -> None:
    stamp.CopyFrom(Timestamp(seconds=span[0] * SECONDS_PER_QUANTUM))
