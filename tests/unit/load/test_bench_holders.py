"""What F6 measures with, against a real grpc.aio server: whatever is not kept is an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import pytest

from holdfast.common.v1 import watch_pb2
from holdfast.presence.v1 import presence_pb2 as pb
from tests.load.holders import Beats, Holders
from tests.load.http2 import CallFailed, Method

SERVICE: Final = "test.Holds"
CONTEXT = grpc.aio.ServicerContext[Any, Any]
STREAM = Method(f"/{SERVICE}/HoldStream", seconds=0)
WATCH = Method(f"/{SERVICE}/Watch", seconds=0)
BEAT = Method(f"/{SERVICE}/Heartbeat")
HOLDS: Final = 3
SECONDS: Final = 0.2


class Server:
    """Keeps what it is told to, and tells watchers so many changes beside."""

    def __init__(self) -> None:
        self.server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self.kept = HOLDS
        self.changes = 0
        self.refuses = False
        methods: dict[str, Any] = {
            "HoldStream": grpc.stream_stream_rpc_method_handler(self.hold),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
            "Heartbeat": grpc.unary_unary_rpc_method_handler(self.beat),
        }
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, methods),)
        )
        self.target = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"

    async def hold(self, requests: AsyncIterator[bytes], context: CONTEXT) -> None:
        result = pb.HoldResult(resource_id="room", state=pb.HOLD_STATE_HELD)
        async for _ in requests:
            answer = pb.HoldStreamResponse(results=[result] * self.kept)
            await context.write(answer.SerializeToString())

    async def watch(self, request: bytes, context: CONTEXT) -> None:
        for event, count in (("SNAPSHOT", 1), ("BOOKMARK", 2), ("CHANGES", self.changes)):
            value = watch_pb2.WatchEvent.Value(f"WATCH_EVENT_{event}")
            for _ in range(count):
                await context.write(pb.WatchPresenceResponse(event=value).SerializeToString())
        await asyncio.Event().wait()

    async def beat(self, request: bytes, context: CONTEXT) -> bytes:
        if self.refuses:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "no store")
        return b""

    def holders(self) -> Holders:
        return Holders(self.target, STREAM, (WATCH, b""), [b"", b"", b"", b""], HOLDS)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    await found.server.start()
    yield found
    await found.server.stop(None)


class Cpu:
    """A second of the server's processors each time it is asked."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 1
        return self.seconds


async def test_renewals_of_streams_are_counted_by_their_holds(server: Server) -> None:
    found = await server.holders().run(SECONDS, Cpu())

    assert found.renewals > 0
    assert found.renewals % HOLDS == 0
    assert (found.per_cpu_second, found.told) == (found.renewals, 0)


async def test_what_watchers_are_told_meanwhile_is_counted(server: Server) -> None:
    server.changes = 5

    assert (await server.holders().run(SECONDS, Cpu())).told == 5


async def test_a_stream_that_keeps_too_few_is_an_error(server: Server) -> None:
    server.kept = HOLDS - 1

    with pytest.raises(CallFailed, match="kept 2 holds, not 3"):
        await server.holders().run(SECONDS, Cpu())


async def test_heartbeats_are_counted(server: Server) -> None:
    found = await Beats(server.target, BEAT, [b"a", b"b"], 4).run(SECONDS, Cpu())

    assert found.renewals > 0


async def test_a_refused_heartbeat_is_an_error(server: Server) -> None:
    server.refuses = True

    with pytest.raises(CallFailed, match="no store"):
        await Beats(server.target, BEAT, [b"a"], 4).run(SECONDS, Cpu())
