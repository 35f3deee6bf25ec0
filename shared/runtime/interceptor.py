"""What happens around every unary call: limits, deadline, errors, metrics, logs."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from shared.runtime import deadline, log
from shared.runtime.failure import DeadlinePassed, InvalidFields, Overloaded, Violation
from shared.runtime.metrics import CallMetrics
from shared.runtime.status import DETAILS_KEY, ErrorTable, code_and_reason, status_of

REQUEST_ID_KEY = "x-request-id"

Context = grpc.aio.ServicerContext[Any, Any]
Behavior = Callable[[Any, Context], Awaitable[Any]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")
_OURS = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE})

logger = logging.getLogger("holdfast.call")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Limits of one server: calls at once, and seconds a call may take."""

    reads: int
    writes: int
    call_seconds: float
    slow_seconds: float


class _Gate:
    """Counts calls in flight and refuses those past the limit, at once."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._inside = 0

    def enter(self) -> None:
        if self._inside >= self._limit:
            raise Overloaded(f"more than {self._limit} {self._name} at once")
        self._inside += 1

    def leave(self) -> None:
        self._inside -= 1


class _Undecodable:
    """Stands for bytes that are not a message of the method's type."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the unary methods of a service; one wrapper a method, made once.

    Args:
        names: Full method path ("/package.Service/Method") to its short name, for every
            method to wrap; others (health, reflection) pass through.
        writes: Short names of the methods that change something.
        errors: The service's table.
        bounds: Limits.
        metrics: Where calls are counted.
    """

    def __init__(
        self,
        *,
        names: Mapping[str, str],
        writes: frozenset[str],
        errors: ErrorTable,
        bounds: Bounds,
        metrics: CallMetrics,
    ) -> None:
        self._names = names
        self._writes = writes
        self._errors = errors
        self._bounds = bounds
        self._metrics = metrics
        self._read_gate = _Gate("reads", bounds.reads)
        self._write_gate = _Gate("writes", bounds.writes)
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The method's wrapped handler; gRPC calls it for every call."""
        path: Any = handler_call_details.method
        wrapped = self._wrapped.get(path)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            name = self._names.get(path)
            if handler is None or name is None or handler.unary_unary is None:
                return handler
            wrapped = self._wrapped[path] = self._wrap(name, handler)
        return wrapped

    def _wrap(
        self, name: str, handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        behavior: Any = handler.unary_unary
        decode: Any = handler.request_deserializer
        is_write = name in self._writes
        gate = self._write_gate if is_write else self._read_gate
        count = self._metrics.ended
        slow_seconds = self._bounds.slow_seconds

        def decode_or_mark(raw: bytes) -> object:
            try:
                return decode(raw)
            except DecodeError:
                return _Undecodable()

        async def call(request: Any, context: Context) -> Any:
            now = asyncio.get_running_loop().time
            begun = now()
            log.request_id.set(_request_id(context))
            code = grpc.StatusCode.OK
            reason = ""
            try:
                gate.enter()
                try:
                    return await self._bounded(behavior, request, context)
                finally:
                    gate.leave()
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as failure:  # noqa: BLE001  # every failure becomes a status
                code, reason = self._refuse(failure, context)
            finally:
                seconds = now() - begun
                count(name, code.name, seconds)
                if is_write or reason or seconds > slow_seconds:
                    _log_call(name, code, reason, seconds)

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=decode_or_mark,
            response_serializer=handler.response_serializer,
        )

    async def _bounded(self, behavior: Behavior, request: Any, context: Context) -> Any:
        if isinstance(request, _Undecodable):
            raise InvalidFields([Violation("request", "is not a message of this method")])
        remaining: float | None = context.time_remaining()
        bound = self._bounds.call_seconds
        if remaining is not None and remaining <= bound:
            # gRPC itself cancels the handler when the caller's deadline passes.
            deadline.begin(remaining)
            return await behavior(request, context)
        deadline.begin(bound)
        try:
            async with asyncio.timeout(bound):
                return await behavior(request, context)
        except TimeoutError as error:
            raise DeadlinePassed from error

    def _refuse(self, failure: Exception, context: Context) -> tuple[grpc.StatusCode, str]:
        code, reason = code_and_reason(failure, self._errors)
        if code is grpc.StatusCode.INTERNAL:
            logger.error("a bug failed a call", exc_info=failure)
        status = status_of(failure, code, reason, log.request_id.get())
        # Cheaper than context.abort, which raises through every layer above.
        context.set_code(code)
        context.set_details(status.message)
        context.set_trailing_metadata(((DETAILS_KEY, status.SerializeToString()),))
        return code, reason


def _request_id(context: Context) -> str:
    metadata: Any = context.invocation_metadata()
    for key, value in metadata or ():
        if key == REQUEST_ID_KEY and _REQUEST_ID.match(value):
            return str(value)
    return os.urandom(8).hex()


def _log_call(name: str, code: grpc.StatusCode, reason: str, seconds: float) -> None:
    fields: dict[str, object] = {"method": name, "code": code.name}
    if reason:
        fields["reason"] = reason
    level = logging.ERROR if code in _OURS else logging.INFO
    logger.log(level, "call ended", extra=fields | {"ms": round(seconds * 1000, 3)})
