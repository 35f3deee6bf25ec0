"""Requests into values, values into answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from google.protobuf.message import Message

from holdfast.presence.v1 import presence_pb2
from services.presence.domain.hold import (
    LONGEST_HOLD,
    Holder,
    HoldKey,
    LiveHold,
    held_span,
    holder_of,
)
from services.presence.rpc.encode import hold
from shared.runtime.check import FieldCheck
from shared.slots.quantum import Span

MOST_RESOURCES: Final = 100
MOST_DATES: Final = 93
MOST_DAYS: Final = 320

_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{22,128}\Z")
_SHORTEST: Final = timedelta(microseconds=1)


class Heartbeat(NamedTuple):
    """What HeartbeatRequest asks for."""

    key: HoldKey
    span: Span


class Leave(NamedTuple):
    """What LeaveRequest asks for; an empty resource means all."""

    holder: Holder
    resource_id: str
    hold_id: str | None


class DatePresence(NamedTuple):
    """What GetDatePresenceRequest asks for."""

    organization_id: str
    resource_ids: tuple[str, ...]
    dates: tuple[date, ...]


def heartbeat(request: presence_pb2.HeartbeatRequest) -> Heartbeat:
    """Decodes a heartbeat.

    Raises:
        InvalidFields: Something is missing, malformed or out of range.
        StartOffGrid: All is well formed, but the start is not a quarter hour.
    """
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    check_session(check, request.session)
    check.identifier("resource_id", request.resource_id)
    check.optional_identifier("hold_id", request.hold_id)
    start, length = check_time(check, "", request)
    check.done()
    holder = holder_of(request.organization_id, request.session)
    return Heartbeat(
        HoldKey(holder, request.resource_id, request.hold_id), held_span(start, length)
    )


def leave(request: presence_pb2.LeaveRequest) -> Leave:
    """Decodes a leave.

    Raises:
        InvalidFields: Something is missing or malformed.
    """
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    check_session(check, request.session)
    check.optional_identifier("resource_id", request.resource_id)
    check.optional_identifier("hold_id", request.hold_id)
    names_hold = request.HasField("hold_id")
    if names_hold and not request.resource_id:
        check.fail("hold_id", "needs a resource_id")
    check.done()
    holder = holder_of(request.organization_id, request.session)
    return Leave(holder, request.resource_id, request.hold_id if names_hold else None)


def date_presence(request: presence_pb2.GetDatePresenceRequest) -> DatePresence:
    """Decodes a question for holds.

    Raises:
        InvalidFields: Something is missing, malformed, named twice, or too many days.
    """
    check = FieldCheck()
    found = check_date_presence(check, request)
    check.done()
    return found


def heartbeat_response(
    holder_id: str, expires_at: datetime, renew_after: timedelta
) -> presence_pb2.HeartbeatResponse:
    """Encodes what a heartbeat got."""
    response = presence_pb2.HeartbeatResponse(holder_id=holder_id)
    response.expire_time.FromDatetime(expires_at)
    response.renew_after.FromTimedelta(renew_after)
    return response


def date_presence_response(holds: Iterable[LiveHold]) -> presence_pb2.GetDatePresenceResponse:
    """Encodes holds in the order given."""
    return presence_pb2.GetDatePresenceResponse(holds=map(hold, holds))


def check_date_presence(
    check: FieldCheck,
    request: presence_pb2.GetDatePresenceRequest | presence_pb2.WatchPresenceRequest,
) -> DatePresence:
    """Which holds are asked for."""
    check.identifier("organization_id", request.organization_id)
    resources = check.identifiers(
        "resource_ids", request.resource_ids, minimum=1, maximum=MOST_RESOURCES
    )
    dates = check.civil_dates("dates", request.dates, maximum=MOST_DATES)
    if len(resources) * len(dates) > MOST_DAYS:
        check.fail("dates", f"must not exceed {MOST_DAYS} days over all resources")
    return DatePresence(request.organization_id, resources, dates)


def check_time(check: FieldCheck, prefix: str, message: Message) -> tuple[datetime, timedelta]:
    """The start_time and the duration of a hold; ``prefix`` is the path of the message."""
    return (
        check.instant(f"{prefix}start_time", message, "start_time"),
        check.length(
            f"{prefix}duration", message, "duration", minimum=_SHORTEST, maximum=LONGEST_HOLD
        ),
    )


def check_session(check: FieldCheck, session: str) -> None:
    """The secret of a session; it is never repeated."""
    if not _SESSION.match(session):
        # Never the value: it is a secret, and who sends a wrong one may mean a right one.
        check.fail("session", "must be 22 to 128 of A-Z a-z 0-9 _ -")
