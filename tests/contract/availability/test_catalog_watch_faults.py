"""What availability makes of a watch of the catalog that breaks, goes on wrong or hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from holdfast.catalog.v1 import event_type_pb2, offering_pb2, resource_pb2, watch_pb2
from holdfast.common.v1.watch_pb2 import (
    WATCH_EVENT_BOOKMARK,
    WATCH_EVENT_CHANGES,
    WATCH_EVENT_SNAPSHOT,
    WatchEvent,
)
from services.availability.domain.offering import OfferingName
from services.availability.domain.refusal import NotFound
from services.availability.upstream.catalog import Catalog
from tests.contract.availability.mirror_world import Clock, eventually

Told = watch_pb2.WatchCatalogResponse


class ScriptedCatalog:
    """Tells each watch what is next in the script, and then nothing until it is ended.

    Attributes:
        offered: Answers whoever asks for an offering.
    """

    def __init__(self, *streams: list[Told | asyncio.Event]) -> None:
        self.streams = list(streams)
        self.tokens: list[bytes] = []
        self.asked = 0
        self.offered: offering_pb2.Offering | None = None

    async def watch(self, request: Any, context: Any) -> None:
        self.tokens.append(request.resume_token)
        script = self.streams.pop(0) if self.streams else []
        for told in script:
            if isinstance(told, asyncio.Event):
                await told.wait()
            else:
                await context.write(told)
        if self.streams:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
        await asyncio.Event().wait()

    async def offer(self, request: Any, context: Any) -> Any:
        if self.offered is None:
            return await self.get(request, context)
        self.asked += 1
        return offering_pb2.GetOfferingResponse(offering=self.offered)

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
            script.offer,
            offering_pb2.GetOfferingRequest.FromString,
            offering_pb2.GetOfferingResponse.SerializeToString,
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
    monkeypatch.setattr("shared.catalog.follow._REFUSED_WAIT_SECONDS", 0.1)
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


async def test_a_mirror_older_than_an_answer_given_does_not_count_yet() -> None:
    is_over = asyncio.Event()
    older = studio_for(minutes=30)
    script = ScriptedCatalog(
        [
            told(
                WATCH_EVENT_SNAPSHOT,
                1,
                "studio",
                event_types=[older],
                links=[watch_pb2.CatalogLink(event_type_id="session", resource_id="studio")],
            ),
            is_over,
            # So it is when the catalog lost what it had answered by.
            told(WATCH_EVENT_BOOKMARK, 1),
        ]
    )
    script.offered = offering_pb2.Offering(
        resource=resource_pb2.Resource(resource_id="studio", active=True, time_zone="UTC"),
        event_type=studio_for(minutes=60),
        linked=True,
        version=2,
    )

    async def lengths() -> list[int]:
        found = await view.offering(OfferingName("org", "studio", "session"))
        return [int(length.total_seconds()) // 60 for length in found.rules.durations]

    async def is_told() -> bool:
        return view._followers["org"].mirror is not None

    async def is_live() -> bool:
        return await lengths() == [30]

    async with looking_at(script) as view:
        assert await lengths() == [60]
        await eventually(is_told)
        assert await lengths() == [60]
        is_over.set()
        await eventually(is_live)


def studio_for(*, minutes: int) -> event_type_pb2.EventType:
    return event_type_pb2.EventType(
        event_type_id="session", active=True, duration_options=[Duration(seconds=60 * minutes)]
    )
