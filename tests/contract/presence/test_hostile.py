"""Input of the worst kind: refused by name, never a failure of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import grpc
import pytest
import redis
from google.protobuf.message import Message
from google.type import date_pb2

from holdfast.presence.v1 import hold_check_pb2, holder_pb2, presence_pb2
from tests.contract.presence.client import Client, new_session, refusal, refusal_of
from tests.contract.presence.streams import PATIENCE_SECONDS
from tests.fuzz import hostile_bytes, hostile_messages

COUNT = 500
MOST_BYTES = 4 * 1024 * 1024
METHODS: dict[str, type[Message]] = {
    "Heartbeat": presence_pb2.HeartbeatRequest,
    "Leave": presence_pb2.LeaveRequest,
    "GetDatePresence": presence_pb2.GetDatePresenceRequest,
    "ListHolders": holder_pb2.ListHoldersRequest,
    "CountHolders": holder_pb2.CountHoldersRequest,
    "CheckHolds": hold_check_pb2.CheckHoldsRequest,
    "SettleHolds": hold_check_pb2.SettleHoldsRequest,
}
STREAMS: dict[str, type[Message]] = {
    "HoldStream": presence_pb2.HoldStreamRequest,
    "WatchPresence": presence_pb2.WatchPresenceRequest,
}
REASONS = {
    "INVALID_FIELD",
    "OFF_GRID",
    "NOT_FOUND",
    "SLOT_HELD",
    "TOO_MANY_HOLDS",
    "INVALID_RESUME_TOKEN",
}
RIGHT: dict[str, Any] = {
    "organization_id": "demo",
    "session": "0123456789abcdefghijKLMNOP",
    "resource_id": "studio-a",
    "start_time": {"seconds": 1_804_600_800},
    "duration": {"seconds": 900},
}
QUANTA = hold_check_pb2.ResourceQuanta(
    resource_id="studio-a", first_quantum=2_000, stop_quantum=2_004
)
EXAMPLES: dict[str, list[Any]] = {
    "CheckHolds": [
        hold_check_pb2.CheckHoldsRequest(
            organization_id="demo",
            checks=[hold_check_pb2.HoldCheck(session=RIGHT["session"], items=[QUANTA, QUANTA])] * 3,
        )
    ],
    "SettleHolds": [
        hold_check_pb2.SettleHoldsRequest(
            organization_id="demo",
            settlements=[
                hold_check_pb2.Settlement(
                    session=RIGHT["session"],
                    items=[QUANTA],
                    commit_time=RIGHT["start_time"],
                    reason=holder_pb2.HOLD_END_REASON_BOOKED,
                )
            ],
        )
    ],
    "HoldStream": [
        presence_pb2.HoldStreamRequest(
            organization_id="demo",
            session=RIGHT["session"],
            keep=[
                presence_pb2.HoldSpan(
                    resource_id=resource_id,
                    start_time=RIGHT["start_time"],
                    duration=RIGHT["duration"],
                )
                for resource_id in ("studio-a", "studio-b")
            ],
            leave=[presence_pb2.HoldName(resource_id="studio-c")],
        )
    ],
    "WatchPresence": [
        presence_pb2.WatchPresenceRequest(
            organization_id="demo",
            resource_ids=["studio-a", "studio-b"],
            dates=[date_pb2.Date(year=2027, month=3, day=9)],
        )
    ],
}
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799


async def outcomes(channel: grpc.aio.Channel, method: str, payloads: Iterable[bytes]) -> set[str]:
    path = f"/holdfast.presence.v1.PresenceService/{method}"
    found = set()
    for payload in payloads:
        if len(payload) > MOST_BYTES:
            continue  # gRPC itself refuses it
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await CALLS.get(method, call_unary)(channel, path, payload)
        except grpc.aio.AioRpcError as error:
            found.add(refusal_of(error).reason)
        else:
            found.add("OK")
    return found


async def call_unary(channel: Any, path: str, payload: bytes) -> None:
    await channel.unary_unary(path)(payload)


async def call_watch(channel: Any, path: str, payload: bytes) -> None:
    """Reads the first message, and wants no more."""
    call = channel.unary_stream(path)(payload)
    message = presence_pb2.WatchPresenceResponse.FromString(await call.read())
    call.cancel()
    assert message.resume_token


async def call_hold_stream(channel: Any, path: str, payload: bytes) -> None:
    """Says a word, says it again, and closes its side."""
    first, second, last = await said(channel.stream_stream(path)(), [payload, payload])
    assert first.holder_id == second.holder_id == last.holder_id
    assert len(last.results) == 0


async def said(call: Any, payloads: Iterable[bytes]) -> list[presence_pb2.HoldStreamResponse]:
    """Says one thing after the other; returns the answers, the one to the goodbye included.

    One at a time: whoever writes to a stream that ends is told of its write, not of the end.
    """
    answers = []
    for payload in payloads:
        await call.write(payload)
        answers.append(await call.read())
    await call.done_writing()
    answers.append(await call.read())
    assert await call.read() is grpc.aio.EOF
    return [presence_pb2.HoldStreamResponse.FromString(answer) for answer in answers]


CALLS = {"WatchPresence": call_watch, "HoldStream": call_hold_stream}


@pytest.mark.parametrize("method", METHODS | STREAMS)
async def test_hostile_requests_are_refused_by_name(client: Client, method: str) -> None:
    kind = (METHODS | STREAMS)[method]
    messages = hostile_messages(kind, seed=1, count=COUNT, examples=EXAMPLES.get(method, ()))

    found = await outcomes(client.channel, method, (m.SerializeToString() for m in messages))

    assert found >= {"OK", "INVALID_FIELD"}
    assert found <= {"OK", *REASONS}
    await client.heartbeat(new_session())


@pytest.mark.parametrize("method", METHODS | STREAMS)
async def test_bytes_that_are_no_request_are_refused_by_name(client: Client, method: str) -> None:
    payloads = hostile_bytes((METHODS | STREAMS)[method], seed=2, count=COUNT)

    found = await outcomes(client.channel, method, payloads)

    assert "INVALID_FIELD" in found
    assert found <= {"OK", *REASONS}
    await client.heartbeat(new_session())


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"organization_id": ""}, "organization_id"),
        ({"organization_id": "a/b"}, "organization_id"),
        ({"organization_id": "{demo}"}, "organization_id"),
        ({"organization_id": "o" * 129}, "organization_id"),
        ({"session": ""}, "session"),
        ({"session": "s" * 21}, "session"),
        ({"session": "s" * 129}, "session"),
        ({"session": "0123456789abcdefghijKLMN\n"}, "session"),
        ({"session": "0123456789abcdefghijKLMÄ"}, "session"),
        ({"resource_id": ""}, "resource_id"),
        ({"resource_id": "studio a"}, "resource_id"),
        ({"resource_id": "studio\0a"}, "resource_id"),
        ({"hold_id": "-"}, "hold_id"),
        ({"hold_id": "h" * 129}, "hold_id"),
        ({"start_time": None}, "start_time"),
        ({"start_time": {"seconds": FIRST_SECOND}}, "start_time"),
        ({"start_time": {"seconds": LAST_SECOND}}, "start_time"),
        ({"start_time": {"seconds": 2**63 - 1}}, "start_time"),
        ({"start_time": {"seconds": 1_804_600_800, "nanos": -1}}, "start_time"),
        ({"duration": None}, "duration"),
        ({"duration": {}}, "duration"),
        ({"duration": {"seconds": -900}}, "duration"),
        ({"duration": {"seconds": 31 * 86_400, "nanos": 1}}, "duration"),
        ({"duration": {"seconds": 2**63 - 1}}, "duration"),
        ({"duration": {"seconds": 1, "nanos": -1}}, "duration"),
    ],
    ids=str,
)
async def test_a_wrong_field_is_named_and_nothing_is_written(
    client: Client, valkey_url: str, wrong: dict[str, Any], field: str
) -> None:
    facts = {name: value for name, value in (RIGHT | wrong).items() if value is not None}

    refused = await refusal(client.stub.Heartbeat(presence_pb2.HeartbeatRequest(**facts)))

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert refused.fields == (field,)
    with redis.Redis.from_url(valkey_url) as store:
        assert store.dbsize() == 0


@pytest.mark.parametrize(
    "right",
    [
        {"organization_id": "o" * 128},
        {"session": "s" * 22},
        {"session": "-_" * 64},
        {"hold_id": "h" * 128},
        {"start_time": {"seconds": 86_400}},
        {"start_time": {"seconds": LAST_SECOND - 366 * 86_400 - 899}},
        {"duration": {"nanos": 1}},
        {"duration": {"seconds": 31 * 86_400}},
    ],
    ids=str,
)
async def test_a_bound_itself_is_allowed(client: Client, right: dict[str, Any]) -> None:
    request = presence_pb2.HeartbeatRequest(**(RIGHT | right))

    assert (await client.stub.Heartbeat(request)).holder_id


async def test_a_message_too_big_is_refused(client: Client) -> None:
    request = presence_pb2.HeartbeatRequest(**(RIGHT | {"hold_id": "h" * 5 * 1024 * 1024}))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.stub.Heartbeat(request)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await client.heartbeat(new_session())


@pytest.mark.parametrize("timeout", [1e-6, 86_400.0 * 366 * 90], ids=["none", "ninety years"])
async def test_a_strange_deadline_is_kept_or_met(client: Client, timeout: float) -> None:
    found = grpc.StatusCode.OK
    try:
        await client.heartbeat(new_session(), timeout=timeout)
    except grpc.aio.AioRpcError as error:
        found = error.code()

    assert found in {grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED}
    await client.heartbeat(new_session(), "studio-b")


async def test_a_second_message_that_is_none_ends_a_stream_of_holds_by_name(
    client: Client,
) -> None:
    session = new_session()
    right = presence_pb2.HoldStreamRequest(organization_id="demo", session=session)
    stream: Any = client.channel.stream_stream("/holdfast.presence.v1.PresenceService/HoldStream")

    for wrong in hostile_bytes(presence_pb2.HoldStreamRequest, seed=3, count=100):
        try:
            answers = await said(stream(), [right.SerializeToString(), wrong])
        except grpc.aio.AioRpcError as error:
            assert refusal_of(error).reason in REASONS  # noqa: PT017  # some of them are right
        else:
            assert len(answers) == 3


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"organization_id": "a/b"}, "organization_id"),
        ({"resource_ids": []}, "resource_ids"),
        ({"resource_ids": [f"r{n}" for n in range(101)]}, "resource_ids"),
        ({"resource_ids": ["a", "a"]}, "resource_ids"),
        ({"resource_ids": ["a", "{b}"]}, "resource_ids[1]"),
        ({"dates": []}, "dates"),
        ({"dates": [{"year": 2027, "month": 2, "day": 29}]}, "dates[0]"),
        ({"dates": [{"year": 2027, "month": 3, "day": 9}] * 2}, "dates"),
        ({"dates": [{"year": 2027 + n, "month": 1, "day": 1} for n in range(94)]}, "dates"),
        (
            {
                "resource_ids": [f"r{n}" for n in range(81)],
                "dates": [{"year": 2027, "month": 1, "day": 1 + n} for n in range(4)],
            },
            "dates",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_wrong_field_of_a_watch_is_named(
    client: Client, wrong: dict[str, Any], field: str
) -> None:
    right = {
        "organization_id": "demo",
        "resource_ids": ["studio-a"],
        "dates": [{"year": 2027, "month": 3, "day": 9}],
    }
    request = presence_pb2.WatchPresenceRequest(**(right | wrong))

    refused = await refusal(client.stub.WatchPresence(request).read())

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert refused.fields == (field,)
