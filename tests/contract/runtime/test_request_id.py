"""A call's request id is not looked for once the call has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from holdfast.presence.v1 import presence_pb2, presence_pb2_grpc
from shared.runtime import log
from shared.runtime.call import Context, RequestId
from shared.runtime.server import Service, Servicer, started
from shared.runtime.settings import ServerSettings

SETTINGS = ServerSettings(listen="127.0.0.1:0")
NAME = "holdfast.presence.v1.PresenceService"


class Lasting:
    """Begins work in a call that goes on when the call has ended."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.begun: list[asyncio.Task[str]] = []
        self.within: list[str] = []

    async def heartbeat(
        self, request: presence_pb2.HeartbeatRequest, context: Context
    ) -> presence_pb2.HeartbeatResponse:
        if request.hold_id:
            self.within.append(log.request_id.get())
        self.begun.append(asyncio.create_task(self._later()))
        return presence_pb2.HeartbeatResponse()

    async def _later(self) -> str:
        await self.ended.wait()
        return log.request_id.get()


@pytest.fixture
async def served() -> AsyncIterator[tuple[Lasting, str]]:
    lasting = Lasting()

    @asynccontextmanager
    async def wired(settings: ServerSettings) -> AsyncIterator[Service]:
        handler: Any = grpc.unary_unary_rpc_method_handler(
            lasting.heartbeat,
            presence_pb2.HeartbeatRequest.FromString,
        )
        add = Servicer(
            lambda handlers, server: server.add_registered_method_handlers(NAME, handlers),
            {"Heartbeat": handler},
            NAME,
        )
        yield Service("presence", [add], {}, frozenset())

    async with started(SETTINGS, wired) as server:
        yield lasting, server.address


async def call(address: str, number: int, hold_id: str = "") -> None:
    async with grpc.aio.insecure_channel(address, options=[("number", number)]) as channel:
        await presence_pb2_grpc.PresenceServiceStub(channel).Heartbeat(
            presence_pb2.HeartbeatRequest(hold_id=hold_id),
            metadata=(("x-request-id", f"request-{number}-{'v' * 60}"),),
        )


async def test_work_that_outlives_its_call_has_its_id_or_none(served: tuple[Lasting, str]) -> None:
    lasting, address = served
    for number in range(30):
        await call(address, number, "asked" if number % 2 else "")
    # What the first calls' memory held is overwritten.
    for number in range(30, 200):
        await call(address, number)

    lasting.ended.set()
    found = await asyncio.gather(*lasting.begun)

    ids = [f"request-{number}-{'v' * 60}" for number in range(30)]
    assert lasting.within == ids[1::2]
    assert found[:30] == [own if number % 2 else "" for number, own in enumerate(ids)]


def test_a_settled_id_asks_no_call() -> None:
    class Gone:
        def invocation_metadata(self) -> object:
            raise AssertionError("the call has ended")

    gone: Context = Gone()  # type: ignore[assignment]  # a call that may not be asked
    found = RequestId(gone)
    found.settle()

    assert found() == ""
