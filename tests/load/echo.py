"""The baseline: a bare grpc.aio server on uvloop, a process of its own.

``python -m tests.load.echo`` says which port it listens on. A request names the size of its
answer in its first four bytes; the rest of both is padding. The fan-out writes what is published
to every stream that is open, as it is.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final

import grpc
import uvloop

SERVICE: Final = "holdfast.bench.Echo"
SIZE_BYTES: Final = 4
LISTENING: Final = "listening on port "
_PADDING: Final = bytes(4 * 1024 * 1024)

_Context = grpc.aio.ServicerContext[Any, Any]


async def echo(request: bytes, context: _Context) -> bytes:
    """Answers with as many bytes as it was asked for."""
    return _PADDING[: int.from_bytes(request[:SIZE_BYTES])]


class FanOut:
    """Writes what is published to every stream, in order.

    A queue a stream: of the bare ways to write to many streams, the one that takes the least a
    message when several are on their way.
    """

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[bytes]] = set()

    async def watch(self, request: bytes, context: _Context) -> None:
        """Stays open; its first message says that it is subscribed."""
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._queues.add(queue)
        try:
            await context.write(request)
            while True:
                await context.write(await queue.get())
        finally:
            self._queues.discard(queue)

    async def publish(self, request: bytes, context: _Context) -> bytes:
        """Writes the request to every stream."""
        for queue in self._queues:
            queue.put_nowait(request)
        return b""


async def serve() -> None:
    """Serves until it is killed."""
    fan_out = FanOut()
    # As the services' own server, but for what it wraps around calls.
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ]
    )
    handlers: dict[str, Any] = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Publish": grpc.unary_unary_rpc_method_handler(fan_out.publish),
        "Watch": grpc.unary_stream_rpc_method_handler(fan_out.watch),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{LISTENING}{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve())
