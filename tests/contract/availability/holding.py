"""An availability that asks a real presence, and what Prometheus reads of it."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from prometheus_client.parser import text_string_to_metric_families

from holdfast.presence.v1.hold_check_pb2 import CheckHoldsRequest
from services.presence.bootstrap import wired
from services.presence.settings import PresenceSettings
from shared.runtime.server import started
from tests.contract.availability.conftest import StillSettings, served
from tests.contract.availability.engine import MONDAY, NINE, QUARTER, size
from tests.contract.availability.world import Caller, FakeCatalog, length
from tests.contract.presence.catalog import Catalog, running_catalog
from tests.contract.presence.client import Client, new_session
from tests.contract.presence.streams import Watching

PATIENT_SECONDS = 10
# What is tested is not how busy this machine is.
PATIENT_CHECK_MILLISECONDS = 1000


@dataclass(frozen=True)
class HoldScene:
    """One organization, seen by both services.

    Attributes:
        caller: Books.
        presence: Holds.
        bookable: What availability knows of the organization's resources.
        holdable: What presence knows of every organization's.
    """

    caller: Caller
    presence: Client
    bookable: FakeCatalog
    holdable: Catalog

    def elsewhere(self) -> HoldScene:
        """The same servers, and an organization of its own with studio-a."""
        caller = self.caller.elsewhere()
        presence = Client(self.presence.channel, caller.organization_id, self.presence.address)
        scene = HoldScene(caller, presence, self.bookable, self.holdable)
        scene.offer()
        return scene

    def offer(self, resource_id: str = "studio-a", **rules: Any) -> None:
        """Makes a resource bookable at each quarter hour."""
        organization_id = self.caller.organization_id
        given = {"slot_interval": length(QUARTER)} | rules
        self.bookable.offer(organization_id, resource_id, **given)

    async def offer_pool(self, resource_id: str, units: int, **rules: Any) -> None:
        """Makes a pool bookable, whose units presence queues for."""
        self.offer(resource_id, resource={"pool": True}, **rules)
        self.holdable.know(resource_id, pool=True)
        await size(self.caller, resource_id, units)

    async def hold(self, resource_id: str = "studio-a", **options: Any) -> str:
        """Holds an hour from nine on, unless it is told otherwise; returns the session."""
        session = new_session()
        await self.presence.heartbeat(session, resource_id, **({"start": NINE} | options))
        return session

    def watch(self, *resource_ids: str) -> Watching:
        """Watches what is held of the Monday."""
        return self.presence.watch(*resource_ids, dates=(MONDAY,))


@asynccontextmanager
async def hold_scene(
    availability_url: str, catalog: tuple[FakeCatalog, str], store_url: str, **changes: Any
) -> AsyncIterator[HoldScene]:
    """Both services, in this process."""
    async with running_presence(store_url) as (presence, holdable):
        given = {
            "postgres_url": availability_url,
            "catalog_address": catalog[1],
            "throwaway_data": True,
            "presence_address": presence.address,
            "hold_check_milliseconds": PATIENT_CHECK_MILLISECONDS,
        }
        async with served(StillSettings.model_validate(given | changes)) as caller:
            yield HoldScene(caller, presence, catalog[0], holdable)


@asynccontextmanager
async def presence_of(
    store_url: str, catalog_address: str, **changes: Any
) -> AsyncIterator[Client]:
    """A presence that waits for others longer than by default."""
    settings = {
        "redis_url": store_url,
        "catalog_address": catalog_address,
        "catalog_timeout_seconds": PATIENT_SECONDS,
        "redis_timeout_seconds": PATIENT_SECONDS,
    } | changes
    async with (
        started(PresenceSettings.model_validate(settings), wired) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        yield Client(channel, address=running.address)


@asynccontextmanager
async def running_presence(store_url: str, **changes: Any) -> AsyncIterator[tuple[Client, Catalog]]:
    """A presence with a catalog that knows what a test tells it."""
    catalog = Catalog()
    async with (
        running_catalog(catalog) as address,
        presence_of(store_url, address, **changes) as presence,
    ):
        yield presence, catalog


@asynccontextmanager
async def silent_presence(asked: asyncio.Queue[int]) -> AsyncIterator[str]:
    """A server that takes every call and answers none; yields its address.

    Of each question it tells about how many bookings it is; about none where only the time is
    wanted.
    """

    async def stay_silent(request: CheckHoldsRequest, context: Any) -> None:
        if request.checks:
            asked.put_nowait(len(request.checks))
        await asyncio.Event().wait()

    async with _answering(stay_silent) as address:
        yield address


@asynccontextmanager
async def babbling_presence(*answers: bytes) -> AsyncIterator[str]:
    """A server whose answers, one after the other, are these bytes; yields its address."""
    left = list(answers)

    async def babble(request: CheckHoldsRequest, context: Any) -> bytes:
        del request, context
        return left.pop(0)

    async with _answering(babble) as address:
        yield address


@asynccontextmanager
async def _answering(check_holds: Callable[..., Any]) -> AsyncIterator[str]:
    handlers: dict[str, Any] = {
        "CheckHolds": grpc.unary_unary_rpc_method_handler(
            check_holds, request_deserializer=CheckHoldsRequest.FromString
        ),
    }
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    name = "holdfast.presence.v1.PresenceService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def counts(metrics_port: int, name: str) -> dict[str, float]:
    """What a counter says, by outcome; those never counted are left out."""
    return {
        sample.labels["outcome"]: sample.value
        for sample in await _samples(metrics_port)
        if sample.name == f"{name}_total" and sample.value
    }


async def gauge(metrics_port: int, name: str) -> float:
    """What a gauge without labels says."""
    (found,) = [each.value for each in await _samples(metrics_port) if each.name == name]
    return float(found)


async def _samples(metrics_port: int) -> list[Any]:
    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics") as answer:
            text: str = answer.read().decode()
            return text

    text = await asyncio.to_thread(read)
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]
