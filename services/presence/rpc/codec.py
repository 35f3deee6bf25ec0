"""Requests into values, values into answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from holdfast.presence.v1 import presence_pb2
from services.presence.domain.hold import (
    LONGEST_HOLD,
    Holder,
    HoldKey,
    LiveHold,
    held_span,
    holder_of,
)
from shared.runtime.check import FieldCheck
from shared.slots.quantum import Span, instant

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
    _check_session(check, request.session)
    check.identifier("resource_id", request.resource_id)
    check.optional_identifier("hold_id", request.hold_id)
    start = check.instant("start_time", request, "start_time")
    length = check.length("duration", request, "duration", minimum=_SHORTEST, maximum=LONGEST_HOLD)
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
    _check_session(check, request.session)
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
    check.identifier("organization_id", request.organization_id)
    resources = check.identifiers(
        "resource_ids", request.resource_ids, minimum=1, maximum=MOST_RESOURCES
    )
    dates: tuple[date, ...] = ()
    if not 1 <= len(request.dates) <= MOST_DATES:
        check.fail("dates", f"must have 1 to {MOST_DATES} entries")
    else:
        dates = tuple(check.civil_date(f"dates[{i}]", d) for i, d in enumerate(request.dates))
        if len(set(dates)) != len(dates):
            check.fail("dates", "must not name anything twice")
    if len(resources) * len(dates) > MOST_DAYS:
        check.fail("dates", f"must not exceed {MOST_DAYS} days over all resources")
    check.done()
    return DatePresence(request.organization_id, resources, dates)


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
    return presence_pb2.GetDatePresenceResponse(holds=map(_hold, holds))


def _hold(hold: LiveHold) -> presence_pb2.Hold:
    return presence_pb2.Hold(
        resource_id=hold.resource_id,
        holder_id=hold.holder_id,
        start_time=_timestamp(instant(hold.span.first)),
        end_time=_timestamp(instant(hold.span.stop)),
        expire_time=_timestamp(hold.expires_at),
    )


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _check_session(check: FieldCheck, session: str) -> None:
    if not _SESSION.match(session):
        # Never the value: it is a secret, and who sends a wrong one may mean a right one.
        check.fail("session", "must be 22 to 128 of A-Z a-z 0-9 _ -")
