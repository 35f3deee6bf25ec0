"""What the booking path asks and tells, and its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from holdfast.presence.v1 import hold_check_pb2, holder_pb2
from services.presence.app.check import Checked
from services.presence.domain.ending import EndReason
from services.presence.domain.hold import LONGEST_HOLD, Holder, holder_of
from services.presence.domain.taken import Booking, Settlement, TakenTime
from services.presence.rpc.codec import check_session, check_units
from services.presence.rpc.encode import timestamp
from shared.runtime.check import FieldCheck
from shared.slots.quantum import LAST_DATE, QUANTA_PER_DAY, QUANTUM, Span, day_number

MOST_BOOKINGS: Final = 256
MOST_ITEMS: Final = 10

# A booking, and a day of buffer on either side.
_LONGEST: Final = LONGEST_HOLD // QUANTUM + 2 * QUANTA_PER_DAY
# What begins on the last date that can be named.
_LAST_QUANTUM: Final = (day_number(LAST_DATE) + 1) * QUANTA_PER_DAY + _LONGEST
_PLACEHOLDER: Final = Span(0, 1)
_REASONS: Final = {
    holder_pb2.HOLD_END_REASON_BOOKED: EndReason.BOOKED,
    holder_pb2.HOLD_END_REASON_BLOCKED: EndReason.BLOCKED,
}


class Check(NamedTuple):
    """What CheckHoldsRequest asks about."""

    organization_id: str
    bookings: Sequence[Booking]


class Settling(NamedTuple):
    """What SettleHoldsRequest tells."""

    organization_id: str
    settlements: Sequence[Settlement]


def check_holds(request: hold_check_pb2.CheckHoldsRequest) -> Check:
    """Decodes a question of the booking path.

    Raises:
        InvalidFields: Something is missing, malformed or out of range.
    """
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    _check_count(check, "checks", len(request.checks))
    bookings = [
        _booking(check, f"checks[{index}].", request.organization_id, asked.session, asked.items)
        for index, asked in enumerate(request.checks)
    ]
    check.done()
    return Check(request.organization_id, bookings)


def settle_holds(request: hold_check_pb2.SettleHoldsRequest) -> Settling:
    """Decodes what is booked, or taken out of use.

    Raises:
        InvalidFields: Something is missing, malformed or out of range.
    """
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    _check_count(check, "settlements", len(request.settlements))
    settlements = [
        _settlement(check, f"settlements[{index}].", request.organization_id, told)
        for index, told in enumerate(request.settlements)
    ]
    check.done()
    return Settling(request.organization_id, settlements)


def check_holds_response(checked: Checked) -> hold_check_pb2.CheckHoldsResponse:
    """Encodes what counts against each booking."""
    response = hold_check_pb2.CheckHoldsResponse(store_time=timestamp(checked.time))
    for counting in checked.counted:
        # Adding to a message in place is cheaper than building its parts and copying them.
        add = response.results.add().holds.add
        for item, (first, stop, units) in counting:
            add(item=item, first_quantum=first, stop_quantum=stop, units=units)
    return response


def _check_count(check: FieldCheck, field: str, count: int) -> None:
    if count > MOST_BOOKINGS:
        check.fail(field, f"must have at most {MOST_BOOKINGS} entries")
        check.done()


def _booking(
    check: FieldCheck,
    prefix: str,
    organization_id: str,
    session: str,
    items: Sequence[hold_check_pb2.ResourceQuanta],
) -> Booking:
    holder: Holder | None = None
    if session:
        check_session(check, session, prefix)
        holder = holder_of(organization_id, session)
    if not 1 <= len(items) <= MOST_ITEMS:
        check.fail(f"{prefix}items", f"must have 1 to {MOST_ITEMS} entries")
        return Booking(holder, ())
    return Booking(holder, [_taken(check, f"{prefix}items[{n}].", i) for n, i in enumerate(items)])


def _taken(check: FieldCheck, prefix: str, item: hold_check_pb2.ResourceQuanta) -> TakenTime:
    check.identifier(f"{prefix}resource_id", item.resource_id)
    first, stop = item.first_quantum, item.stop_quantum
    if not 0 <= first < stop <= _LAST_QUANTUM:
        check.fail(f"{prefix}stop_quantum", f"must be from 1 to {_LAST_QUANTUM}, after the first")
        first, stop = _PLACEHOLDER.first, _PLACEHOLDER.stop
    elif stop - first > _LONGEST:
        check.fail(f"{prefix}stop_quantum", f"must be at most {_LONGEST} after the first")
    units = check_units(check, f"{prefix}units", item.units)
    return TakenTime(item.resource_id, Span(first, stop), units)


def _settlement(
    check: FieldCheck, prefix: str, organization_id: str, told: hold_check_pb2.Settlement
) -> Settlement:
    booking = _booking(check, prefix, organization_id, told.session, told.items)
    committed_at = check.instant(f"{prefix}commit_time", told, "commit_time")
    reason = _REASONS.get(told.reason)
    if reason is None:
        known = ", ".join(map(holder_pb2.HoldEndReason.Name, _REASONS))
        check.fail(f"{prefix}reason", f"must be one of {known}")
    return Settlement(booking, committed_at, reason or EndReason.BOOKED)
