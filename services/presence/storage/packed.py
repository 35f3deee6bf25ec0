"""What the scripts pack, unpacked: holds, and changes in the log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Final

from services.presence.domain.change import HoldChange, HoldName
from services.presence.domain.ending import EndReason
from services.presence.domain.hold import HOLDER_ID_LENGTH, LiveHold
from shared.slots.quantum import Span

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOLD: Final = Struct(">IIdB")  # HOLD in prelude.lua
_CHANGE: Final = Struct(">IIIIdBBB")  # CHANGE in prelude.lua


def hold_name(field: bytes) -> HoldName:
    """Reads a hold's field."""
    text = field.decode()
    return HoldName(text[:HOLDER_ID_LENGTH], text[HOLDER_ID_LENGTH:])


def live_holds(resource_id: str, pairs: list[bytes]) -> Iterator[LiveHold]:
    """Reads fields and values of one resource's holds, by turns."""
    for field, value in zip(pairs[::2], pairs[1::2], strict=True):
        first, stop, expiry, overdue = _HOLD.unpack(value)
        name = hold_name(field)
        yield LiveHold(
            resource_id, name.holder_id, name.hold_id, Span(first, stop), instant(expiry),
            bool(overdue),
        )  # fmt: skip


def hold_changes(resource_id: str, records: bytes) -> Iterator[HoldChange]:
    """Reads the changes of one resource in one entry of the log."""
    offset = 0
    while offset < len(records):
        was_first, was_stop, first, stop, expiry, overdue, reason, length = _CHANGE.unpack_from(
            records, offset
        )
        offset += _CHANGE.size
        name = hold_name(records[offset : offset + length])
        offset += length
        yield HoldChange(
            name,
            Span(was_first, was_stop) if was_stop else None,
            LiveHold(resource_id, *name, Span(first, stop), instant(expiry), bool(overdue))
            if stop
            else None,
            EndReason(reason) if reason else None,
        )


def instant(microseconds: float) -> datetime:
    """Returns an instant of the store's clock; a float holds its microseconds exactly."""
    return _EPOCH + timedelta(microseconds=int(microseconds))
