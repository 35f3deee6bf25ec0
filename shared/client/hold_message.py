"""The messages of HoldStream, and what they say of a hold."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from holdfast.presence.v1 import presence_pb2 as pb
from holdfast.presence.v1.error_reason_pb2 import ErrorReason
from shared.client.failure import HoldfastError, decode
from shared.client.hold import Answer, Hold
from shared.client.value import from_date, from_timestamp, to_duration, to_timestamp

Call = grpc.aio.StreamStreamCall[pb.HoldStreamRequest, pb.HoldStreamResponse]


async def end_of(call: Call) -> HoldfastError:
    """Returns why a stream ended that could not be written to."""
    try:
        await call.read()
    except grpc.aio.AioRpcError as error:
        return decode(error, "presence")
    return broken()


async def read(call: Call) -> pb.HoldStreamResponse:
    """Returns the next answer.

    Raises:
        HoldfastError: The stream ended.
        grpc.aio.AioRpcError: It broke.
    """
    answer = await call.read()
    if answer is grpc.aio.EOF:
        raise broken()
    return answer  # type: ignore[return-value]  # no end of the stream


def ask(request: pb.HoldStreamRequest, hold: Hold) -> None:
    """Adds a hold to those that a request asks for."""
    request.keep.add(
        resource_id=hold.resource_id,
        hold_id=hold.hold_id,
        start_time=to_timestamp(hold.start),
        duration=to_duration(hold.length),
        units=hold.units,
        event_type_id=hold.event_type_id,
        # It must not be taken again if it was booked, or left, while nobody was heard.
        renew=hold.was_had,
    )


def held(holder_id: str, result: pb.HoldResult) -> Answer:
    """Returns what an answer says of a hold that is held."""
    has = result.HasField
    return Answer(
        holder_id,
        from_timestamp(result.expire_time),
        # An older server does not say; it held what it was asked for.
        from_timestamp(result.hold_start_time) if has("hold_start_time") else None,
        from_timestamp(result.hold_end_time) if has("hold_end_time") else None,
        result.units_ahead if has("units_ahead") else None,
    )


def refusal(result: pb.HoldResult) -> tuple[str, dict[str, Any]]:
    """Returns why a hold was refused, and the values that decided."""
    name = ErrorReason.Name(result.reason).removeprefix("ERROR_REASON_")
    return name, {
        f"quanta.{from_date(day.date)}": ",".join(map(str, day.quanta))
        for day in result.held_quanta
    }


def broken() -> HoldfastError:
    """Returns what a stream that ended without a word means."""
    code = grpc.StatusCode.UNAVAILABLE
    return HoldfastError(code, code.name, "the stream ended", service="presence", is_answer=False)
