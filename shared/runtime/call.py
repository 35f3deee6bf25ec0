"""What unary calls and streams have in common: limits, request ids, refusals, log lines."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError

from shared.runtime import log
from shared.runtime.failure import InvalidFields, Overloaded, Violation
from shared.runtime.status import DETAILS_KEY, ErrorTable, code_and_reason, status_of

REQUEST_ID_KEY = "x-request-id"

Context = grpc.aio.ServicerContext[Any, Any]

MessageT = TypeVar("MessageT")

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")
_OURS = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE})

logger = logging.getLogger("holdfast.call")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Limits of one server: calls at once, and seconds a unary call may take."""

    reads: int
    writes: int
    call_seconds: float
    slow_seconds: float


class Gate:
    """Counts calls in flight and refuses those past the limit, at once."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._inside = 0

    def enter(self) -> None:
        """Lets a call in; ``leave`` must follow.

        Raises:
            Overloaded: The limit is reached.
        """
        if self._inside >= self._limit:
            raise Overloaded(f"more than {self._limit} {self._name} at once")
        self._inside += 1

    def leave(self) -> None:
        """Lets it out."""
        self._inside -= 1

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Lets a call in and, at the end of the block, out.

        Raises:
            Overloaded: The limit is reached.
        """
        self.enter()
        try:
            yield
        finally:
            self.leave()


class Undecodable:
    """Stands for bytes that are not a message of the method's type."""


def decoder(decode: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Returns a deserializer that marks what it cannot read: gRPC's own would say INTERNAL."""

    def decode_or_mark(raw: bytes) -> object:
        try:
            return decode(raw)
        except DecodeError:
            return Undecodable()

    return decode_or_mark


def encoded(message: Any) -> bytes:
    """Serializes an answer, unless it is encoded already: once for many, or out of a cache."""
    return message if type(message) is bytes else message.SerializeToString()


def require_decoded(request: object) -> None:
    """Refuses a marked request.

    Raises:
        InvalidFields: It could not be read.
    """
    if isinstance(request, Undecodable):
        raise _undecodable()


def decoded(decode: Callable[[bytes], MessageT], raw: bytes) -> MessageT:
    """Reads a request that came as bytes.

    Raises:
        InvalidFields: It cannot be read.
    """
    try:
        return decode(raw)
    except DecodeError:
        raise _undecodable() from None


def _undecodable() -> InvalidFields:
    return InvalidFields([Violation("request", "is not a message of this method")])


class RequestId:
    """The caller's id of a call, else a new one: the same whenever it is asked for.

    To be settled when the call ends: whatever was begun in the call may ask later, when gRPC has
    freed the memory that its metadata lies in.
    """

    __slots__ = ("_context", "_found")

    def __init__(self, context: Context) -> None:
        self._context: Context | None = context
        self._found = ""

    def __call__(self) -> str:
        """Returns it; empty where nobody asked before the call ended."""
        # gRPC makes objects of all metadata when it is asked for any.
        if not self._found and self._context is not None:
            self._found = _request_id(self._context.invocation_metadata())
        return self._found

    def settle(self) -> None:
        """Lets go of the call."""
        self._context = None


def _request_id(metadata: Any) -> str:
    for key, value in metadata or ():
        if key == REQUEST_ID_KEY and _REQUEST_ID.match(value):
            return str(value)
    return f"{random.getrandbits(64):016x}"


def refuse(failure: Exception, context: Context, errors: ErrorTable) -> tuple[grpc.StatusCode, str]:
    """Makes a failure the call's status; returns its code and reason."""
    code, reason = code_and_reason(failure, errors)
    if code is grpc.StatusCode.INTERNAL:
        logger.error("a bug failed a call", exc_info=failure)
    status = status_of(failure, code, reason, log.request_id.get())
    # Cheaper than context.abort, which raises through every layer above.
    context.set_code(code)
    context.set_details(status.message)
    context.set_trailing_metadata(((DETAILS_KEY, status.SerializeToString()),))
    return code, reason


def log_call(name: str, code: grpc.StatusCode, reason: str, seconds: float) -> None:
    """Writes the line of a call that ended."""
    fields: dict[str, object] = {"method": name, "code": code.name}
    if reason:
        fields["reason"] = reason
    fields["ms"] = round(seconds * 1000, 3)
    level = logging.ERROR if code in _OURS else logging.INFO
    if logger.isEnabledFor(level):
        logger.handle(log.record(logger.name, level, "call ended", fields))
