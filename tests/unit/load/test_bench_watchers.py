"""The bench's watchers against a real grpc.aio server: whatever is no change is an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from holdfast.common.v1 import watch_pb2
from holdfast.presence.v1 import presence_pb2 as pb
from tests.load.http2 import CallFailed, Method
from tests.load.watchers import Change, Watchers

SERVICE = "test.Watches"
CONTEXT = grpc.aio.ServicerContext[Any, Any]
WATCHERS = 40
WATCH = Method(f"/{SERVICE}/Watch", seconds=0)
PUBLISH = Method(f"/{SERVICE}/Publish")
END = Method(f"/{SERVICE}/End")


def message(event: str, *revisions: int) -> bytes:
    resources = [pb.ResourcePresence(revision=revision) for revision in revisions]
    value = watch_pb2.WatchEvent.Value(f"WATCH_EVENT_{event}")
    return pb.WatchPresenceResponse(event=value, resources=resources).SerializeToString()


class Server:
    """Tells every stream what is published."""

    def __init__(self) -> None:
        self.server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self.queues: list[asyncio.Queue[bytes | None]] = []
        methods: dict[str, Any] = {
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
            "Publish": grpc.unary_unary_rpc_method_handler(self.publish),
            "End": grpc.unary_unary_rpc_method_handler(self.end),
            "Refuse": grpc.unary_unary_rpc_method_handler(self.refuse),
        }
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, methods),)
        )
        self.target = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"

    async def watch(self, request: bytes, context: CONTEXT) -> None:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.queues.append(queue)
        await context.write(request)
        while (told := await queue.get()) is not None:
            await context.write(told)

    async def publish(self, request: bytes, context: CONTEXT) -> bytes:
        for queue in self.queues:
            queue.put_nowait(request)
        return b""

    async def end(self, request: bytes, context: CONTEXT) -> bytes:
        self.queues[-1].put_nowait(None)
        return b""

    async def refuse(self, request: bytes, context: CONTEXT) -> None:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    await found.server.start()
    yield found
    await found.server.stop(None)


@pytest.fixture
async def watchers(server: Server) -> AsyncIterator[Watchers]:
    found = await Watchers.open(server.target, WATCH, message("SNAPSHOT"), WATCHERS)
    yield found
    found.close()


def fine(_: bytes) -> str:
    return ""


def publishing(content: bytes) -> Change:
    return Change(PUBLISH, content, fine)


@pytest.mark.parametrize("at_once", [1, 4])
async def test_every_watcher_tells_of_every_change(watchers: Watchers, at_once: int) -> None:
    changes = [publishing(message("CHANGES", revision)) for revision in range(10)]

    seen = await watchers.follow(iter(changes), at_once=at_once, cpu=lambda: 0.0)

    assert seen.changes == 10
    assert seen.messages == len(seen.latencies) == 10 * WATCHERS
    assert seen.message == changes[-1].message
    assert 0 < min(seen.latencies) <= max(seen.latencies) <= seen.wall_seconds


async def test_changes_end_with_their_time(watchers: Watchers) -> None:
    taken = 0

    def endless() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield publishing(message("CHANGES", 1))

    seen = await watchers.follow(endless(), at_once=2, cpu=lambda: 0.0, seconds=0.05)

    assert seen.messages == seen.changes * WATCHERS > 0
    assert taken == seen.changes
    assert seen.wall_seconds >= 0.05


async def test_cpu_is_what_was_used_meanwhile(watchers: Watchers) -> None:
    used = iter([1.5, 4.0])

    seen = await watchers.follow(
        iter([publishing(message("CHANGES", 1))]), at_once=1, cpu=lambda: next(used)
    )

    assert seen.cpu_per_message == 2.5 / WATCHERS


async def test_a_bookmark_is_no_change(server: Server, watchers: Watchers) -> None:
    for queue in server.queues:
        queue.put_nowait(message("BOOKMARK"))

    seen = await watchers.follow(
        iter([publishing(message("CHANGES", 1))]), at_once=1, cpu=lambda: 0.0
    )

    assert seen.messages == WATCHERS


@pytest.mark.parametrize("event", ["SNAPSHOT", "RESET"])
async def test_state_in_place_of_a_change_is_an_error(watchers: Watchers, event: str) -> None:
    with pytest.raises(CallFailed, match="no change"):
        await watchers.follow(iter([publishing(message(event))]), at_once=1, cpu=lambda: 0.0)


async def test_a_wrong_message_is_an_error(watchers: Watchers) -> None:
    change = Change(PUBLISH, message("CHANGES", 1), lambda _: "not what was changed")

    with pytest.raises(CallFailed, match="not what was changed"):
        await watchers.follow(iter([change]), at_once=1, cpu=lambda: 0.0)


async def test_a_change_that_nobody_made_is_an_error(watchers: Watchers) -> None:
    await watchers.follow(iter([publishing(message("CHANGES", 1))]), at_once=1, cpu=lambda: 0.0)
    # As it comes from a connection: whether a real one came in time would be chance.
    watchers._message(0, message("CHANGES", 2))

    with pytest.raises(CallFailed, match="nobody made"):
        await watchers.follow(iter([]), at_once=1, cpu=lambda: 0.0)


async def test_a_refused_call_is_an_error(watchers: Watchers) -> None:
    change = Change(Method(f"/{SERVICE}/Refuse"), b"", fine)

    with pytest.raises(CallFailed, match="no such thing"):
        await watchers.follow(iter([change]), at_once=1, cpu=lambda: 0.0)


async def test_a_stream_that_ends_is_an_error(watchers: Watchers) -> None:
    with pytest.raises(CallFailed, match="a stream ended"):
        await watchers.follow(iter([Change(END, b"", fine)]), at_once=1, cpu=lambda: 0.0)


async def test_a_watch_that_is_refused_is_an_error(server: Server) -> None:
    with pytest.raises(CallFailed, match="no such thing"):
        await Watchers.open(server.target, Method(f"/{SERVICE}/Refuse", seconds=0), b"", 1)
