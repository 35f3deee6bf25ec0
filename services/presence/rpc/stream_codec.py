"""Messages of HoldStream into turns, and what became of a turn into messages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from holdfast.presence.v1 import error_reason_pb2, presence_pb2
from services.presence.app.stream import MOST_HOLDS
from services.presence.app.want import Want
from services.presence.domain.hold import Holder, HoldKey, holder_of
from services.presence.domain.refusal import SlotHeld
from services.presence.domain.wish import Ended, Judged, Kept
from services.presence.rpc.codec import check_session, check_terms
from services.presence.rpc.encode import END_REASONS, held_quanta, quantum_start, timestamp
from services.presence.rpc.errors import ERRORS
from shared.runtime.check import FieldCheck
from shared.runtime.status import KIT_ERRORS

# Many may be left that the stream does not keep; a message must stay a message.
_MOST_LEFT: Final = MOST_HOLDS
_NUMBERS: Final = dict(error_reason_pb2.ErrorReason.items())
_REASONS: Final = {
    kind: _NUMBERS[f"ERROR_REASON_{reason}"]
    for kind, (_, reason) in {**KIT_ERRORS, **ERRORS}.items()
    if f"ERROR_REASON_{reason}" in _NUMBERS
}


class Turn(NamedTuple):
    """What one message of the client asks for."""

    holder: Holder
    keep: Mapping[HoldKey, Want]
    leave: list[HoldKey]


def turn(request: presence_pb2.HoldStreamRequest, holder: Holder | None) -> Turn:
    """Decodes a message.

    Args:
        request: The message.
        holder: Whose stream it is; None for the first message, which says so.

    Raises:
        InvalidFields: Something is missing, malformed or out of range.
        StartOffGrid: All is well formed, but a start is not a quarter hour.
    """
    check = FieldCheck()
    owner = _owner(check, request, holder)
    for name, entries, most in (
        ("keep", request.keep, MOST_HOLDS),
        ("leave", request.leave, _MOST_LEFT),
    ):
        if len(entries) > most:
            check.fail(name, f"must have at most {most} entries")
            check.done()
    terms = []
    for index, span in enumerate(request.keep):
        _check_name(check, f"keep[{index}].", span)
        terms.append(check_terms(check, f"keep[{index}].", span))
    for index, left in enumerate(request.leave):
        _check_name(check, f"leave[{index}].", left)
    keys = [HoldKey(owner, span.resource_id, span.hold_id) for span in request.keep]
    if len(set(keys)) != len(keys):
        check.fail("keep", "must not name anything twice")
    check.done()
    return Turn(
        owner,
        dict(zip(keys, (found.want() for found in terms), strict=True)),
        [HoldKey(owner, left.resource_id, left.hold_id) for left in request.leave],
    )


def response(
    holder: Holder, renew_after: timedelta, found: Mapping[HoldKey, Judged]
) -> presence_pb2.HoldStreamResponse:
    """Encodes how the holds of a stream fare."""
    answer = presence_pb2.HoldStreamResponse(holder_id=holder.holder_id)
    answer.renew_after.FromTimedelta(renew_after)
    for key, verdict in found.items():
        answer.results.append(_result(key, verdict))
    return answer


def _owner(
    check: FieldCheck, request: presence_pb2.HoldStreamRequest, holder: Holder | None
) -> Holder:
    organization_id, session = request.organization_id, request.session
    if holder is None or organization_id:
        check.identifier("organization_id", organization_id)
    if holder is None or session:
        check_session(check, session)
    if holder is None:
        return holder_of(organization_id, session)
    if organization_id not in {"", holder.organization_id}:
        check.fail("organization_id", "must be that of the first message")
    elif session and holder_of(holder.organization_id, session) != holder:
        check.fail("session", "must be that of the first message")
    return holder


def _check_name(
    check: FieldCheck, prefix: str, entry: presence_pb2.HoldSpan | presence_pb2.HoldName
) -> None:
    check.identifier(f"{prefix}resource_id", entry.resource_id)
    check.optional_identifier(f"{prefix}hold_id", entry.hold_id)


def _result(key: HoldKey, verdict: Judged) -> presence_pb2.HoldResult:
    result = presence_pb2.HoldResult(resource_id=key.resource_id, hold_id=key.hold_id)
    if isinstance(verdict, Kept):
        result.state = presence_pb2.HOLD_STATE_HELD
        result.expire_time.CopyFrom(timestamp(verdict.expires_at))
        result.hold_start_time.CopyFrom(quantum_start(verdict.span.first))
        result.hold_end_time.CopyFrom(quantum_start(verdict.span.stop))
        if verdict.units_ahead is not None:
            result.units_ahead = verdict.units_ahead
    elif isinstance(verdict, Ended):
        result.state = presence_pb2.HOLD_STATE_ENDED
        result.end_reason = END_REASONS[verdict.reason]
    else:
        result.state = presence_pb2.HOLD_STATE_REFUSED
        result.reason = _REASONS[type(verdict.refusal)]
        if isinstance(verdict.refusal, SlotHeld):
            result.held_quanta.extend(held_quanta(verdict.refusal))
    return result
