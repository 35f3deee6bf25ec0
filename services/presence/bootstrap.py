"""Wires presence: the one place that chooses implementations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from holdfast.presence.v1 import presence_pb2_grpc
from services.presence.app.check import CheckHolds
from services.presence.app.count import CountHolders
from services.presence.app.follow import HoldFollower
from services.presence.app.gather import GatheredWishes
from services.presence.app.keep import KeepHold, KeepHolds
from services.presence.app.leave import LeaveHolds
from services.presence.app.list import ListHolders
from services.presence.app.loop import repeated
from services.presence.app.settle import SettleHolds
from services.presence.app.show import ShowPresence
from services.presence.app.stream import HeldStream
from services.presence.app.sweep import SweepHolds
from services.presence.app.want import WishHolds
from services.presence.app.watch import WatchHolds
from services.presence.rpc.errors import ERRORS
from services.presence.rpc.servicer import PresenceServicer
from services.presence.settings import PresenceSettings
from services.presence.storage.hold import RedisHolds
from services.presence.storage.log import RedisHoldLog
from services.presence.storage.reading import RedisHoldReader
from services.presence.storage.server import HoldServer
from services.presence.storage.tail import RedisLogTail
from services.presence.upstream.catalog import CatalogRules
from shared.runtime.channel import upstream_channel
from shared.runtime.failure import StartRefused
from shared.runtime.server import Service, Servicer

NAME: Final = "presence"

_SERVICE: Final = "holdfast.presence.v1.PresenceService"
# A heartbeat is no write here: it writes nothing durable, and comes every few seconds from
# everybody, so a log line for each would cost more than the call.
_WRITES: Final = frozenset({"Leave"})
# How long a resource that somebody begins to watch may wait for its first change.
_TAIL_WAIT: Final = timedelta(milliseconds=100)


@asynccontextmanager
async def wired(settings: PresenceSettings) -> AsyncIterator[Service]:
    """Opens the store and the catalog's channel, yields the service, closes both.

    Raises:
        StartRefused: The store cannot be reached, is too old, or its URL is none.
    """
    server, tail = _store(settings)
    channel = upstream_channel(settings.catalog_address)
    rules = CatalogRules(channel, settings.memory())
    log = RedisHoldLog(server, settings.terms(), log_length=settings.hold_log_length)
    follower = HoldFollower(
        log, tail, patience=settings.watch_patience(), linger=settings.watch_linger()
    )
    try:
        await server.verify()
        async with (
            repeated("sweep", SweepHolds(log), settings.sweep_interval()),
            repeated("follow", follower.round, timedelta(0)),
        ):
            yield _service(settings, server, rules, WatchHolds(follower, log))
    finally:
        await follower.close()
        await tail.close()
        await rules.close()
        await channel.close()
        await server.close()


def _store(settings: PresenceSettings) -> tuple[HoldServer, RedisLogTail]:
    patience = timedelta(seconds=settings.redis_timeout_seconds)
    url = settings.redis_url
    try:
        server = HoldServer(url, connections=settings.redis_connections, patience=patience)
        return server, RedisLogTail(url, patience=patience, wait=_TAIL_WAIT)
    except ValueError as error:
        raise StartRefused(f"HOLDFAST_REDIS_URL: {error}") from error


def _service(
    settings: PresenceSettings, server: HoldServer, rules: CatalogRules, watch: WatchHolds
) -> Service:
    terms = settings.terms()
    store = RedisHolds(server, terms, log_length=settings.hold_log_length)
    reader = RedisHoldReader(server)
    wish = WishHolds(rules)
    servicer = PresenceServicer(
        keep=KeepHold(KeepHolds(store, rules), wish),
        hold=partial(HeldStream, KeepHolds(GatheredWishes(store), rules), wish),
        leave=LeaveHolds(store),
        show=ShowPresence(store),
        watch=watch,
        list=ListHolders(reader),
        count=CountHolders(reader, rules),
        check=CheckHolds(reader, rules),
        settle=SettleHolds(store, reader, rules),
        renew_after=terms.renew_after,
    )
    add = presence_pb2_grpc.add_PresenceServiceServicer_to_server
    return Service(NAME, [Servicer(add, servicer, _SERVICE)], ERRORS, _WRITES)
