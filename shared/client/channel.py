"""Opens connections to a service, the same way for every caller."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import grpc.aio

_MEBIBYTE: Final = 1024 * 1024

_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    # Every replica behind a name gets its share of the calls.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    # Repeating is decided call by call, beside the deadline: see Client.call.
    ("grpc.enable_retries", 0),
    # A service that comes back is found within two seconds, not after minutes of backing off.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A peer that is gone without a word is noticed while calls wait for it.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A page of the longest rows is larger than gRPC's 4 MiB.
    ("grpc.max_receive_message_length", 64 * _MEBIBYTE),
    # The services are neighbours: a proxy for the web has no business in between.
    ("grpc.enable_http_proxy", 0),
)


def open_channel(target: str) -> grpc.aio.Channel:
    """Returns a channel; it connects with the first call and belongs to the running loop."""
    agent = ("grpc.primary_user_agent", f"holdfast/{client_version()}")
    return grpc.aio.insecure_channel(target, options=(*_OPTIONS, agent))


def client_version() -> str:
    """Returns the version of the installed distribution."""
    try:
        return version("holdfast")
    except PackageNotFoundError:
        return "unknown"
