"""What a call that did not succeed means, out of the status that a service sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final, NamedTuple

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

_DETAILS_KEY: Final = "grpc-status-details-bin"
_DOMAIN: Final = "holdfast"
_NUMBER: Final = re.compile(r" \(\d+\)\Z")


class FieldViolation(NamedTuple):
    """One field that a service would not take."""

    field: str
    description: str


class HoldfastError(Exception):
    """A call that a service refused, or that did not reach it.

    Attributes:
        code: The status code.
        reason: Which rule refused (SLOT_UNAVAILABLE); the code's name when nothing says more.
        message: One sentence in the service's words.
        metadata: The values that decided; which ones belongs to the reason.
        fields: The fields at fault, for INVALID_FIELD.
        retry_after: How long to wait, when the service says.
        service: Which service was asked, such as ``catalog``; empty when none was.
        is_answer: False when the service itself did not speak: it could not be reached, or
            something in between ended the call.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        fields: Iterable[FieldViolation] = (),
        retry_after: timedelta | None = None,
        service: str = "",
        is_answer: bool = True,
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.fields = tuple(fields)
        self.retry_after = retry_after
        self.service = service
        self.is_answer = is_answer


def decode(error: grpc.aio.AioRpcError, service: str) -> HoldfastError:
    """Returns what the status of a failed call to ``service`` means."""
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    _unpack(error, (info, bad_request, retry))
    is_answer = info.domain == _DOMAIN and bool(info.reason)
    return HoldfastError(
        error.code(),
        info.reason if is_answer else error.code().name,
        error.details() or "no details were given",
        metadata=info.metadata,
        fields=[FieldViolation(v.field, v.description) for v in bad_request.field_violations],
        retry_after=retry.retry_delay.ToTimedelta() if retry.HasField("retry_delay") else None,
        service=service,
        is_answer=is_answer,
    )


def cause(details: str) -> str:
    """Returns the end of gRPC's long story, which is its cause: ``Connection refused``.

    Some of gRPC's pollers tell the system's number with it: ``(111)``.
    """
    found = _NUMBER.sub("", details.rsplit(": ", maxsplit=1)[-1].strip().rstrip("."))
    # The story may stand in brackets that began before it.
    return found.removesuffix("]") if "[" not in found else found


def _unpack(error: grpc.aio.AioRpcError, wanted: Iterable[Message]) -> None:
    """Fills the wanted messages from the details that came along; foreign ones are left."""
    status = status_pb2.Status()
    raw = dict(error.trailing_metadata() or ()).get(_DETAILS_KEY)
    if not isinstance(raw, bytes):
        return
    try:
        status.ParseFromString(raw)
        for detail in status.details:
            for message in wanted:
                detail.Unpack(message)
    except DecodeError:  # somebody else's bytes: the code and its text still stand
        return
