"""PresenceService: decode, call, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from holdfast.presence.v1 import hold_check_pb2, holder_pb2, presence_pb2, presence_pb2_grpc
from services.presence.app.check import CheckHolds
from services.presence.app.count import CountHolders
from services.presence.app.keep import KeepHold
from services.presence.app.leave import LeaveHolds
from services.presence.app.list import ListHolders
from services.presence.app.mirror import HoldUpdate
from services.presence.app.settle import SettleHolds
from services.presence.app.show import ShowPresence
from services.presence.app.stream import HeldStream
from services.presence.app.watch import WatchHolds
from services.presence.domain.hold import Holder, ResourceName
from services.presence.rpc import booking_codec, codec, stream_codec, watch_codec
from services.presence.rpc.view import PresenceView
from shared.runtime.call import Context
from shared.runtime.mailbox import Mailbox
from shared.runtime.watch import heard, serve_watch, write

_FAREWELL_SECONDS: Final = 1.0
_GRACE: Final = timedelta(seconds=5)


@dataclass(frozen=True)
class PresenceServicer(presence_pb2_grpc.PresenceServiceServicer):
    """The contract over the use cases."""

    keep: KeepHold
    hold: Callable[[Holder], HeldStream]
    leave: LeaveHolds
    show: ShowPresence
    watch: WatchHolds
    list: ListHolders
    count: CountHolders
    check: CheckHolds
    settle: SettleHolds
    renew_after: timedelta

    @property
    def silence(self) -> timedelta:
        """How long a stream of holds may say nothing: by then all of them expired long ago."""
        return 4 * self.renew_after + _GRACE

    async def Heartbeat(
        self, request: presence_pb2.HeartbeatRequest, context: Context
    ) -> presence_pb2.HeartbeatResponse:
        """Acquires, renews or swaps a hold."""
        asked = codec.heartbeat(request)
        kept = await self.keep(asked.key, asked.want)
        return codec.heartbeat_response(asked.key.holder.holder_id, kept, self.renew_after)

    async def HoldStream(  # type: ignore[override]  # a coroutine that writes, not an iterator
        self, requests: AsyncIterator[presence_pb2.HoldStreamRequest], context: Context
    ) -> None:
        """Keeps many holds for as long as the client renews them."""
        stream: HeldStream | None = None
        async for request in heard(requests, self.silence):
            turn = stream_codec.turn(request, stream.holder if stream else None)
            stream = stream or self.hold(turn.holder)
            found = await stream.turn(turn.keep, turn.leave)
            await write(context, stream_codec.response(stream.holder, self.renew_after, found))
        if stream is not None:
            # A client that was killed looks like one that closed its side, but for this: to
            # it nothing can be written any more. Its holds are left to expire.
            farewell = stream_codec.response(stream.holder, self.renew_after, {})
            await write(context, farewell, seconds=_FAREWELL_SECONDS)
            await stream.leave()

    async def Leave(
        self, request: presence_pb2.LeaveRequest, context: Context
    ) -> presence_pb2.LeaveResponse:
        """Releases holds."""
        return presence_pb2.LeaveResponse(released=await self.leave(*codec.leave(request)))

    async def GetDatePresence(
        self, request: presence_pb2.GetDatePresenceRequest, context: Context
    ) -> presence_pb2.GetDatePresenceResponse:
        """Shows live holds."""
        return codec.date_presence_response(await self.show(*codec.date_presence(request)))

    async def WatchPresence(  # type: ignore[override]  # as HoldStream
        self, request: presence_pb2.WatchPresenceRequest, context: Context
    ) -> None:
        """Tells live holds and how they change."""
        asked = watch_codec.watch(request)
        mailbox = Mailbox[ResourceName, HoldUpdate]()
        async with self.watch(asked.resources, asked.told, mailbox) as beginning:
            view = PresenceView(asked.days, asked.tokens, beginning, self.watch.covered)
            await serve_watch(context, mailbox, view)

    async def ListHolders(
        self, request: holder_pb2.ListHoldersRequest, context: Context
    ) -> holder_pb2.ListHoldersResponse:
        """Lists who holds a resource at an instant."""
        return codec.list_holders_response(await self.list(*codec.list_holders(request)))

    async def CountHolders(
        self, request: holder_pb2.CountHoldersRequest, context: Context
    ) -> holder_pb2.CountHoldersResponse:
        """Counts who holds a resource, or holds under an event type."""
        count = await self.count(*codec.count_holders(request))
        return holder_pb2.CountHoldersResponse(holders=count.holders, holds=count.holds)

    async def CheckHolds(
        self, request: hold_check_pb2.CheckHoldsRequest, context: Context
    ) -> hold_check_pb2.CheckHoldsResponse:
        """Tells what counts against bookings."""
        checked = await self.check(*booking_codec.check_holds(request))
        return booking_codec.check_holds_response(checked)

    async def SettleHolds(
        self, request: hold_check_pb2.SettleHoldsRequest, context: Context
    ) -> hold_check_pb2.SettleHoldsResponse:
        """Ends the holds over what is booked."""
        ended = await self.settle(*booking_codec.settle_holds(request))
        return hold_check_pb2.SettleHoldsResponse(ended=ended)
