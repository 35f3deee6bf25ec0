"""Hostile requests to every call: each is answered or refused, and none finds a bug."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, cast

import grpc
import pytest

from tests.contract.catalog.caller import METHODS, SERVICE, Caller, read_refusal, request_class
from tests.contract.catalog.example import EXAMPLES
from tests.fuzz import IDENTIFIERS, ORGANIZATION, hostile_bytes, hostile_messages

SEED = 20270301
EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.FAILED_PRECONDITION,
}
SQL = re.compile(r"\b(select|insert|update|delete) .*\b(from|into|set|where)\b", re.IGNORECASE)


@pytest.fixture
async def target(catalog: Caller) -> Caller:
    """An organization with rows of the ids that hostile requests guess."""
    for key in IDENTIFIERS:
        await catalog.schedule(key)
        await catalog.resource(key)
        await catalog.event_type(key, slug=re.sub("[^a-z0-9]", "-", key.lower()))
        await catalog.ask("Link", resource_id=key, event_type_id=key)
    return catalog


def requests_to(target: Caller, method: str) -> list[Any]:
    examples = [target.request(name, **fields) for name, fields in EXAMPLES if name == method]
    requests = list(hostile_messages(request_class(method), SEED, 240, examples=examples))
    for request in requests:
        if request.organization_id == ORGANIZATION:
            request.organization_id = target.organization_id
    return requests


def sender(channel: grpc.aio.Channel, method: str) -> Callable[[bytes], Awaitable[object]]:
    """Sends bytes to a method and returns its answer, or the first one of a stream."""
    path = f"/{SERVICE.full_name}/{method}"
    if not METHODS[method].server_streaming:
        once: Any = channel.unary_unary(path)
        return cast("Callable[[bytes], Awaitable[object]]", once)
    opened: Any = channel.unary_stream(path)

    async def first(payload: bytes) -> object:
        call = opened(payload)
        try:
            return await call.read()
        finally:
            call.cancel()

    return first


async def outcome(call: Awaitable[object]) -> tuple[grpc.StatusCode, str, str]:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        refusal = read_refusal(error)
        return refusal.code, refusal.reason, refusal.message
    return grpc.StatusCode.OK, "", ""


@pytest.mark.parametrize("method", METHODS)
async def test_no_request_finds_a_bug(target: Caller, method: str) -> None:
    requests = requests_to(target, method)
    found = []
    for start in range(0, len(requests), 20):
        batch = requests[start : start + 20]
        found += await asyncio.gather(*(outcome(target.send(method, one)) for one in batch))

    assert {code for code, _, _ in found} <= EXPECTED
    assert all(reason for code, reason, _ in found if code is not grpc.StatusCode.OK)
    assert not any(SQL.search(message) for _, _, message in found)
    # A fuzz that never gets past the checks proves little.
    assert sum(reason != "INVALID_FIELD" for _, reason, _ in found) >= 30


@pytest.mark.parametrize("method", METHODS)
async def test_no_bytes_find_a_bug(catalog_channel: grpc.aio.Channel, method: str) -> None:
    send = sender(catalog_channel, method)
    payloads = hostile_bytes(request_class(method), SEED, 100)

    found = [await outcome(send(payload)) for payload in payloads]

    assert {code for code, _, _ in found} <= EXPECTED


async def test_text_that_is_no_utf_8_is_refused(
    catalog: Caller, catalog_channel: grpc.aio.Channel
) -> None:
    request = catalog.request("GetResource", resource_id="studio-a").SerializeToString()
    lone_surrogate = b"\x12\x03\xed\xa0\x80"

    code, reason, _ = await outcome(
        catalog_channel.unary_unary(f"/{SERVICE.full_name}/GetResource")(request + lone_surrogate)
    )

    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
