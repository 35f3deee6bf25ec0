"""Follows a watch for as long as somebody wants it: resumes, with jitter, wherever it broke."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncGenerator
from typing import Final, Generic, Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from shared.client.closing import Closing, client_closed
from shared.client.failure import HoldfastError, decode

# Bookmarks come every 5 s at least: two of them may be lost or late.
_SILENCE_SECONDS: Final = 12.0
_FIRST_WAIT_SECONDS: Final = 0.2
_LONGEST_WAIT_SECONDS: Final = 3.0
_RESUMABLE: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})
# How broken connections end calls, when no service spoke.
_BROKEN: Final = frozenset(
    {grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
)
_REFUSED_RESUME: Final = "INVALID_RESUME_TOKEN"


class _Resumable(Protocol):
    resume_token: bytes


class _Told(Protocol):
    @property
    def resume_token(self) -> bytes: ...


_Request = TypeVar("_Request", bound=_Resumable)
_Response = TypeVar("_Response", bound=_Told)


class Following(Generic[_Request, _Response]):
    """One watch, over as many streams as it takes.

    Attributes:
        is_anew: Whether the message just yielded begins the watch anew, because the service
            would not resume it: what was told before may not fit it.
    """

    def __init__(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[_Request, _Response],
        request: _Request,
        *,
        patience_seconds: float | None,
        closing: Closing | None = None,
        silence_seconds: float = _SILENCE_SECONDS,
        may_begin_anew: bool = True,
    ) -> None:
        """Asks nothing yet.

        Args:
            method: The watch's method.
            request: What is watched; its resume token is set here.
            patience_seconds: How long the first message may take, repetitions included; None
                for as long as it likes.
            closing: Ends it with its client.
            silence_seconds: After how long without a message a stream counts as broken.
            may_begin_anew: Whether a token that is refused is dropped. A watch of states then
                tells them all again; one of events would leave some out, and ends instead.
        """
        self._method = method
        self._request = request
        self._give_up_at = (
            math.inf if patience_seconds is None else time.monotonic() + patience_seconds
        )
        self._closing = closing or Closing()
        self._silence_seconds = silence_seconds
        self._may_begin_anew = may_begin_anew
        self.is_anew = False
        self._failures = 0
        self._has_begun = False

    async def messages(self) -> AsyncGenerator[_Response | HoldfastError]:
        """Yields each message and, whenever the stream broke and is to be resumed, why.

        Raises:
            HoldfastError: Refused, or no first message in time, or the client is closed.
        """
        while True:
            # A resumed stream goes on; one without a token tells everything again.
            self.is_anew = self._has_begun and not self._request.resume_token
            call = self._call()
            begun_at = time.monotonic()
            try:
                with self._closing.ends(call):
                    while True:
                        yield await self._next(call)
                        self.is_anew = False
            except _Broken as broken:
                failure = broken.failure
            self._judge(failure)
            yield failure
            if time.monotonic() - begun_at > _LONGEST_WAIT_SECONDS:
                self._failures = 0  # one that ends at once again and again is left in peace
            await self._closing.sleep(self._wait_seconds(failure))

    def _call(self) -> grpc.aio.UnaryStreamCall[_Request, _Response]:
        try:
            return self._method(self._request)
        except grpc.aio.UsageError:  # of a channel that was closed meanwhile
            raise client_closed() from None

    async def _next(self, call: grpc.aio.UnaryStreamCall[_Request, _Response]) -> _Response:
        try:
            async with asyncio.timeout(self._silence_seconds):
                message = await call.read()
        except TimeoutError:
            raise _Broken(self._failure("nothing was told for too long")) from None
        except grpc.aio.AioRpcError as error:
            raise _Broken(decode(error, self._service)) from error
        if message is grpc.aio.EOF:
            raise _Broken(self._failure("the stream ended"))
        found: _Response = message  # type: ignore[assignment]  # no end of the stream
        self._request.resume_token = found.resume_token
        self._has_begun = True
        return found

    def _judge(self, failure: HoldfastError) -> None:
        """Raises what another try does not mend."""
        is_refused = failure.reason == _REFUSED_RESUME and self._request.resume_token
        if is_refused and self._may_begin_anew:
            self._request.resume_token = b""
            return
        is_broken = failure.code in _BROKEN and not failure.is_answer
        if failure.code not in _RESUMABLE and not is_broken:
            raise failure
        if not self._has_begun and time.monotonic() >= self._give_up_at:
            raise failure

    def _wait_seconds(self, failure: HoldfastError) -> float:
        ceiling = min(_FIRST_WAIT_SECONDS * 2**self._failures, _LONGEST_WAIT_SECONDS)
        self._failures = min(self._failures + 1, 16)
        # From nothing up to the ceiling: a thousand watchers of one server come back one by one.
        wait = random.uniform(0, ceiling)  # noqa: S311  # spreads load, hides nothing
        least = failure.retry_after.total_seconds() if failure.retry_after else 0.0
        return max(wait, least)

    @property
    def _service(self) -> str:
        assert isinstance(self._request, Message)  # of a contract, as its stub wants it
        return self._request.DESCRIPTOR.full_name.split(".")[1]

    def _failure(self, text: str) -> HoldfastError:
        code = grpc.StatusCode.UNAVAILABLE
        return HoldfastError(code, code.name, text, service=self._service, is_answer=False)


class _Broken(Exception):
    def __init__(self, failure: HoldfastError) -> None:
        super().__init__(str(failure))
        self.failure = failure
