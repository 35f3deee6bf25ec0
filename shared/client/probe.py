"""Asks a service whether it is up, and how fast it answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import grpc
import grpc.aio

from shared.client.channel import open_channel
from shared.client.failure import cause

_CHECK: Final = "/grpc.health.v1.Health/Check"
# HealthCheckRequest without a service's name, and what HealthCheckResponse then holds in its
# one field. So small that the package that defines them is not worth installing everywhere.
_WHOLE_SERVER: Final = b""
_STATUS: Final = {b"\x08\x01": "serving", b"\x08\x02": "not serving", b"": "unknown"}
# Holdfast's services tell these with their health.
_VERSION_KEY: Final = "x-holdfast-version"
_TIME_KEY: Final = "x-holdfast-time"
_ROUNDS: Final = 5

SERVING: Final = "serving"


@dataclass(frozen=True, slots=True)
class Health:
    """What a service says of itself."""

    status: str  # serving, not serving, unknown, unreachable, no answer, or a status code's name
    detail: str = ""  # why it could not be asked
    round_trip: timedelta | None = None  # the fastest of some
    version: str = ""  # of Holdfast, as the service tells it
    time: datetime | None = None  # by the service's clock


async def probe(target: str, patience: timedelta) -> Health:
    """Returns what the service at an address says; never fails.

    Args:
        target: The address, as gRPC takes it.
        patience: For each question.
    """
    seconds = patience.total_seconds()
    async with open_channel(target) as channel:
        check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_CHECK)
        fastest: float | None = None
        answer = b""
        told: dict[str, str] = {}
        for _ in range(_ROUNDS):
            begun = time.perf_counter()
            try:
                call = check(_WHOLE_SERVER, timeout=seconds)
                answer = await call
                told = {key: str(value) for key, value in await call.initial_metadata()}
            except grpc.aio.AioRpcError as error:
                return _failed(error, seconds)
            took = time.perf_counter() - begun
            fastest = took if fastest is None else min(fastest, took)
        return Health(
            _STATUS.get(answer, "unknown"),
            round_trip=timedelta(seconds=fastest) if fastest is not None else None,
            version=told.get(_VERSION_KEY, ""),
            time=_instant(told.get(_TIME_KEY, "")),
        )


def _instant(told: str) -> datetime | None:
    try:
        return datetime.fromisoformat(told)
    except ValueError:
        return None


def _failed(error: grpc.aio.AioRpcError, seconds: float) -> Health:
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return Health("unreachable", cause(error.details() or ""))
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Health("no answer", f"within {seconds:g} s")
    return Health(error.code().name, error.details() or "")
