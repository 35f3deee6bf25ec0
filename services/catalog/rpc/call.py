"""What the handlers of all kinds of rows share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from services.catalog.app.once import once
from services.catalog.app.port import Change, RequestKey, Store, View
from shared.runtime.clock import Clock
from shared.runtime.replay import content_hash

T = TypeVar("T")
ResponseT = TypeVar("ResponseT", bound=Message)


class Calls:
    """Reads and changes the catalog that a request names."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def _read(self, request: Any, work: Callable[[View], Awaitable[T]]) -> T:
        return await self._store.read(request.organization_id, work)

    async def _once(
        self,
        request: Any,
        response: type[ResponseT],
        effect: Callable[[Change], Awaitable[ResponseT]],
    ) -> ResponseT:
        """Makes a change, or answers as the first time; the request is a checked one."""
        key = RequestKey(
            method=type(request).__name__.removesuffix("Request"),
            request_id=request.request_id.lower(),
            content=content_hash(request),
        )

        async def answer(change: Change) -> bytes:
            return (await effect(change)).SerializeToString()

        found = await once(self._store, request.organization_id, key, answer)
        return response.FromString(found)
