"""What tests of presence say to it, and a catalog that says what they want."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import pytest
import redis.asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from google.type import date_pb2
from grpc_status import rpc_status

from holdfast.presence.v1 import hold_check_pb2, holder_pb2, presence_pb2, presence_pb2_grpc
from services.presence.domain.hold import ResourceName
from services.presence.storage.layout import partition
from shared.slots.quantum import covering, instant
from tests.contract.presence.streams import Holding, Watching

DAY = date(2027, 3, 9)
START = datetime(2027, 3, 9, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)


def new_session() -> str:
    return secrets.token_urlsafe(16)


def new_organization() -> str:
    return f"org-{secrets.token_hex(6)}"


async def until(fact: Callable[[], Awaitable[bool]], *, poll_seconds: float = 0.002) -> None:
    """Asks again and again until the answer is yes; the test's timeout ends a no."""
    while not await fact():  # noqa: ASYNC110  # the fact is another process's, without an event
        await asyncio.sleep(poll_seconds)


@dataclass(frozen=True)
class Refusal:
    """What a refused call said."""

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str]
    fields: tuple[str, ...]


async def refusal(call: Awaitable[Any]) -> Refusal:
    """Awaits a call that must be refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return refusal_of(caught.value)


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    status: Any = rpc_status.from_call(error)  # type: ignore[arg-type]  # an AioRpcError serves
    assert status is not None, error
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    fields = tuple(violation.field for violation in bad.field_violations)
    return Refusal(error.code(), info.reason, error.details() or "", dict(info.metadata), fields)


@dataclass(frozen=True)
class Client:
    """Calls presence for one organization."""

    channel: grpc.aio.Channel
    organization_id: str = field(default_factory=new_organization)
    address: str = ""

    @property
    def stub(self) -> presence_pb2_grpc.PresenceServiceStub:
        return presence_pb2_grpc.PresenceServiceStub(self.channel)

    def elsewhere(self) -> Client:
        """The same server, asked for another organization."""
        return Client(self.channel)

    async def heartbeat(
        self,
        session: str,
        resource_id: str = "studio-a",
        *,
        hold_id: str = "",
        start: datetime = START,
        length: timedelta = HOUR,
        timeout: float | None = None,
        **terms: Any,
    ) -> presence_pb2.HeartbeatResponse:
        request = presence_pb2.HeartbeatRequest(
            organization_id=self.organization_id,
            session=session,
            resource_id=resource_id,
            hold_id=hold_id,
            **terms,
        )
        request.start_time.FromDatetime(start)
        request.duration.FromTimedelta(length)
        return await self.stub.Heartbeat(request, timeout=timeout)

    async def outcome(self, session: str, resource_id: str = "studio-a", **options: Any) -> str:
        """Tries a heartbeat: "granted", or the reason of its refusal."""
        try:
            await self.heartbeat(session, resource_id, **options)
        except grpc.aio.AioRpcError as error:
            return refusal_of(error).reason
        return "granted"

    async def leave(self, session: str, resource_id: str = "", hold_id: str | None = None) -> int:
        request = presence_pb2.LeaveRequest(
            organization_id=self.organization_id,
            session=session,
            resource_id=resource_id,
            hold_id=hold_id,
        )
        return (await self.stub.Leave(request)).released

    async def holds(
        self, *resource_ids: str, dates: tuple[date, ...] = (DAY,)
    ) -> list[holder_pb2.Hold]:
        request = presence_pb2.GetDatePresenceRequest(
            organization_id=self.organization_id,
            resource_ids=resource_ids or ("studio-a",),
            dates=[date_pb2.Date(year=d.year, month=d.month, day=d.day) for d in dates],
        )
        return list((await self.stub.GetDatePresence(request)).holds)

    async def check(self, *bookings: hold_check_pb2.HoldCheck) -> hold_check_pb2.CheckHoldsResponse:
        request = hold_check_pb2.CheckHoldsRequest(
            organization_id=self.organization_id, checks=bookings
        )
        return await self.stub.CheckHolds(request)

    async def counted(self, *items: hold_check_pb2.ResourceQuanta, session: str = "") -> list[str]:
        """What counts against one booking, as "item HH:MM-HH:MM xUNITS"."""
        answer = await self.check(hold_check_pb2.HoldCheck(session=session, items=items))
        (result,) = answer.results
        return [
            f"{h.item} {instant(h.first_quantum):%H:%M}-{instant(h.stop_quantum):%H:%M} x{h.units}"
            for h in result.holds
        ]

    async def settle(
        self,
        *items: hold_check_pb2.ResourceQuanta,
        session: str = "",
        commit_time: datetime | None = None,
        reason: holder_pb2.HoldEndReason.ValueType = holder_pb2.HOLD_END_REASON_BOOKED,
    ) -> int:
        """Tells of one booking, committed now unless it says when; returns how many ended."""
        if commit_time is None:
            commit_time = moment((await self.check()).store_time)
        settlement = hold_check_pb2.Settlement(session=session, items=items, reason=reason)
        settlement.commit_time.FromDatetime(commit_time)
        request = hold_check_pb2.SettleHoldsRequest(
            organization_id=self.organization_id, settlements=[settlement]
        )
        return (await self.stub.SettleHolds(request)).ended

    def watch(
        self,
        *resource_ids: str,
        dates: tuple[date, ...] = (DAY,),
        token: bytes = b"",
        **options: Any,
    ) -> Watching:
        """Opens a watch; ends with the channel, or by ``cancel``."""
        request = presence_pb2.WatchPresenceRequest(
            organization_id=self.organization_id,
            resource_ids=resource_ids or ("studio-a",),
            dates=[date_pb2.Date(year=d.year, month=d.month, day=d.day) for d in dates],
            resume_token=token,
        )
        return Watching(self.stub.WatchPresence(request, **options))

    def neighbours(self, resource_id: str, *, count: int) -> list[str]:
        """A resource, and others whose changes have their revisions in one row with its own."""
        wanted = partition(ResourceName(self.organization_id, resource_id))
        found = (
            f"room-{number}"
            for number in itertools.count()
            if partition(ResourceName(self.organization_id, f"room-{number}")) == wanted
        )
        return [resource_id, *itertools.islice(found, count - 1)]

    def hold(self, session: str, **options: Any) -> Holding:
        """Opens a stream of holds; its first message is the first one sent."""
        return Holding(self.stub.HoldStream(**options), self.organization_id, session)

    async def spans(self, *resource_ids: str, dates: tuple[date, ...] = (DAY,)) -> list[str]:
        """The holds as "resource HH:MM-HH:MM"."""
        return [
            f"{hold.resource_id} {_clock(hold.start_time)}-{_clock(hold.end_time)}"
            for hold in await self.holds(*resource_ids, dates=dates)
        ]


def quanta(
    resource_id: str = "studio-a",
    *,
    start: datetime = START,
    length: timedelta = HOUR,
    units: int = 1,
) -> hold_check_pb2.ResourceQuanta:
    """What a booking takes of a resource."""
    span = covering(start, start + length)
    return hold_check_pb2.ResourceQuanta(
        resource_id=resource_id, first_quantum=span.first, stop_quantum=span.stop, units=units
    )


def moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)


async def store_now(store: redis.asyncio.Redis) -> datetime:
    """What time it is by the store's clock."""
    seconds, microseconds = await store.time()
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)


def _clock(stamp: Timestamp) -> str:
    return f"{moment(stamp):%H:%M}"
