"""A real catalog that counts what it is asked, and availability's view of it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc

from services.availability.domain.offering import Offering, OfferingName
from services.availability.domain.refusal import NotFound
from services.availability.upstream.catalog import Catalog
from services.catalog.bootstrap import wired
from services.catalog.settings import CatalogSettings
from shared.runtime.server import Service, started
from tests.contract.catalog.caller import Caller
from tests.contract.catalog.conftest import StillSettings

PATIENCE = 15.0
# Within which a change in the catalog counts in availability.
BOUND = 1.0


class CountedCatalog:
    """A catalog over a database; what stands in front of a method counts its calls.

    Attributes:
        asked: The calls by method.
        tells: Watches are told nothing while it is not set.
    """

    def __init__(self, url: str) -> None:
        self.asked: Counter[str] = Counter()
        self.tells = asyncio.Event()
        self.tells.set()
        self._url = url

    def served(self, listen: str = "127.0.0.1:0") -> AbstractAsyncContextManager[Any]:
        """Serves it; yields what has its address."""
        settings = StillSettings(postgres_url=self._url, throwaway_data=True, listen=listen)
        return started(settings, self._wired)

    @asynccontextmanager
    async def _wired(self, settings: CatalogSettings) -> AsyncIterator[Service]:
        async with wired(settings) as service:
            counted = [
                replace(servicer, implementation=_Counted(servicer.implementation, self))
                for servicer in service.servicers
            ]
            yield replace(service, servicers=counted)


class _Counted:
    def __init__(self, calls: Any, catalog: CountedCatalog) -> None:
        self._calls = calls
        self._catalog = catalog

    def __getattr__(self, name: str) -> Any:
        behavior = getattr(self._calls, name)

        async def call(request: Any, context: Any) -> Any:
            self._catalog.asked[name] += 1
            return await behavior(request, _Held(context, self._catalog.tells))

        return call


class _Held:
    """A call's context that tells nothing on a stream before it may."""

    def __init__(self, context: Any, tells: asyncio.Event) -> None:
        self._context = context
        self._tells = tells

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, message: Any) -> None:
        await self._tells.wait()
        await self._context.write(message)


class Clock:
    """The monotonic clock, as far ahead as a test likes."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Scene:
    """An organization in a catalog, and availability's view of that."""

    def __init__(self, catalog: CountedCatalog, channel: grpc.aio.Channel, view: Catalog) -> None:
        self.catalog = catalog
        self.view = view
        self.owner = Caller(channel, f"org-{uuid.uuid4().hex}")

    @property
    def organization_id(self) -> str:
        """Whose."""
        return self.owner.organization_id

    @asynccontextmanager
    async def untold(self) -> AsyncIterator[None]:
        """Keeps what happens in the block from the mirror, and from it alone."""
        self.catalog.tells.clear()
        try:
            yield
        finally:
            self.catalog.tells.set()

    def name(self, resource_id: str = "studio", event_type_id: str = "hour") -> OfferingName:
        """An offering's name."""
        return OfferingName(self.organization_id, resource_id, event_type_id)

    async def seen(self, resource_id: str = "studio", event_type_id: str = "hour") -> Any:
        """An offering, or what it is refused with."""
        try:
            return await self.view.offering(self.name(resource_id, event_type_id))
        except NotFound as refusal:
            return str(refusal)

    async def offered(self) -> Offering:
        """The studio for an hour, which is there."""
        found = await self.seen()
        assert isinstance(found, Offering)
        return found

    async def furnish(self) -> None:
        """Makes a studio, bookable for an hour."""
        await self.owner.resource("studio")
        await self.owner.event_type("hour")
        await self.owner.ask("Link", resource_id="studio", event_type_id="hour")

    async def settled(self) -> None:
        """Waits until answers come from the mirror."""
        async with asyncio.timeout(PATIENCE):
            while True:
                before = self.questions
                await self.seen()
                await self.view.resources(self.organization_id, "")
                if self.questions == before:
                    return
                await asyncio.sleep(0.02)

    @property
    def questions(self) -> int:
        """How many the catalog was asked, watches and the owner's changes aside."""
        return sum(
            count
            for method, count in self.catalog.asked.items()
            if method.startswith(("Get", "List"))
        )

    async def reaches(
        self, change: Awaitable[object], seen: Callable[[], Awaitable[bool]]
    ) -> float:
        """How long a change takes to be seen, without a question.

        Afterwards the view goes by its mirror alone.
        """
        await self.settled()
        self.ask_nothing()
        await change
        begun, before = time.monotonic(), self.questions
        await eventually(seen)
        assert self.questions == before
        return time.monotonic() - begun

    def ask_nothing(self) -> None:
        """Makes the view take the catalog for one that cannot be asked."""
        self.view._ask_from = float("inf")


async def eventually(seen: Callable[[], Awaitable[bool]]) -> None:
    """Looks until something is seen."""
    async with asyncio.timeout(PATIENCE):
        while not await seen():  # noqa: ASYNC110  # a fact of another side, without an event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def scene(
    catalog: CountedCatalog,
    address: str,
    clock: Clock | None = None,
    *,
    fresh_seconds: float = 1.0,
    **options: Any,
) -> AsyncIterator[Scene]:
    """Looks at a catalog until the block ends."""
    view = Catalog(address, fresh_seconds=fresh_seconds, monotonic=clock or Clock(), **options)
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            yield Scene(catalog, channel, view)
        finally:
            await view.close()
