"""Channels to the services behind a server."""

from __future__ import annotations

from typing import Final

import grpc

_OPTIONS: Final = (
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.initial_reconnect_backoff_ms", 200),
    # gRPC's own two minutes would outlast an outage by as much.
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)


def upstream_channel(target: str) -> grpc.aio.Channel:
    """A channel to every address of ``target``, soon back after an outage.

    Args:
        target: host:port or another gRPC target ("dns:///catalog:50051"). Plain text: what
            lies between is loopback, or encrypted by a mesh.
    """
    return grpc.aio.insecure_channel(target, options=_OPTIONS)
