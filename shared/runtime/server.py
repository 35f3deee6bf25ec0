"""Starts a service, serves it, and drains it in an order that loses no call."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.registry import Collector

from shared.runtime.call import Bounds, Context
from shared.runtime.clock import Clock
from shared.runtime.failure import StartRefused
from shared.runtime.metrics import CallMetrics
from shared.runtime.settings import ServerSettings
from shared.runtime.status import ErrorTable
from shared.runtime.stream import Streams
from shared.runtime.unary import Calls

SettingsT = TypeVar("SettingsT", bound=ServerSettings)

VERSION_KEY = "x-holdfast-version"
TIME_KEY = "x-holdfast-time"

_SERVING = health_pb2.HealthCheckResponse.SERVING
_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_MOST_PENDING = 20_000

logger = logging.getLogger("holdfast.server")


@dataclass(frozen=True)
class Servicer:
    """One gRPC service: the generated ``add_…_to_server``, its servicer, its full name."""

    add: Callable[[Any, Any], None]
    implementation: object
    name: str


@dataclass(frozen=True)
class Service:
    """What a bootstrap hands to the kit.

    Attributes:
        name: Short name, in logs and in health checks.
        servicers: What is served.
        errors: The service's total table of failures.
        writes: Short names of the methods that change something.
        metrics: What the service itself counts, for Prometheus.
        undecoded: Short names of the unary methods that take a request's bytes, and decode it if
            they need to.
    """

    name: str
    servicers: Sequence[Servicer]
    errors: ErrorTable
    writes: frozenset[str]
    metrics: Sequence[Collector] = ()
    undecoded: frozenset[str] = frozenset()


Wiring = Callable[[SettingsT], AbstractAsyncContextManager[Service]]


@dataclass(frozen=True)
class Running:
    """A server that answers at ``address`` ("host:port")."""

    address: str


@asynccontextmanager
async def started(settings: SettingsT, wired: Wiring[SettingsT]) -> AsyncIterator[Running]:
    """Serves until the block ends, then drains.

    Drain order: health says NOT_SERVING, load balancers get ``drain_delay_seconds`` to
    notice, streams are told to go elsewhere, new calls are refused while those in flight end,
    stores close last.

    Raises:
        StartRefused: The settings or the stores do not allow it, or the port is taken.
    """
    _refuse_exposed_listeners(settings)
    async with wired(settings) as service:
        registry = CollectorRegistry()
        for collector in service.metrics:
            registry.register(collector)
        metrics = CallMetrics(registry)
        streams = Streams(
            limit=settings.max_concurrent_streams, errors=service.errors, metrics=metrics
        )
        server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),  # else a second server shares the port silently
                ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
                # Beyond its own limit of 1,000 gRPC cancels calls without a word: ours refuses.
                ("grpc.server.max_pending_requests", _MOST_PENDING),
                ("grpc.server.max_pending_requests_hard_limit", 2 * _MOST_PENDING),
                ("grpc.keepalive_permit_without_calls", 1),
                # A watcher that vanished without a word is noticed, and its stream ended.
                ("grpc.keepalive_time_ms", 20_000),
                ("grpc.keepalive_timeout_ms", 5_000),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ],
        )
        probe = _Health(settings.clock())
        methods = _Registry(server, _calls(settings, service, metrics), streams)
        for servicer in service.servicers:
            servicer.add(servicer.implementation, methods)
        health_pb2_grpc.add_HealthServicer_to_server(probe, server)
        if settings.reflection:
            _serve_reflection(service, server)
        port = _bind(server, settings.listen)
        with _metrics_served(settings, registry):
            await server.start()
            for name in ("", service.name, *(s.name for s in service.servicers)):
                await probe.set(name, _SERVING)
            address = f"{settings.listen.rpartition(':')[0]}:{port}"
            logger.info("serving", extra={"address": address})
            try:
                yield Running(address)
            finally:
                await probe.enter_graceful_shutdown()
                await asyncio.sleep(settings.drain_delay_seconds)
                # gRPC neither tells streams of a stop nor waits for them: it cuts them off.
                await streams.end(settings.drain_seconds)
                await server.stop(settings.drain_seconds)
                logger.info("drained")


async def serve_until_signalled(settings: SettingsT, wired: Wiring[SettingsT]) -> None:
    """Serves until SIGTERM, SIGINT or SIGHUP, then drains.

    Raises:
        StartRefused: As ``started``.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    async with started(settings, wired):
        await stop.wait()


def _refuse_exposed_listeners(settings: ServerSettings) -> None:
    if settings.listens_on_loopback():
        return
    if settings.clock_offset_seconds:
        raise StartRefused("a moved clock is for loopback listeners only")
    if not settings.allow_plaintext:
        raise StartRefused(
            f"{settings.listen} is not loopback, and this server speaks plain text: "
            "set HOLDFAST_ALLOW_PLAINTEXT=1 if a mesh or a proxy encrypts"
        )


def _calls(settings: ServerSettings, service: Service, metrics: CallMetrics) -> Calls:
    return Calls(
        writes=service.writes,
        undecoded=service.undecoded,
        errors=service.errors,
        bounds=Bounds(
            reads=settings.max_concurrent_reads,
            writes=settings.max_concurrent_writes,
            call_seconds=settings.call_timeout_seconds,
            slow_seconds=settings.slow_call_seconds,
        ),
        metrics=metrics,
    )


class _Registry:
    """What generated code registers methods with; they get there wrapped."""

    def __init__(self, server: grpc.aio.Server, calls: Calls, streams: Streams) -> None:
        self._server = server
        self._calls = calls
        self._streams = streams

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """Nothing: the same methods are registered by name."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Registers the methods of a service."""
        wrapped = {name: self._wrapped(name, handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, wrapped),)
        )

    def _wrapped(
        self, name: str, handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        wrap = self._calls.wrap if handler.unary_unary is not None else self._streams.wrap
        return wrap(name, handler)


def _bind(server: grpc.aio.Server, listen: str) -> int:
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise StartRefused(f"cannot listen on {listen}: taken, or not an address here") from error
    if port == 0:
        raise StartRefused(f"cannot listen on {listen}: taken, or not an address here")
    return port


@contextmanager
def _metrics_served(settings: ServerSettings, registry: CollectorRegistry) -> Iterator[None]:
    if settings.metrics_listen is None:
        yield
        return
    host, _, port = settings.metrics_listen.rpartition(":")
    try:
        endpoint, thread = start_http_server(int(port), host, registry)
    except OSError as error:
        raise StartRefused(f"cannot serve metrics on {settings.metrics_listen}: {error}") from error
    try:
        yield
    finally:
        endpoint.shutdown()
        endpoint.server_close()
        thread.join()


class _Health(health.aio.HealthServicer):
    """Health checks that also tell, in their metadata, who answers and what time it is there."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._version = importlib.metadata.version("holdfast")

    async def Check(  # noqa: N802  # gRPC's name
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        await context.send_initial_metadata(
            ((VERSION_KEY, self._version), (TIME_KEY, self._clock.now().isoformat()))
        )
        return await super().Check(request, context)


def _serve_reflection(service: Service, server: grpc.aio.Server) -> None:
    from grpc_reflection.v1alpha import reflection  # noqa: PLC0415  # only where asked for

    names = [servicer.name for servicer in service.servicers]
    reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
