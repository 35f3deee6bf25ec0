"""PresenceService: decode, call, encode."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from holdfast.presence.v1 import presence_pb2, presence_pb2_grpc
from services.presence.app.keep import KeepHold
from services.presence.app.leave import LeaveHolds
from services.presence.app.show import ShowPresence
from services.presence.rpc import codec
from shared.runtime.call import Context


@dataclass(frozen=True)
class PresenceServicer(presence_pb2_grpc.PresenceServiceServicer):
    """The contract over the use cases."""

    keep: KeepHold
    leave: LeaveHolds
    show: ShowPresence
    renew_after: timedelta

    async def Heartbeat(
        self, request: presence_pb2.HeartbeatRequest, context: Context
    ) -> presence_pb2.HeartbeatResponse:
        """Acquires, renews or swaps a hold."""
        asked = codec.heartbeat(request)
        expires_at = await self.keep(asked.key, asked.span)
        return codec.heartbeat_response(asked.key.holder.holder_id, expires_at, self.renew_after)

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
