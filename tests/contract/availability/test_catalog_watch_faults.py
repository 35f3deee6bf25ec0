"""What availability makes of a watch of the catalog that breaks, goes on wrong or hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from holdfast.catalog.v1 import offering_pb2, resource_pb2, watch_pb2
from holdfast.common.v1.watch_pb2 import (
    WATCH_EVENT_BOOKMARK,
    WATCH_EVENT_CHANGES,
    WATCH_EVENT_SNAPSHOT,
    WatchEvent,
)
from services.availability.domain.refusal import NotFound
from services.availability.upstream.catalog import Catalog
from tests.contract.availability.mirror_world import Clock, eventually

Told = watch_pb2.WatchCatalogResponse


class ScriptedCatalog:
    """Tells each watch what is next in the script, and then nothing until it is ended."""

    def __init__(self, *streams: list[Told]) -> None:
        self.streams = list(streams)
        self.tokens: list[bytes] = []
        self.asked = 0

    async def watch(self, request: Any, context: Any) -> None:
        self.tokens.append(request.resume_token)
        script = self.streams.pop(0) if self.streams else []
        for told in script:
            await context.write(told)
        if self.streams:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
        await asyncio.Event().wait()

    async def get(self, request: Any, context: Any) -> Any:
        self.asked += 1
        await context.abort(grpc.StatusCode.NOT_FOUND, "asked")


@asynccontextmanager
async def looking_at(script: ScriptedCatalog, clock: Clock | None = None) -> AsyncIterator[Catalog]:
    """Serves a script, and looks at it."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers: dict[str, Any] = {
        "WatchCatalog": grpc.unary_stream_rpc_method_handler(
            script.watch,
            watch_pb2.WatchCatalogRequest.FromString,
            Told.SerializeToString,
        ),
        "GetResource": grpc.unary_unary_rpc_method_handler(
            script.get, resource_pb2.GetResourceRequest.FromString
        ),
        "GetOffering": grpc.unary_unary_rpc_method_handler(
            script.get, offering_pb2.GetOfferingRequest.FromString
        ),
    }
    service = "holdfast.catalog.v1.CatalogService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    view = Catalog(f"127.0.0.1:{port}", fresh_seconds=0.01, monotonic=clock or Clock())
    try:
        yield view
    finally:
        await view.close()
        await server.stop(None)


def told(event: WatchEvent.ValueType, version: int, *resources: str, **fields: Any) -> Told:
    found = [
        resource_pb2.Resource(resource_id=key, active=True, time_zone="UTC") for key in resources
    ]
    token = {} if fields.get("more") else {"resume_token": str(version).encode()}
    return Told(event=event, version=version, resources=found, **(token | fields))


async def known(view: Catalog) -> list[str] | None:
    """The resources that the mirror has, while it lives."""
    follower = view._followers.get("org")
    if follower is None or follower.mirror is None:
        with pytest.raises(NotFound):
            await view.require_resources("org", ["x"])
        return None
    return [found.resource_id for found in follower.mirror.resources("")]


async def test_half_a_state_counts_for_nothing() -> None:
    script = ScriptedCatalog(
        [told(WATCH_EVENT_SNAPSHOT, 1, "old"), told(WATCH_EVENT_SNAPSHOT, 2, "a", more=True)],
        [
            told(WATCH_EVENT_SNAPSHOT, 3, "b", more=True),
            told(WATCH_EVENT_SNAPSHOT, 3, "c"),
        ],
    )
    seen: list[list[str]] = []

    async def is_whole() -> bool:
        found = await known(view)
        if found is not None:
            seen.append(found)
        return found == ["b", "c"]

    async with looking_at(script) as view:
        await eventually(is_whole)

    assert all(found in (["old"], ["b", "c"]) for found in seen)
    assert script.tokens == [b"", b"1"]


async def test_changes_that_do_not_follow_make_the_watch_begin_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.availability.upstream.following._REFUSED_WAIT_SECONDS", 0.1)
    script = ScriptedCatalog(
        [
            told(WATCH_EVENT_SNAPSHOT, 1, "a"),
            told(WATCH_EVENT_CHANGES, 3, "c", after_version=2),
        ],
        [told(WATCH_EVENT_SNAPSHOT, 3, "a", "b", "c")],
    )

    async def is_right() -> bool:
        return await known(view) == ["a", "b", "c"]

    async with looking_at(script) as view:
        await eventually(is_right)

    assert script.tokens == [b"", b""]


async def test_a_watch_that_breaks_is_resumed_where_it_was() -> None:
    script = ScriptedCatalog(
        [
            told(WATCH_EVENT_SNAPSHOT, 1, "a"),
            told(WATCH_EVENT_BOOKMARK, 5),
        ],
        [told(WATCH_EVENT_CHANGES, 6, "b", after_version=5)],
    )

    async def is_right() -> bool:
        return await known(view) == ["a", "b"]

    async with looking_at(script) as view:
        await eventually(is_right)

    assert script.tokens == [b"", b"5"]


async def test_a_watch_that_hangs_does_not_count_as_news() -> None:
    clock = Clock()
    script = ScriptedCatalog([told(WATCH_EVENT_SNAPSHOT, 1, "a")])

    async def is_told() -> bool:
        return await known(view) == ["a"]

    async with looking_at(script, clock) as view:
        await eventually(is_told)
        await view.require_resources("org", ["a"])
        asked = script.asked

        clock.ahead = 8.1
        with pytest.raises(NotFound):
            await view.require_resources("org", ["a"])

        assert script.asked == asked + 1
