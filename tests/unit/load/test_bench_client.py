"""The bench's raw client against a real grpc.aio server: an error is an error."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from tests.load import hpack
from tests.load.bench import echoes_of
from tests.load.closed_loop import Caller, Request
from tests.load.http2 import Answer, CallFailed, Connection, Method, connect, framed

SERVICE = "test.Load"
CONTEXT = grpc.aio.ServicerContext[Any, Any]


class Server:
    """Answers as its caller asks."""

    def __init__(self) -> None:
        self.server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self.seen: list[tuple[str, str]] = []
        self.deadlines: list[float] = []
        methods: dict[str, Any] = {
            "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            "Refuse": grpc.unary_unary_rpc_method_handler(self.refuse),
            "Crash": grpc.unary_unary_rpc_method_handler(self.crash),
            "Wait": grpc.unary_unary_rpc_method_handler(self.wait),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
        }
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, methods),)
        )
        self.target = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.waiting = asyncio.Event()

    async def echo(self, request: bytes, context: CONTEXT) -> bytes:
        metadata: Any = context.invocation_metadata()
        self.seen = [(key, value) for key, value in metadata or ()]
        self.deadlines.append(context.time_remaining())
        return request

    async def refuse(self, request: bytes, context: CONTEXT) -> bytes:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")

    async def crash(self, request: bytes, context: CONTEXT) -> bytes:
        if request == b"crash":
            context.set_code(grpc.StatusCode.INTERNAL)
        return request

    async def wait(self, request: bytes, context: CONTEXT) -> bytes:
        self.waiting.set()
        await asyncio.Event().wait()
        return b""

    async def count(self, request: bytes, context: CONTEXT) -> None:
        for number in range(int(request)):
            await context.write(b"%d" % number * 5_000)
        if request == b"3":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "no more")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    await found.server.start()
    yield found
    await found.server.stop(None)


@pytest.fixture
async def connection(server: Server) -> AsyncIterator[Connection]:
    found = await connect(server.target)
    yield found
    found.close()


def method(name: str, *, seconds: int = 20) -> Method:
    return Method(f"/{SERVICE}/{name}", seconds=seconds)


def fine(_: bytes) -> str:
    return ""


async def test_answers_of_any_size_come_whole(connection: Connection) -> None:
    echo = method("Echo")
    sizes = [0, 1, 16_379, 16_384, 60_000]

    answers = [await connection.unary(echo, bytes(size)) for size in sizes]

    assert [len(answer) for answer in answers] == sizes


async def test_more_is_asked_at_once_than_the_servers_window_has_room_for(
    connection: Connection,
) -> None:
    echo = method("Echo")

    answers = await asyncio.gather(
        *(connection.unary(echo, b"%d" % number * 10_000) for number in range(40))
    )

    assert answers == [b"%d" % number * 10_000 for number in range(40)]


async def test_headers_are_sent_again_by_their_place_in_the_table(
    connection: Connection, server: Server
) -> None:
    for name in ("Echo", "Crash", "Echo", "Echo"):
        await connection.unary(method(name), b"x")

    assert ("user-agent", "holdfast-bench") in server.seen
    assert all(0 < left <= 20 for left in server.deadlines)


@pytest.mark.parametrize(
    ("name", "request_", "why"),
    [
        ("Refuse", b"", "grpc-status 5: no such thing"),
        ("Crash", b"crash", "grpc-status 13"),
        ("Missing", b"", "grpc-status 12"),
    ],
)
async def test_a_refusal_is_a_failure(
    connection: Connection, name: str, request_: bytes, why: str
) -> None:
    with pytest.raises(CallFailed, match=why):
        await connection.unary(method(name), request_)

    assert await connection.unary(method("Echo"), b"still open") == b"still open"


async def test_a_deadline_is_a_failure(connection: Connection) -> None:
    with pytest.raises(CallFailed, match=r"grpc-status 4|reset by the server"):
        await connection.unary(method("Wait", seconds=1), b"")


async def test_a_lost_connection_fails_every_call_on_it(
    connection: Connection, server: Server
) -> None:
    call = asyncio.create_task(connection.unary(method("Wait"), b""))
    await server.waiting.wait()

    await server.server.stop(None)

    with pytest.raises(CallFailed):
        await call
    while connection.is_open:  # noqa: ASYNC110  # the client has no need of an event for it
        await asyncio.sleep(0)
    with pytest.raises(CallFailed, match="connection"):
        await connection.unary(method("Echo"), b"")


async def test_messages_of_a_stream_come_one_by_one_and_its_end_says_why(
    connection: Connection,
) -> None:
    messages: list[bytes] = []
    end: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    connection.start(method("Count"), framed(b"3"), end.set_result, messages.append)

    assert (await end).failure == "grpc-status 14: no more"
    assert messages == [b"%d" % number * 5_000 for number in range(3)]


async def test_a_load_counts_answered_calls_and_what_they_cost(server: Server) -> None:
    caller = await Caller.to(server.target, method("Echo"), connections=2)
    used = iter([3.0, 5.0])

    load = await caller.for_seconds(
        0.3, itertools.repeat(Request(framed(b"abc"), fine)), 8, lambda: [next(used)]
    )
    caller.close()

    assert load.calls == len(load.latencies) > 0
    assert load.answered > load.calls
    assert load.rate == load.calls / load.wall_seconds
    assert list(load.cpu_per_call) == [2.0 / load.calls]


@pytest.mark.parametrize("name", ["Refuse", "Missing"])
async def test_a_load_with_an_error_is_no_load(server: Server, name: str) -> None:
    caller = await Caller.to(server.target, method(name))

    with pytest.raises(CallFailed, match="grpc-status"):
        await caller.for_seconds(
            5.0, itertools.repeat(Request(framed(b""), fine)), 8, lambda: [0.0]
        )
    caller.close()


async def test_a_load_without_enough_requests_is_no_load(server: Server) -> None:
    caller = await Caller.to(server.target, method("Echo"))

    with pytest.raises(CallFailed, match="no more requests"):
        await caller.for_seconds(
            5.0, itertools.repeat(Request(framed(b""), fine), 20), 8, lambda: [0.0]
        )
    caller.close()


async def test_one_error_among_good_answers_is_not_overlooked(server: Server) -> None:
    caller = await Caller.to(server.target, method("Crash"))
    requests = [Request(framed(b"good"), fine)] * 200
    requests[150] = Request(framed(b"crash"), fine)

    with pytest.raises(CallFailed, match="grpc-status 13"):
        await caller.all_of(requests, 8)
    caller.close()


async def test_an_answer_that_is_not_what_it_must_be_is_an_error(server: Server) -> None:
    caller = await Caller.to(server.target, method("Echo"))
    requests = [Request(framed(b"abc"), lambda body: f"got {body.decode()}")] * 10

    with pytest.raises(CallFailed, match="got abc"):
        await caller.all_of(requests, 4)
    caller.close()


async def test_sizes_are_told_in_the_order_of_the_requests(server: Server) -> None:
    caller = await Caller.to(server.target, method("Echo"))
    requests = [Request(framed(bytes(size)), fine) for size in range(100)]

    load = await caller.all_of(requests, 16)
    caller.close()

    assert load.sizes == list(range(100))
    assert load.calls == 100


def test_an_echo_is_as_large_as_what_it_stands_for() -> None:
    (echo,) = echoes_of([Request(framed(bytes(110)), fine)], [700])

    assert len(echo.message) == len(framed(bytes(110)))
    assert int.from_bytes(echo.message[5:9], "big") == 700
    assert echo.check(bytes(700)) == ""
    assert "699 bytes" in echo.check(bytes(699))


@pytest.mark.parametrize("block", [b"\xbe", b"\x40\x05grpc", b"\x7f"], ids=["table", "name", "end"])
def test_headers_that_cannot_be_read_are_refused(block: bytes) -> None:
    with pytest.raises(hpack.Malformed):
        hpack.decode(block)
