"""Wires presence: the one place that chooses implementations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from holdfast.presence.v1 import presence_pb2_grpc
from services.presence.app.keep import KeepHold
from services.presence.app.leave import LeaveHolds
from services.presence.app.show import ShowPresence
from services.presence.rpc.errors import ERRORS
from services.presence.rpc.servicer import PresenceServicer
from services.presence.settings import PresenceSettings
from services.presence.storage.hold import RedisHolds
from services.presence.storage.server import HoldServer
from services.presence.upstream.catalog import CatalogRules
from shared.runtime.channel import upstream_channel
from shared.runtime.failure import StartRefused
from shared.runtime.server import Service, Servicer

NAME: Final = "presence"

_SERVICE: Final = "holdfast.presence.v1.PresenceService"
# A heartbeat is no write here: it writes nothing durable, and comes every few seconds from
# everybody, so a log line for each would cost more than the call.
_WRITES: Final = frozenset({"Leave"})


@asynccontextmanager
async def wired(settings: PresenceSettings) -> AsyncIterator[Service]:
    """Opens the store and the catalog's channel, yields the service, closes both.

    Raises:
        StartRefused: The store cannot be reached, is too old, or its URL is none.
    """
    server = _hold_server(settings)
    channel = upstream_channel(settings.catalog_address)
    rules = CatalogRules(channel, settings.memory())
    try:
        await server.verify()
        yield _service(settings, server, rules)
    finally:
        await rules.close()
        await channel.close()
        await server.close()


def _hold_server(settings: PresenceSettings) -> HoldServer:
    try:
        return HoldServer(
            settings.redis_url,
            connections=settings.redis_connections,
            patience=timedelta(seconds=settings.redis_timeout_seconds),
        )
    except ValueError as error:
        raise StartRefused(f"HOLDFAST_REDIS_URL: {error}") from error


def _service(settings: PresenceSettings, server: HoldServer, rules: CatalogRules) -> Service:
    terms = settings.terms()
    store = RedisHolds(server, terms)
    servicer = PresenceServicer(
        keep=KeepHold(store, rules),
        leave=LeaveHolds(store),
        show=ShowPresence(store),
        renew_after=terms.renew_after,
    )
    add = presence_pb2_grpc.add_PresenceServiceServicer_to_server
    return Service(NAME, [Servicer(add, servicer, _SERVICE)], ERRORS, _WRITES)
