"""What the scripts pack, unpacked: holds, and changes in the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Final, NamedTuple

from services.presence.domain.change import HoldChange, HoldName
from services.presence.domain.claim import Claim
from services.presence.domain.ending import EndReason
from services.presence.domain.hold import HOLDER_ID_LENGTH, LiveHold
from shared.slots.quantum import Span

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOLD: Final = Struct(">IIdBdI")  # HOLD in prelude.lua
_SHORT: Final = Struct(">IIdB")  # SHORT in prelude.lua, written by the version before
_CHANGE: Final = Struct(">IIIIdBBB")  # CHANGE in prelude.lua
_BESIDE: Final = Struct(">dI")  # BESIDE in prelude.lua
_OF_THE_VERSION_BEFORE: Final = (0.0, 1)
_MICROSECOND: Final = timedelta(microseconds=1)


class StoredHold(NamedTuple):
    """A hold as it is stored; instants in microseconds of the store's clock."""

    first: int
    stop: int
    expiry: float
    overdue: int
    acquired: float
    units: int
    event_type_id: str

    def live(self, resource_id: str, name: HoldName) -> LiveHold:
        """Returns the hold as a value."""
        return LiveHold(
            resource_id, *name, Span(self.first, self.stop), instant(self.expiry),
            bool(self.overdue), self.units, instant(self.acquired),
        )  # fmt: skip


def stored_hold(value: bytes) -> StoredHold:
    """Reads a hold's value."""
    if len(value) < _HOLD.size:
        return StoredHold._make((*_SHORT.unpack(value), *_OF_THE_VERSION_BEFORE, ""))
    event_type_id = value[_HOLD.size :].decode()
    return StoredHold._make((*_HOLD.unpack_from(value), event_type_id))


def hold_name(field: bytes) -> HoldName:
    """Reads a hold's field."""
    text = field.decode()
    return HoldName(text[:HOLDER_ID_LENGTH], text[HOLDER_ID_LENGTH:])


def claims(pairs: Mapping[bytes, bytes], now: int) -> Iterator[Claim]:
    """Reads what those who book need of the holds that are live."""
    for field, value in pairs.items():
        if len(value) < _HOLD.size:
            first, stop, expiry, _, acquired, units, _ = stored_hold(value)
        else:
            first, stop, expiry, _, acquired, units = _HOLD.unpack_from(value)
        if expiry >= now:
            holder_id = field[:HOLDER_ID_LENGTH].decode()
            yield Claim(int(acquired), first, stop, units, holder_id)


def live_holds(resource_id: str, pairs: Sequence[bytes]) -> Iterator[LiveHold]:
    """Reads fields and values of one resource's holds, by turns."""
    for field, value in zip(pairs[::2], pairs[1::2], strict=True):
        yield stored_hold(value).live(resource_id, hold_name(field))


def hold_changes(resource_id: str, records: bytes, beside: bytes) -> Iterator[HoldChange]:
    """Reads the changes of one resource in one entry of the log.

    Args:
        resource_id: The resource.
        records: The changes.
        beside: What stands beside each; empty in an entry of the version before.
    """
    offset, number = 0, 0
    while offset < len(records):
        was_first, was_stop, first, stop, expiry, overdue, reason, length = _CHANGE.unpack_from(
            records, offset
        )
        offset += _CHANGE.size
        name = hold_name(records[offset : offset + length])
        offset += length
        rest = _OF_THE_VERSION_BEFORE
        if beside:
            rest = _BESIDE.unpack_from(beside, number * _BESIDE.size)
        number += 1
        now = StoredHold(first, stop, expiry, overdue, *rest, "")
        yield HoldChange(
            name,
            Span(was_first, was_stop) if was_stop else None,
            now.live(resource_id, name) if stop else None,
            EndReason(reason) if reason else None,
        )


def instant(microseconds: float) -> datetime:
    """Returns an instant of the store's clock; a float holds its microseconds exactly."""
    return _EPOCH + timedelta(microseconds=int(microseconds))


def microseconds(moment: datetime) -> int:
    """Returns an instant as the store counts it."""
    return (moment - _EPOCH) // _MICROSECOND
