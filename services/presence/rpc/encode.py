"""Holds as messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2

from holdfast.common.v1 import time_pb2
from holdfast.presence.v1 import holder_pb2, presence_pb2
from services.presence.domain.change import HoldName, Told
from services.presence.domain.ending import EndReason
from services.presence.domain.hold import LiveHold
from services.presence.domain.refusal import SlotHeld
from shared.slots.quantum import SECONDS_PER_QUANTUM

END_REASONS = {
    EndReason.LEFT: holder_pb2.HOLD_END_REASON_LEFT,
    EndReason.EXPIRED: holder_pb2.HOLD_END_REASON_EXPIRED,
    EndReason.MOVED: holder_pb2.HOLD_END_REASON_MOVED,
    EndReason.BOOKED: holder_pb2.HOLD_END_REASON_BOOKED,
    EndReason.BLOCKED: holder_pb2.HOLD_END_REASON_BLOCKED,
}


def hold(found: LiveHold) -> holder_pb2.Hold:
    """Encodes a live hold."""
    return holder_pb2.Hold(
        resource_id=found.resource_id,
        holder_id=found.holder_id,
        hold_id=found.hold_id,
        start_time=quantum_start(found.span.first),
        end_time=quantum_start(found.span.stop),
        expire_time=timestamp(found.expires_at),
        overdue=found.is_overdue,
        units=found.units,
        acquire_time=timestamp(found.acquired_at),
    )


def resource_state(
    resource_id: str, revision: int, holds: Iterable[LiveHold]
) -> presence_pb2.ResourcePresence:
    """Encodes the holds of a resource by start, then holder, as GetDatePresence tells them."""
    ordered = sorted(holds, key=lambda h: (h.span.first, h.holder_id, h.span.stop, h.hold_id))
    return presence_pb2.ResourcePresence(
        resource_id=resource_id, revision=revision, holds=map(hold, ordered)
    )


def resource_changes(resource_id: str, revision: int, told: Told) -> presence_pb2.ResourcePresence:
    """Encodes what changed on a resource; since when is each watcher's own."""
    return presence_pb2.ResourcePresence(
        resource_id=resource_id,
        revision=revision,
        holds=map(hold, told.holds),
        ended=[_ended(name, reason) for name, reason in told.ended],
    )


def held_quanta(refusal: SlotHeld) -> Iterable[time_pb2.DayQuanta]:
    """Encodes the quanta in the way of a hold, of the first dates concerned."""
    for day, quanta in refusal.named():
        date = date_pb2.Date(year=day.year, month=day.month, day=day.day)
        yield time_pb2.DayQuanta(resource_id=refusal.resource_id, date=date, quanta=quanta)


def quantum_start(number: int) -> Timestamp:
    """Encodes the instant at which a quantum starts."""
    return Timestamp(seconds=number * SECONDS_PER_QUANTUM)


def timestamp(moment: datetime) -> Timestamp:
    """Encodes an instant."""
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _ended(name: HoldName, reason: EndReason) -> presence_pb2.EndedHold:
    return presence_pb2.EndedHold(
        holder_id=name.holder_id, hold_id=name.hold_id, reason=END_REASONS[reason]
    )
