from __future__ import annotations

import asyncio
import importlib.metadata
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from holdfast.presence.v1 import presence_pb2, presence_pb2_grpc
from shared.runtime import log
from shared.runtime.call import Context
from shared.runtime.deadline import time_remaining
from shared.runtime.failure import Failure, InvalidFields, Overloaded, StartRefused, Violation
from shared.runtime.server import Service, Servicer, started
from shared.runtime.settings import ServerSettings

NAME = "holdfast.presence.v1.PresenceService"
PATH = f"/{NAME}/Heartbeat"
SETTINGS = ServerSettings(listen="127.0.0.1:0", call_timeout_seconds=0.2, max_concurrent_reads=2)


class SlotHeld(Failure):
    @property
    def metadata(self) -> dict[str, str]:
        return {"resource_id": "studio-a"}


class Behavior(presence_pb2_grpc.PresenceServiceServicer):
    """Does what the request's session names."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def Heartbeat(
        self, request: presence_pb2.HeartbeatRequest, context: Context
    ) -> presence_pb2.HeartbeatResponse:
        match request.session:
            case "bug":
                raise KeyError("sentinel-secret")
            case "fields":
                raise InvalidFields([Violation("start_time", "is required")])
            case "many fields":
                raise InvalidFields([Violation(f"f[{n}]", "is ü" * 50) for n in range(1000)])
            case "much":
                raise SlotHeld("ü" * 10_000)
            case "held":
                raise SlotHeld("somebody holds it")
            case "overloaded":
                raise Overloaded("full")
            case "never":
                await asyncio.Event().wait()
            case "wait":
                await self.release.wait()
            case "remaining":
                return presence_pb2.HeartbeatResponse(holder_id=str(time_remaining(60)))
        return presence_pb2.HeartbeatResponse(holder_id="ok")

    async def Leave(
        self, request: presence_pb2.LeaveRequest, context: Context
    ) -> presence_pb2.LeaveResponse:
        return presence_pb2.LeaveResponse()

    async def GetDatePresence(
        self, request: presence_pb2.GetDatePresenceRequest, context: Context
    ) -> presence_pb2.GetDatePresenceResponse:
        return presence_pb2.GetDatePresenceResponse()

    async def HoldStream(  # type: ignore[override]  # a coroutine that writes, not an iterator
        self, requests: AsyncIterator[presence_pb2.HoldStreamRequest], context: Context
    ) -> None:
        return

    async def WatchPresence(  # type: ignore[override]  # as above
        self, request: presence_pb2.WatchPresenceRequest, context: Context
    ) -> None:
        return


@asynccontextmanager
async def served(behavior: Behavior) -> AsyncIterator[Service]:
    yield Service(
        "presence",
        [Servicer(presence_pb2_grpc.add_PresenceServiceServicer_to_server, behavior, NAME)],
        {SlotHeld: (grpc.StatusCode.FAILED_PRECONDITION, "SLOT_HELD")},
        frozenset({"Leave"}),
    )


def behaving() -> Behavior:
    return Behavior()  # type: ignore[abstract]  # without the methods that no test calls


@pytest.fixture
async def behavior() -> Behavior:
    return behaving()


@pytest.fixture
async def channel(behavior: Behavior) -> AsyncIterator[grpc.aio.Channel]:
    async with (
        started(SETTINGS, lambda _: served(behavior)) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        yield channel


async def heartbeat(channel: grpc.aio.Channel, session: str, **options: Any) -> str:
    stub = presence_pb2_grpc.PresenceServiceStub(channel)
    answer = await stub.Heartbeat(presence_pb2.HeartbeatRequest(session=session), **options)
    return answer.holder_id


async def refused(channel: grpc.aio.Channel, session: str) -> tuple[Any, dict[str, Any]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await heartbeat(channel, session)
    return caught.value, details(caught.value)


def details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    status: Any = rpc_status.from_call(error)  # type: ignore[arg-type]  # an AioRpcError serves
    found = {}
    for kind in ("ErrorInfo", "BadRequest", "RetryInfo"):
        for packed in status.details:
            message = getattr(error_details_pb2, kind)()
            if packed.Unpack(message):
                found[kind] = message
    return found


async def test_a_failure_gets_its_code_reason_and_values(channel: grpc.aio.Channel) -> None:
    error, found = await refused(channel, "held")

    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == "somebody holds it"
    assert (found["ErrorInfo"].reason, found["ErrorInfo"].domain) == ("SLOT_HELD", "holdfast")
    assert dict(found["ErrorInfo"].metadata) == {"resource_id": "studio-a"}


async def test_invalid_fields_are_listed(channel: grpc.aio.Channel) -> None:
    error, found = await refused(channel, "fields")

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [v.field for v in found["BadRequest"].field_violations] == ["start_time"]


async def test_a_refusal_that_names_everything_still_reaches_the_caller(
    channel: grpc.aio.Channel,
) -> None:
    error, found = await refused(channel, "many fields")

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert found["BadRequest"].field_violations[0].field == "f[0]"


async def test_a_long_text_still_reaches_the_caller(channel: grpc.aio.Channel) -> None:
    error, found = await refused(channel, "much")

    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert found["ErrorInfo"].reason == "SLOT_HELD"


async def test_overload_says_when_to_retry(channel: grpc.aio.Channel) -> None:
    error, found = await refused(channel, "overloaded")

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert found["RetryInfo"].retry_delay.seconds == 1


async def test_a_bug_tells_the_caller_nothing_but_an_id(channel: grpc.aio.Channel) -> None:
    error, found = await refused(channel, "bug")

    assert error.code() is grpc.StatusCode.INTERNAL
    assert found["ErrorInfo"].reason == "INTERNAL"
    assert "sentinel-secret" not in str(error)


async def test_bytes_that_are_no_message_are_an_invalid_argument(channel: grpc.aio.Channel) -> None:
    raw: Any = channel.unary_unary(PATH)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw(b"\xff\xff\xff")

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_call_without_deadline_ends_at_the_servers_bound(channel: grpc.aio.Channel) -> None:
    error, found = await refused(channel, "never")

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert found["ErrorInfo"].reason == "DEADLINE_EXCEEDED"


async def test_a_step_gets_no_more_time_than_the_call_has_left(channel: grpc.aio.Channel) -> None:
    bounded_by_caller = float(await heartbeat(channel, "remaining", timeout=0.15))
    bounded_by_server = float(await heartbeat(channel, "remaining", timeout=3600))

    # gRPC rounds what travels by some microseconds.
    assert 0 < bounded_by_caller < 0.17 < bounded_by_server <= 0.2


async def test_calls_past_the_limit_are_refused_at_once_and_the_others_end_well(
    channel: grpc.aio.Channel, behavior: Behavior
) -> None:
    waiting = [asyncio.ensure_future(heartbeat(channel, "wait")) for _ in range(3)]

    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    behavior.release.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert len(done) == 1
    refusals = [result for result in results if isinstance(result, grpc.aio.AioRpcError)]
    assert [refusal.code() for refusal in refusals] == [grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert results.count("ok") == 2


async def test_refused_calls_give_their_place_back(channel: grpc.aio.Channel) -> None:
    for _ in range(5):
        await refused(channel, "held")

    assert await heartbeat(channel, "") == "ok"


async def test_a_request_id_of_the_caller_is_kept_and_a_forged_one_is_not(
    channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    handler = _Lines()
    logging.getLogger("holdfast.call").addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, logger="holdfast.call"):
            for value in ("caller-7", 'x"} {"level": "ERROR"'):
                with pytest.raises(grpc.aio.AioRpcError):
                    await heartbeat(channel, "held", metadata=(("x-request-id", value),))
    finally:
        logging.getLogger("holdfast.call").removeHandler(handler)

    assert [line["reason"] for line in handler.lines] == ["SLOT_HELD", "SLOT_HELD"]
    assert handler.lines[0]["request"] == "caller-7"
    assert len(handler.lines[1]["request"]) == 16


async def test_successful_reads_write_no_log_line(
    channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="holdfast.call"):
        await heartbeat(channel, "")

    assert not caplog.records


async def test_health_knows_server_and_service(channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)

    for name in ("", "presence", NAME):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_health_tells_version_and_time(channel: grpc.aio.Channel) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)

    call = stub.Check(health_pb2.HealthCheckRequest())
    told = dict(await call.initial_metadata())

    assert told["x-holdfast-version"] == importlib.metadata.version("holdfast")
    age = datetime.now(UTC) - datetime.fromisoformat(told["x-holdfast-time"])
    assert timedelta(0) <= age < timedelta(minutes=1)


async def test_a_taken_port_refuses_the_start() -> None:
    async with started(SETTINGS, lambda _: served(behaving())) as running:
        again = ServerSettings(listen=running.address)
        with pytest.raises(StartRefused, match="cannot listen"):
            async with started(again, lambda _: served(behaving())):
                pass


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (ServerSettings(listen="0.0.0.0:0"), "plain text"),
        (ServerSettings(listen="0.0.0.0:0", allow_plaintext=True, clock_offset_seconds=1), "clock"),
        (ServerSettings(metrics_listen="0.0.0.0:0"), "plain text"),
    ],
    ids=["plaintext", "moved clock", "metrics"],
)
async def test_an_exposed_listener_refuses_the_start(settings: ServerSettings, reason: str) -> None:
    with pytest.raises(StartRefused, match=reason):
        async with started(settings, lambda _: served(behaving())):
            pass


class _Lines(logging.Handler):
    """Formats at once, inside the call's context, as the process would."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(log.JsonFormatter("test"))
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))
