"""PresenceService: decode, call, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from holdfast.presence.v1 import presence_pb2, presence_pb2_grpc
from services.presence.app.keep import KeepHold
from services.presence.app.leave import LeaveHolds
from services.presence.app.mirror import HoldUpdate
from services.presence.app.show import ShowPresence
from services.presence.app.stream import HeldStream
from services.presence.app.watch import WatchHolds
from services.presence.domain.hold import Holder, ResourceName
from services.presence.rpc import codec, stream_codec, watch_codec
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
        expires_at = await self.keep(asked.key, asked.span)
        return codec.heartbeat_response(asked.key.holder.holder_id, expires_at, self.renew_after)

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
