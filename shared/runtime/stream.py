"""What happens around every stream: limit, errors, metrics, logs, and an end before a drain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from shared.runtime import log
from shared.runtime.call import (
    Context,
    Gate,
    RequestId,
    Undecodable,
    decoder,
    encoded,
    log_call,
    refuse,
    require_decoded,
)
from shared.runtime.failure import Draining
from shared.runtime.metrics import CallMetrics
from shared.runtime.status import ErrorTable

Behavior = Callable[[Any, Context], Awaitable[None]]

_OF_MANY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})

logger = logging.getLogger("holdfast.call")


class Streams:
    """Wraps streaming methods, and knows which of their calls are open.

    Behaviors are coroutines that write to the context, messages or their bytes. They end when
    the caller goes, and when the server drains: both reach them as a cancellation, which they
    let pass.
    """

    def __init__(self, *, limit: int, errors: ErrorTable, metrics: CallMetrics) -> None:
        self._errors = errors
        self._metrics = metrics
        self._limit = limit
        self._open: set[asyncio.Task[Any]] = set()
        self._ended: set[asyncio.Task[Any]] = set()
        self._draining = False

    def wrap(
        self, name: str, handler: grpc.RpcMethodHandler[Any, Any]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler to use instead of a streaming method's own."""
        decode: Any = handler.request_deserializer
        # One a method: who floods one of them does not keep callers from the others.
        gate = Gate(f"{name} streams", self._limit)
        options: dict[str, Any] = {
            "request_deserializer": decoder(decode),
            "response_serializer": encoded,
        }
        if handler.stream_stream is not None:
            behavior: Any = handler.stream_stream

            async def talk(requests: AsyncIterator[Any], context: Context) -> None:
                await self._call(name, gate, behavior, _decoded(requests), context)

            return grpc.stream_stream_rpc_method_handler(talk, **options)
        behavior = handler.unary_stream

        async def tell(request: Any, context: Context) -> None:
            await self._call(name, gate, behavior, request, context)

        return grpc.unary_stream_rpc_method_handler(tell, **options)

    async def end(self, seconds: float) -> None:
        """Ends every open stream with UNAVAILABLE and lets no new one begin.

        Args:
            seconds: How long to wait for them.
        """
        self._draining = True
        if not self._open:
            return
        logger.info("streams end", extra={"streams": len(self._open)})
        ending = list(self._open)
        for task in ending:
            self._ended.add(task)
            task.cancel()
        await asyncio.wait(ending, timeout=seconds)

    async def _call(
        self, name: str, gate: Gate, behavior: Behavior, request: Any, context: Context
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # a coroutine of gRPC's runs in one
        now = asyncio.get_running_loop().time
        begun = now()
        request_id = RequestId(context)
        log.request_id.set(request_id)
        request_id()  # the line of its end may want it when the caller has gone
        code, reason = grpc.StatusCode.OK, ""
        self._open.add(task)
        self._metrics.stream_began(name)
        try:
            await self._served(gate, behavior, request, context)
        except asyncio.CancelledError:
            if task not in self._ended:
                code = grpc.StatusCode.CANCELLED
                raise
            task.uncancel()
            code, _ = refuse(Draining(), context, self._errors)
        except Exception as failure:  # noqa: BLE001  # every failure becomes a status
            code, reason = refuse(failure, context, self._errors)
        finally:
            self._open.discard(task)
            self._ended.discard(task)
            self._metrics.stream_ended(name, code.name)
            # What takes many streams at once (an outage, a drain, a flood) is counted, and has
            # been logged once where it is ours.
            if reason and code not in _OF_MANY:
                log_call(name, code, reason, now() - begun)
            request_id.settle()

    async def _served(self, gate: Gate, behavior: Behavior, request: Any, context: Context) -> None:
        if self._draining:
            raise Draining
        with gate.inside():
            require_decoded(request)
            await behavior(request, context)


async def _decoded(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        if isinstance(request, Undecodable):
            require_decoded(request)
        yield request
