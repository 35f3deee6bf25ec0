"""Streams over a real server: what the kit does around them, and how it serves a watcher."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from holdfast.presence.v1 import presence_pb2, presence_pb2_grpc
from shared.runtime.call import Context
from shared.runtime.failure import StoreUnavailable
from shared.runtime.mailbox import Mailbox
from shared.runtime.server import Running, Service, Servicer, started
from shared.runtime.settings import ServerSettings
from shared.runtime.watch import serve_watch

NAME = "holdfast.presence.v1.PresenceService"
QUICK_BOOKMARK = 0.05
QUICK_WRITE = 0.2
LARGE = "x" * 1_000_000

Response = presence_pb2.WatchPresenceResponse


def message(text: str) -> bytes:
    """A message that says a text where a resume token would stand."""
    return Response(resume_token=text.encode()).SerializeToString()


class View:
    """Tells updates as they are; those that are empty are none of the watcher's."""

    def opening(self) -> Iterable[bytes]:
        return [message("opening")]

    def changed(self, topic: str, update: str) -> bytes | None:
        return message(f"{topic}={update}") if update else None

    def retold(self, topics: Collection[str], *, is_reset: bool) -> bytes:
        return message(f"{'reset' if is_reset else 'snapshot'} {','.join(sorted(topics))}")

    def bookmark(self) -> bytes:
        return message("bookmark")


class Behavior(presence_pb2_grpc.PresenceServiceServicer):
    """Does what the request's organization names."""

    def __init__(self) -> None:
        self.mailboxes: list[Mailbox[str, str]] = []
        self.ended = 0
        self.release = asyncio.Event()
        self.bookmark_seconds = 30.0
        self.write_seconds = 10.0

    async def WatchPresence(  # type: ignore[override]  # a coroutine that writes, not an iterator
        self, request: presence_pb2.WatchPresenceRequest, context: Context
    ) -> None:
        match request.organization_id:
            case "refused":
                raise StoreUnavailable("no store")
            case "bug":
                raise KeyError("sentinel-secret")
            case "messages":
                await context.write(Response(resume_token=b"a message"))
                return
        mailbox = Mailbox[str, str](limit=4)
        self.mailboxes.append(mailbox)
        try:
            await serve_watch(
                context,
                mailbox,
                View(),
                bookmark_seconds=self.bookmark_seconds,
                write_seconds=self.write_seconds,
            )
        finally:
            self.ended += 1

    async def HoldStream(  # type: ignore[override]  # as above
        self, requests: AsyncIterator[presence_pb2.HoldStreamRequest], context: Context
    ) -> None:
        async for request in requests:
            await context.write(presence_pb2.HoldStreamResponse(holder_id=request.session))

    async def Heartbeat(
        self, request: presence_pb2.HeartbeatRequest, context: Context
    ) -> presence_pb2.HeartbeatResponse:
        await self.release.wait()
        return presence_pb2.HeartbeatResponse(holder_id="ok")

    async def Leave(
        self, request: presence_pb2.LeaveRequest, context: Context
    ) -> presence_pb2.LeaveResponse:
        return presence_pb2.LeaveResponse()

    async def GetDatePresence(
        self, request: presence_pb2.GetDatePresenceRequest, context: Context
    ) -> presence_pb2.GetDatePresenceResponse:
        return presence_pb2.GetDatePresenceResponse()


Serve = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
async def behavior() -> Behavior:
    return Behavior()  # type: ignore[abstract]  # without the methods that no test calls


@pytest.fixture
def serve(behavior: Behavior) -> Serve:
    @asynccontextmanager
    async def wired(_: ServerSettings) -> AsyncIterator[Service]:
        add = presence_pb2_grpc.add_PresenceServiceServicer_to_server
        yield Service("presence", [Servicer(add, behavior, NAME)], {}, frozenset())

    def with_settings(**settings: Any) -> AbstractAsyncContextManager[Running]:
        return started(ServerSettings(listen="127.0.0.1:0", **settings), wired)

    return with_settings


@pytest.fixture
async def stub(serve: Serve) -> AsyncIterator[presence_pb2_grpc.PresenceServiceStub]:
    async with (
        serve(max_concurrent_streams=3) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        yield presence_pb2_grpc.PresenceServiceStub(channel)


def watch(stub: Any, organization_id: str = "", **options: Any) -> Any:
    request = presence_pb2.WatchPresenceRequest(organization_id=organization_id)
    return stub.WatchPresence(request, **options)


async def read(call: Any) -> str:
    found = await call.read()
    assert isinstance(found, Response), found
    return found.resume_token.decode()


async def read_to_the_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def end_of(call: Any) -> tuple[grpc.StatusCode, str]:
    """Reads a stream to its end; returns its code and reason."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_to_the_end(call)
    status: Any = rpc_status.from_call(caught.value)  # type: ignore[arg-type]  # it serves
    info = error_details_pb2.ErrorInfo()
    assert status is not None, caught.value
    for detail in status.details:
        detail.Unpack(info)
    assert "sentinel-secret" not in str(caught.value)
    return caught.value.code(), info.reason


async def until(fact: Callable[[], object]) -> None:
    while not fact():  # noqa: ASYNC110  # the fact has no event; the test's timeout ends a no
        await asyncio.sleep(0.001)


async def test_a_watcher_gets_the_state_then_updates_in_order(
    stub: presence_pb2_grpc.PresenceServiceStub, behavior: Behavior
) -> None:
    call = watch(stub)
    assert await read(call) == "opening"
    for update in ("1", "", "2"):
        behavior.mailboxes[0].put("a", update)

    assert [await read(call), await read(call)] == ["a=1", "a=2"]


async def test_a_flooded_watcher_gets_the_state_instead(
    stub: presence_pb2_grpc.PresenceServiceStub, behavior: Behavior
) -> None:
    call = watch(stub)
    await read(call)
    # What was read may still be on its way out as the server has it; after another call it is not.
    await stub.Leave(presence_pb2.LeaveRequest())
    for number in range(6):
        behavior.mailboxes[0].put("ab"[number % 2], str(number))
    behavior.mailboxes[0].reset("c")

    # The first is written at once, and what comes meanwhile is too much.
    assert [await read(call) for _ in range(3)] == ["a=0", "reset c", "snapshot a,b"]


async def test_an_idle_watcher_gets_bookmarks(
    stub: presence_pb2_grpc.PresenceServiceStub, behavior: Behavior
) -> None:
    behavior.bookmark_seconds = QUICK_BOOKMARK
    call = watch(stub)

    assert [await read(call) for _ in range(3)] == ["opening", "bookmark", "bookmark"]


async def test_updates_that_concern_others_delay_no_bookmark(
    stub: presence_pb2_grpc.PresenceServiceStub, behavior: Behavior
) -> None:
    behavior.bookmark_seconds = QUICK_BOOKMARK
    call = watch(stub)
    await read(call)

    async def disturb() -> None:
        while True:
            behavior.mailboxes[0].put("a", "")
            await asyncio.sleep(QUICK_BOOKMARK / 10)

    disturbing = asyncio.ensure_future(disturb())
    try:
        assert await read(call) == "bookmark"
    finally:
        disturbing.cancel()


async def test_a_watcher_that_takes_nothing_is_ended_and_the_others_go_on(
    serve: Serve, behavior: Behavior
) -> None:
    behavior.write_seconds = QUICK_WRITE
    # Small windows, so that what is not taken does not fit on the way.
    options = [("grpc.http2.bdp_probe", 0), ("grpc.max_receive_message_length", -1)]
    async with (
        serve() as running,
        grpc.aio.insecure_channel(running.address, options=options) as slow_channel,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        slow = watch(presence_pb2_grpc.PresenceServiceStub(slow_channel))
        await read(slow)
        reader = watch(presence_pb2_grpc.PresenceServiceStub(channel))
        await read(reader)
        while not behavior.ended:
            for mailbox in behavior.mailboxes:
                mailbox.put("a", LARGE)
            assert (await read(reader)).startswith("a=")

        assert behavior.ended == 1
        assert await end_of(slow) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")


async def test_messages_may_be_written_too(stub: presence_pb2_grpc.PresenceServiceStub) -> None:
    call = watch(stub, "messages")

    assert await read(call) == "a message"
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_a_failure_of_the_mailbox_ends_the_watch_with_its_status(
    stub: presence_pb2_grpc.PresenceServiceStub, behavior: Behavior
) -> None:
    call = watch(stub)
    await read(call)

    behavior.mailboxes[0].fail(StoreUnavailable("gone"))

    assert await end_of(call) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    assert behavior.ended == 1


@pytest.mark.parametrize(
    ("organization_id", "code", "reason"),
    [
        ("refused", grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
        ("bug", grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
    ids=["refused", "bug"],
)
async def test_failures_get_their_row_of_the_table(
    stub: presence_pb2_grpc.PresenceServiceStub,
    organization_id: str,
    code: grpc.StatusCode,
    reason: str,
) -> None:
    assert await end_of(watch(stub, organization_id)) == (code, reason)


async def test_streams_past_the_limit_are_refused_and_places_are_given_back(
    stub: presence_pb2_grpc.PresenceServiceStub, behavior: Behavior
) -> None:
    calls = [watch(stub) for _ in range(3)]
    for call in calls:
        await read(call)
    assert await end_of(watch(stub)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")

    calls[0].cancel()
    await until(lambda: behavior.ended)

    assert await read(watch(stub)) == "opening"
    behavior.release.set()
    assert (await stub.Heartbeat(presence_pb2.HeartbeatRequest())).holder_id == "ok"


async def test_bytes_that_are_no_message_are_an_invalid_argument(serve: Serve) -> None:
    async with serve() as running, grpc.aio.insecure_channel(running.address) as channel:
        read_only: Any = channel.unary_stream(f"/{NAME}/WatchPresence")
        both: Any = channel.stream_stream(f"/{NAME}/HoldStream")

        expected = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
        assert await end_of(read_only(b"\xff\xff\xff")) == expected
        assert await end_of(both(iter([b"\xff\xff\xff"]))) == expected


async def test_a_talk_goes_on_message_by_message(
    stub: presence_pb2_grpc.PresenceServiceStub,
) -> None:
    call: Any = stub.HoldStream()
    for session in ("one", "two"):
        await call.write(presence_pb2.HoldStreamRequest(session=session))
        assert (await call.read()).holder_id == session
    await call.done_writing()

    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_a_drain_ends_streams_first_and_lets_calls_end(
    serve: Serve, behavior: Behavior, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(drain_seconds=5)
    running = await server.__aenter__()
    async with grpc.aio.insecure_channel(running.address) as channel:
        stub = presence_pb2_grpc.PresenceServiceStub(channel)
        watching = watch(stub)
        await read(watching)
        talking: Any = stub.HoldStream()
        await talking.write(presence_pb2.HoldStreamRequest(session="one"))
        await talking.read()
        calling = asyncio.ensure_future(stub.Heartbeat(presence_pb2.HeartbeatRequest()))
        stopping = asyncio.ensure_future(server.__aexit__(None, None, None))
        with caplog.at_level(logging.INFO):
            expected = (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
            assert await end_of(watching) == expected
            assert await end_of(talking) == expected
            assert not calling.done()
            behavior.release.set()
            assert (await calling).holder_id == "ok"
            await stopping

    assert behavior.ended == 1
    assert [record.message for record in caplog.records].count("streams end") == 1
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


async def test_a_caller_that_goes_ends_its_stream_without_a_word(
    stub: presence_pb2_grpc.PresenceServiceStub,
    behavior: Behavior,
    caplog: pytest.LogCaptureFixture,
) -> None:
    call = watch(stub)
    await read(call)
    with caplog.at_level(logging.INFO):
        call.cancel()
        await until(lambda: behavior.ended)

    assert not caplog.records
