"""Requests into values, values into answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from holdfast.presence.v1 import holder_pb2, presence_pb2
from services.presence.app.list import HoldersThen
from services.presence.app.want import Want
from services.presence.domain.hold import (
    LONGEST_HOLD,
    Holder,
    HoldKey,
    LiveHold,
    ResourceName,
    Wanted,
    holder_of,
)
from services.presence.domain.wish import Kept
from services.presence.rpc.encode import hold, quantum_start, timestamp
from shared.runtime.check import FieldCheck

MOST_RESOURCES: Final = 100
MOST_DATES: Final = 93
MOST_DAYS: Final = 320
MOST_UNITS: Final = 10_000

_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{22,128}\Z")
_SHORTEST: Final = timedelta(microseconds=1)


class Heartbeat(NamedTuple):
    """What HeartbeatRequest asks for."""

    key: HoldKey
    want: Want


class Terms(NamedTuple):
    """What is to be held, as it was read; to be used once all of the request is checked."""

    start: datetime
    length: timedelta
    event_type_id: str
    units: int
    renew: bool

    def want(self) -> Want:
        """Returns what is wanted.

        Raises:
            StartOffGrid: The start is not a quarter hour.
        """
        return Want(Wanted(self.start, self.length, self.event_type_id, self.units), self.renew)


class Leave(NamedTuple):
    """What LeaveRequest asks for; an empty resource means all."""

    holder: Holder
    resource_id: str
    hold_id: str | None


class Instant(NamedTuple):
    """What ListHoldersRequest asks for."""

    resource: ResourceName
    time: datetime


class Counting(NamedTuple):
    """What CountHoldersRequest asks for: one of the two is empty."""

    organization_id: str
    resource_id: str
    event_type_id: str


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
    terms = check_terms(check, "", request)
    check.done()
    holder = holder_of(request.organization_id, request.session)
    return Heartbeat(HoldKey(holder, request.resource_id, request.hold_id), terms.want())


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


def list_holders(request: holder_pb2.ListHoldersRequest) -> Instant:
    """Decodes a question for the holders of an instant.

    Raises:
        InvalidFields: Something is missing or malformed.
    """
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    check.identifier("resource_id", request.resource_id)
    time = check.instant("time", request, "time")
    check.done()
    return Instant(ResourceName(request.organization_id, request.resource_id), time)


def count_holders(request: holder_pb2.CountHoldersRequest) -> Counting:
    """Decodes a question for how many hold.

    Raises:
        InvalidFields: Something is missing or malformed, or not one thing is named.
    """
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    check.optional_identifier("resource_id", request.resource_id)
    check.optional_identifier("event_type_id", request.event_type_id)
    if bool(request.resource_id) == bool(request.event_type_id):
        check.fail("resource_id", "or event_type_id is required, not both")
    check.done()
    return Counting(request.organization_id, request.resource_id, request.event_type_id)


def heartbeat_response(
    holder_id: str, kept: Kept, renew_after: timedelta
) -> presence_pb2.HeartbeatResponse:
    """Encodes what a heartbeat got."""
    response = presence_pb2.HeartbeatResponse(
        holder_id=holder_id,
        expire_time=timestamp(kept.expires_at),
        hold_start_time=quantum_start(kept.span.first),
        hold_end_time=quantum_start(kept.span.stop),
        units_ahead=kept.units_ahead or 0,
    )
    response.renew_after.FromTimedelta(renew_after)
    return response


def list_holders_response(found: HoldersThen) -> holder_pb2.ListHoldersResponse:
    """Encodes the newest holds of an instant."""
    return holder_pb2.ListHoldersResponse(holds=map(hold, found.newest), total=found.total)


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


def check_terms(
    check: FieldCheck, prefix: str, message: presence_pb2.HeartbeatRequest | presence_pb2.HoldSpan
) -> Terms:
    """What is to be held; ``prefix`` is the path of the message."""
    return Terms(
        check.instant(f"{prefix}start_time", message, "start_time"),
        check.length(
            f"{prefix}duration", message, "duration", minimum=_SHORTEST, maximum=LONGEST_HOLD
        ),
        check.optional_identifier(f"{prefix}event_type_id", message.event_type_id),
        check_units(check, f"{prefix}units", message.units),
        message.renew,
    )


def check_units(check: FieldCheck, field: str, value: int) -> int:
    """How many units: 1 to 10,000; 0 means 1."""
    if not 0 <= value <= MOST_UNITS:
        check.fail(field, f"must be from 0 to {MOST_UNITS}")
        return 1
    return value or 1


def check_session(check: FieldCheck, session: str, prefix: str = "") -> None:
    """The secret of a session; it is never repeated. ``prefix`` is the path of its message."""
    if not _SESSION.match(session):
        # Never the value: it is a secret, and who sends a wrong one may mean a right one.
        check.fail(f"{prefix}session", "must be 22 to 128 of A-Z a-z 0-9 _ -")
