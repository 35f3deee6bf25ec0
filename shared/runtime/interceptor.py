"""What happens around every unary call: limits, deadline, errors, metrics, logs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc

from shared.runtime import deadline, log
from shared.runtime.call import (
    Bounds,
    Context,
    Gate,
    decoder,
    encoded,
    log_call,
    refuse,
    request_id,
    require_decoded,
)
from shared.runtime.failure import DeadlinePassed
from shared.runtime.metrics import CallMetrics
from shared.runtime.status import ErrorTable
from shared.runtime.stream import Streams

Behavior = Callable[[Any, Context], Awaitable[Any]]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the methods of a service; one wrapper a method, made once.

    Args:
        names: Full method path ("/package.Service/Method") to its short name, for every
            method to wrap; others (health, reflection) pass through.
        writes: Short names of the unary methods that change something.
        errors: The service's table.
        bounds: Limits.
        metrics: Where calls are counted.
        streams: Wraps the streaming methods.
    """

    def __init__(
        self,
        *,
        names: Mapping[str, str],
        writes: frozenset[str],
        errors: ErrorTable,
        bounds: Bounds,
        metrics: CallMetrics,
        streams: Streams,
    ) -> None:
        self._names = names
        self._writes = writes
        self._errors = errors
        self._bounds = bounds
        self._metrics = metrics
        self._streams = streams
        self._read_gate = Gate("reads", bounds.reads)
        self._write_gate = Gate("writes", bounds.writes)
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
            if handler is None or name is None:
                return handler
            is_unary = handler.unary_unary is not None
            wrapped = self._wrap(name, handler) if is_unary else self._streams.wrap(name, handler)
            self._wrapped[path] = wrapped
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

        async def call(request: Any, context: Context) -> Any:
            now = asyncio.get_running_loop().time
            begun = now()
            log.request_id.set(request_id(context))
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
                code, reason = refuse(failure, context, self._errors)
            finally:
                seconds = now() - begun
                count(name, code.name, seconds)
                if is_write or reason or seconds > slow_seconds:
                    log_call(name, code, reason, seconds)

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=decoder(decode),
            response_serializer=encoded,
        )

    async def _bounded(self, behavior: Behavior, request: Any, context: Context) -> Any:
        require_decoded(request)
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
