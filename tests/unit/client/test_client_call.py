from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
import pytest

from holdfast.catalog.v1 import resource_pb2 as pb
from shared.client.address import Address
from shared.client.caller import Retry
from shared.client.client import Client
from shared.client.failure import HoldfastError
from shared.client.probe import probe

_SERVICE = "holdfast.catalog.v1.CatalogService"
_AT_ONCE = Retry(attempts=5, first_wait=timedelta(0), longest_wait=timedelta(0))

Context = grpc.aio.ServicerContext[Any, Any]
Behavior = Callable[[Any, Context], Awaitable[Any]]


@asynccontextmanager
async def _answering(
    method: str, request: type[Any], behavior: Behavior, **settings: Any
) -> AsyncIterator[Client]:
    """A client of a server with one method."""
    handler: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
        behavior,
        request_deserializer=request.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(_SERVICE, {method: handler})]
    )
    address = Address(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", "test")
    await server.start()
    try:
        async with Client({"catalog": address}, "demo", **{"retry": _AT_ONCE, **settings}) as found:
            yield found
    finally:
        await server.stop(None)


def _failing(times: int, code: grpc.StatusCode, seen: list[bytes]) -> Behavior:
    async def behavior(request: Any, context: Context) -> pb.GetResourceResponse:
        seen.append(request.SerializeToString())
        if len(seen) <= times:
            await context.abort(code, "not now")
        return pb.GetResourceResponse(resource=pb.Resource(resource_id=request.resource_id))

    return behavior


_REQUEST = pb.GetResourceRequest(organization_id="demo", resource_id="studio-a")


async def test_a_call_that_was_not_answered_is_repeated_with_the_same_bytes() -> None:
    seen: list[bytes] = []
    behavior = _failing(3, grpc.StatusCode.UNAVAILABLE, seen)

    async with _answering("GetResource", pb.GetResourceRequest, behavior) as client:
        answer = await client.call(client.catalog.GetResource, _REQUEST)

    assert answer.resource.resource_id == "studio-a"
    assert seen == [_REQUEST.SerializeToString()] * 4


async def test_repetition_ends_after_the_attempts_allowed() -> None:
    seen: list[bytes] = []
    behavior = _failing(100, grpc.StatusCode.UNAVAILABLE, seen)

    async with _answering("GetResource", pb.GetResourceRequest, behavior) as client:
        with pytest.raises(HoldfastError) as caught:
            await client.call(client.catalog.GetResource, _REQUEST)

    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert len(seen) == _AT_ONCE.attempts


@pytest.mark.parametrize(
    "code",
    [code for code in grpc.StatusCode if code.name not in {"OK", "UNAVAILABLE"}],
    ids=lambda code: str(code.name),
)
async def test_an_answer_is_never_asked_for_again(code: grpc.StatusCode) -> None:
    seen: list[bytes] = []
    behavior = _failing(100, code, seen)

    async with _answering("GetResource", pb.GetResourceRequest, behavior) as client:
        with pytest.raises(HoldfastError) as caught:
            await client.call(client.catalog.GetResource, _REQUEST)

    assert caught.value.code is code
    assert len(seen) == 1


async def test_the_deadline_covers_all_attempts() -> None:
    seen: list[bytes] = []
    behavior = _failing(100, grpc.StatusCode.UNAVAILABLE, seen)
    patient = Retry(attempts=1000, first_wait=timedelta(hours=1), longest_wait=timedelta(hours=1))

    async with _answering("GetResource", pb.GetResourceRequest, behavior, retry=patient) as client:
        with pytest.raises(HoldfastError):
            await client.call(client.catalog.GetResource, _REQUEST)

    assert len(seen) == 1


async def test_a_call_without_answer_ends_with_its_deadline() -> None:
    async def behavior(request: Any, context: Context) -> None:
        await asyncio.Event().wait()

    async with _answering(
        "GetResource", pb.GetResourceRequest, behavior, timeout=timedelta(milliseconds=50)
    ) as client:
        with pytest.raises(HoldfastError) as caught:
            await client.call(client.catalog.GetResource, _REQUEST)

    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert caught.value.service == "catalog"


def test_waits_grow_up_to_the_longest_and_are_spread() -> None:
    retry = Retry(first_wait=timedelta(seconds=1), longest_wait=timedelta(seconds=4))

    for attempt, ceiling in ((1, 1), (2, 2), (3, 4), (4, 4)):
        waits = [retry.wait_seconds(attempt) for _ in range(100)]
        assert ceiling / 2 <= min(waits) < max(waits) <= ceiling


async def _list(request: pb.ListResourcesRequest, context: Context) -> pb.ListResourcesResponse:
    """Numbers up to 1,201 as ids."""
    first = int(request.page_token or 0)
    stop = min(first + request.page_size, 1201)
    return pb.ListResourcesResponse(
        resources=[pb.Resource(resource_id=str(number)) for number in range(first, stop)],
        next_page_token=str(stop) if stop < 1201 else "",
    )


@pytest.mark.parametrize(
    ("limit", "count"), [(None, 1201), (1, 1), (500, 500), (501, 501), (5000, 1201)]
)
async def test_a_list_is_read_to_its_end_or_its_limit(limit: int | None, count: int) -> None:
    async with _answering("ListResources", pb.ListResourcesRequest, _list) as client:
        rows = client.rows(
            client.catalog.ListResources,
            pb.ListResourcesRequest(organization_id="demo"),
            lambda page: page.resources,
            limit=limit,
        )
        found = [int(row.resource_id) async for row in rows]

    assert found == list(range(count))


async def test_a_limit_asks_for_no_more_rows_than_it_names() -> None:
    asked: list[int] = []

    async def behavior(request: Any, context: Context) -> pb.ListResourcesResponse:
        asked.append(request.page_size)
        return await _list(request, context)

    async with _answering("ListResources", pb.ListResourcesRequest, behavior) as client:
        rows = client.rows(
            client.catalog.ListResources,
            pb.ListResourcesRequest(organization_id="demo"),
            lambda page: page.resources,
            limit=510,
        )
        assert len([row async for row in rows]) == 510

    assert asked == [500, 10]


async def test_a_probe_of_a_closed_port_says_unreachable(unused_tcp_port: int) -> None:
    found = await probe(f"127.0.0.1:{unused_tcp_port}", timedelta(seconds=5))

    assert found.status == "unreachable"
    assert "refused" in found.detail.lower()
    assert found.round_trip is None
