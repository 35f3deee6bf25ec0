"""Servers on a real database, a catalog of rooms and pools, and a clock that tests move."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import grpc
import psycopg

from holdfast.availability.v1 import availability_pb2, availability_pb2_grpc
from services.availability.bootstrap import wired
from services.availability.settings import AvailabilitySettings
from shared.runtime.clock import Clock
from shared.runtime.server import started
from tests.clock import ManualClock
from tests.contract.availability.world import NOW, FakeCatalog, length, running
from tests.faults.history import Facts, History
from tests.faults.recorder import Recorder, watching

QUARTER = timedelta(minutes=15)
ROOMS = tuple(f"room-{number}" for number in range(8))
POOLS = ("chairs", "lamps", "microphones")
BUFFERS = {"session": (15, 15), "visit": (0, 20)}
KEY = "a key that only tests know, of enough length"


@dataclass(slots=True)
class Scene:
    """One organization of a catalog, its clock, and everything that was recorded of it."""

    url: str
    catalog: FakeCatalog
    catalog_address: str
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    organization_id: str = field(default_factory=lambda: f"org-{uuid.uuid4().hex}")
    history: History = field(default_factory=lambda: History(Facts(frozenset(POOLS), BUFFERS)))

    def furnish(self) -> None:
        """Makes every room and pool bookable: ``session`` at once, ``visit`` when approved."""
        for resource_id in ROOMS + POOLS:
            for event_type_id, (before, after) in BUFFERS.items():
                self.catalog.offer(
                    self.organization_id,
                    resource_id,
                    event_type_id,
                    resource={"pool": resource_id in POOLS},
                    slot_interval=length(QUARTER),
                    flexible_duration={
                        "minimum": length(QUARTER),
                        "maximum": length(timedelta(days=7)),
                        "step": length(QUARTER),
                    },
                    buffer_before=length(timedelta(minutes=before)),
                    buffer_after=length(timedelta(minutes=after)),
                    requires_confirmation=event_type_id == "visit",
                )

    @asynccontextmanager
    async def recording(
        self, *, servers: int = 1, url: str = "", **changes: Any
    ) -> AsyncIterator[Recorder]:
        """Serves; what is called and what others see of the outbox goes into the history.

        Args:
            servers: How many, of the one store.
            url: Through which the servers reach it, where that is another way than the scene's.
            changes: Settings.
        """
        before = deadlocks(self.url)
        async with AsyncExitStack() as stack:
            channels = [
                await stack.enter_async_context(self.served(url, **changes)) for _ in range(servers)
            ]
            await stack.enter_async_context(watching(self.history, self.url, self.organization_id))
            yield Recorder(self.history, channels)
        self.history.deadlocks += deadlocks(self.url) - before

    async def verification(self) -> availability_pb2.VerifyInventoryResponse:
        """What VerifyInventory finds, asked of a server of its own."""
        async with self.served() as channel:
            stub = availability_pb2_grpc.AvailabilityServiceStub(channel)
            request = availability_pb2.VerifyInventoryRequest(organization_id=self.organization_id)
            answer: availability_pb2.VerifyInventoryResponse = await stub.VerifyInventory(
                request, timeout=60
            )
            return answer

    @asynccontextmanager
    async def served(self, url: str = "", **changes: Any) -> AsyncIterator[grpc.aio.Channel]:
        """Serves; yields a channel to it. The arguments are those of ``recording``."""
        settings = self._settings(url or self.url, changes)
        async with (
            started(settings, wired) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            yield channel

    def _settings(self, url: str, changes: dict[str, Any]) -> AvailabilitySettings:
        clock = self.clock

        class SceneSettings(AvailabilitySettings):
            def clock(self) -> Clock:
                return clock

        given = {
            "postgres_url": url,
            "catalog_address": self.catalog_address,
            "throwaway_data": True,
            "administration": True,
            "management_key": KEY,
        }
        return SceneSettings.model_validate(given | changes)


@asynccontextmanager
async def furnished(url: str) -> AsyncIterator[Scene]:
    """A furnished scene over a migrated database."""
    catalog = FakeCatalog()
    async with running(catalog) as address:
        found = Scene(url, catalog, address)
        found.furnish()
        yield found


def deadlocks(url: str) -> int:
    """How many deadlocks the database has had."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "select deadlocks from pg_stat_database where datname = current_database()"
        ).fetchone()
    return int(row[0]) if row else 0


def at(quarters: int) -> datetime:
    """So many quarter hours after the beginning."""
    return NOW + quarters * QUARTER
