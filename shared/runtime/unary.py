"""What happens around every unary call: limits, deadline, errors, metrics, logs.

Methods are wrapped where they are registered: gRPC's own interceptors cost each call about 20 us.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from shared.runtime import deadline, log
from shared.runtime.call import (
    Bounds,
    Context,
    Gate,
    RequestId,
    decoder,
    encoded,
    log_call,
    refuse,
    require_decoded,
)
from shared.runtime.failure import DeadlinePassed
from shared.runtime.metrics import CallMetrics
from shared.runtime.patience import Patience
from shared.runtime.status import ErrorTable


class Calls:
    """Wraps the unary methods of a service.

    Args:
        writes: Short names of the methods that change something.
        undecoded: Short names of the methods that take a request's bytes.
        errors: The service's table.
        bounds: Limits.
        metrics: Where calls are counted.
    """

    def __init__(
        self,
        *,
        writes: frozenset[str],
        undecoded: frozenset[str] = frozenset(),
        errors: ErrorTable,
        bounds: Bounds,
        metrics: CallMetrics,
    ) -> None:
        self._writes = writes
        self._undecoded = undecoded
        self._errors = errors
        self._bounds = bounds
        self._metrics = metrics
        self._read_gate = Gate("reads", bounds.reads)
        self._write_gate = Gate("writes", bounds.writes)
        self._patience = Patience(bounds.call_seconds)

    def wrap(
        self, name: str, handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler to use instead of a method's own."""
        behavior: Any = handler.unary_unary
        decode: Any = handler.request_deserializer
        is_write = name in self._writes
        gate = self._write_gate if is_write else self._read_gate
        count = self._metrics.ended
        slow_seconds = self._bounds.slow_seconds

        bound, patience = self._bounds.call_seconds, self._patience
        ok = grpc.StatusCode.OK

        async def call(request: Any, context: Context) -> Any:
            # Every call pays for each step of this: it is one function, and asks once.
            loop = asyncio.get_running_loop()
            begun = loop.time()
            request_id = RequestId(context)
            log.request_id.set(request_id)
            if is_write:
                request_id()  # its line will want it, perhaps when the caller has gone
            code, reason = ok, ""
            bounded: asyncio.Task[Any] | None = None
            try:
                gate.enter()
                try:
                    require_decoded(request)
                    remaining: float | None = context.time_remaining()
                    if remaining is None or remaining > bound:
                        remaining = bound
                        # Else gRPC itself cancels the call when its caller's deadline passes.
                        bounded = patience.begin(begun)
                    deadline.begin_until(begun + remaining)
                    return await behavior(request, context)
                finally:
                    gate.leave()
            except asyncio.CancelledError:
                if bounded is None or not patience.is_over(bounded):
                    code = grpc.StatusCode.CANCELLED
                    request_id.settle()
                    raise
                code, reason = refuse(DeadlinePassed(), context, self._errors)
            except Exception as failure:  # noqa: BLE001  # every failure becomes a status
                code, reason = refuse(failure, context, self._errors)
            finally:
                if bounded is not None:
                    patience.end(bounded)
                seconds = loop.time() - begun
                # An enum's name is found out by a call.
                count(name, "OK" if code is ok else code.name, seconds)
                if is_write or reason or seconds > slow_seconds:
                    log_call(name, code, reason, seconds)
                request_id.settle()

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=None if name in self._undecoded else decoder(decode),
            response_serializer=encoded,
        )
