"""Turns failures into google.rpc.Status: a code, a reason, details for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from shared.runtime.failure import (
    CallerSilent,
    DeadlinePassed,
    Draining,
    Failure,
    InvalidFields,
    InvalidPageToken,
    InvalidResumeToken,
    Overloaded,
    ReaderTooSlow,
    RequestIdReused,
    StoreUnavailable,
)

DOMAIN = "holdfast"
DETAILS_KEY = "grpc-status-details-bin"

ErrorTable = Mapping[type[Failure], tuple[grpc.StatusCode, str]]

KIT_ERRORS: ErrorTable = MappingProxyType(
    {
        InvalidFields: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
        RequestIdReused: (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED"),
        InvalidPageToken: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"),
        InvalidResumeToken: (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN"),
        Overloaded: (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
        StoreUnavailable: (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
        Draining: (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
        ReaderTooSlow: (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
        CallerSilent: (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        DeadlinePassed: (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    }
)

# A status travels in trailers, and clients refuse trailers past 8 KiB: a refusal that names
# everything would reach nobody.
_MAX_DETAIL_BYTES = 2_200
_MAX_MESSAGE = 600
_MAX_MESSAGE_ENCODED = 150  # characters outside ASCII travel as up to twelve each

_INTERNAL = (grpc.StatusCode.INTERNAL, "INTERNAL")


def code_and_reason(failure: BaseException, table: ErrorTable) -> tuple[grpc.StatusCode, str]:
    """The row of the nearest class of ``failure``; INTERNAL for what no row knows."""
    for kind in type(failure).__mro__:
        row = table.get(kind) or KIT_ERRORS.get(kind)
        if row is not None:
            return row
    return _INTERNAL


def status_of(
    failure: BaseException, code: grpc.StatusCode, reason: str, incident: str
) -> status_pb2.Status:
    """The status that the client reads.

    Args:
        failure: What happened; the text and values of a Failure are sent, of anything else
            nothing is.
        code: From the service's table.
        reason: From the service's table.
        incident: An id to find in the logs, named only where the code is INTERNAL.
    """
    known = isinstance(failure, Failure) and code is not grpc.StatusCode.INTERNAL
    message = str(failure) if known else f"internal error; its log has request {incident}"
    status = status_pb2.Status(code=code_pb2.Code.Value(code.name), message=_shortened(message))
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)
    if known and isinstance(failure, Failure):
        _fill(info, failure.metadata.items(), info.metadata.__setitem__)
    _add(status, info)
    if isinstance(failure, InvalidFields):
        bad = error_details_pb2.BadRequest()
        _fill(
            bad,
            failure.violations,
            lambda field, text: bad.field_violations.add(field=field, description=text),
        )
        _add(status, bad)
    if isinstance(failure, Overloaded):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(failure.retry_after)
        _add(status, retry)
    return status


def _add(status: status_pb2.Status, detail: Message) -> None:
    status.details.add().Pack(detail)


def _fill(
    detail: Message, pairs: Iterable[tuple[str, str]], put: Callable[[str, str], object]
) -> None:
    for key, value in pairs:
        if detail.ByteSize() + len(key.encode()) + len(value.encode()) > _MAX_DETAIL_BYTES:
            return
        put(key, value)


def _shortened(message: str) -> str:
    limit = _MAX_MESSAGE if message.isascii() else _MAX_MESSAGE_ENCODED
    return message if len(message) <= limit else f"{message[:limit]}..."
