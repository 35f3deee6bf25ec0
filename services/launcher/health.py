"""Asks servers whether they serve. Imports gRPC: 200 ms, best spent while services start."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2

from services.launcher.listener import Listener

_CHECK = "/grpc.health.v1.Health/Check"
_CHECK_SECONDS = 2.0


def is_serving(listener: Listener) -> bool:
    """Asks a server whether it serves, in the words of grpc.health.v1."""
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(listener.target, options) as channel:
        check = channel.unary_unary(
            _CHECK,
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(), timeout=_CHECK_SECONDS)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
