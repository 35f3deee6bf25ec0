"""Input of the worst kind: refused by name, never a failure of the server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
import pytest
import redis
from google.protobuf.message import Message

from holdfast.presence.v1 import presence_pb2
from tests.contract.presence.client import Client, new_session, refusal, refusal_of
from tests.fuzz import hostile_bytes, hostile_messages

COUNT = 500
METHODS: dict[str, type[Message]] = {
    "Heartbeat": presence_pb2.HeartbeatRequest,
    "Leave": presence_pb2.LeaveRequest,
    "GetDatePresence": presence_pb2.GetDatePresenceRequest,
}
REASONS = {"INVALID_FIELD", "OFF_GRID", "SLOT_HELD", "TOO_MANY_HOLDS"}
RIGHT: dict[str, Any] = {
    "organization_id": "demo",
    "session": "0123456789abcdefghijKLMNOP",
    "resource_id": "studio-a",
    "start_time": {"seconds": 1_804_600_800},
    "duration": {"seconds": 900},
}
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799


async def outcomes(channel: grpc.aio.Channel, method: str, payloads: Iterable[bytes]) -> set[str]:
    call: Any = channel.unary_unary(f"/holdfast.presence.v1.PresenceService/{method}")
    found = set()
    for payload in payloads:
        try:
            await call(payload)
        except grpc.aio.AioRpcError as error:
            found.add(refusal_of(error).reason)
        else:
            found.add("OK")
    return found


@pytest.mark.parametrize("method", METHODS)
async def test_hostile_requests_are_refused_by_name(client: Client, method: str) -> None:
    messages = hostile_messages(METHODS[method], seed=1, count=COUNT)

    found = await outcomes(client.channel, method, (m.SerializeToString() for m in messages))

    assert found >= {"OK", "INVALID_FIELD"}
    assert found <= {"OK", *REASONS}
    await client.heartbeat(new_session())


@pytest.mark.parametrize("method", METHODS)
async def test_bytes_that_are_no_request_are_refused_by_name(client: Client, method: str) -> None:
    payloads = hostile_bytes(METHODS[method], seed=2, count=COUNT)

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
