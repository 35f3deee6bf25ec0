"""CreateBlock: takes time of a resource out of use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.availability.app.hold_gate import HoldGate
from services.availability.app.port import Ledger, Offerings, OverlapReader
from services.availability.app.replay import former_answer
from services.availability.domain.booking import (
    NOBODY,
    Booking,
    BookingItem,
    BookingKind,
    BookingState,
    Note,
)
from services.availability.domain.refusal import NotAllowed, SlotUnavailable
from services.availability.domain.request_key import RequestKey
from shared.runtime.clock import Clock
from shared.runtime.failure import Failure
from shared.runtime.identity import uuid7
from shared.slots.quantum import covering

_TOLD: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """What is to be out of use; 0 units are all that there are."""

    resource_id: str
    booking_id: str
    start: datetime
    end: datetime
    units: int
    note: Note


class Block:
    """Makes blocks."""

    def __init__(
        self,
        resources: Offerings,
        overlaps: OverlapReader,
        gate: HoldGate,
        ledger: Ledger,
        clock: Clock,
        encode: Callable[[Booking], bytes],
        *,
        administration: bool,
    ) -> None:
        self._resources = resources
        self._overlaps = overlaps
        self._gate = gate
        self._ledger = ledger
        self._clock = clock
        self._encode = encode
        self._administration = administration

    async def __call__(self, key: RequestKey, closure: Closure) -> bytes:
        """Blocks, and returns the encoded block; of a replay, the one first returned.

        Raises:
            NotAllowed: This server trusts nobody as an administrator.
            NotFound: The resource is unknown or deleted.
            IdTaken: Another booking has the block's id.
            SlotUnavailable: Bookings are in its way; it names some.
        """
        try:
            block = await self._judged(key.organization_id, closure)
        except Failure as refusal:
            return await former_answer(self._ledger, key, refusal)
        try:
            made = await self._ledger.create(
                key,
                block,
                closure.note,
                self._encode,
                is_named=bool(closure.booking_id),
                # Nobody's holds are in the way of whoever takes time out of use: they end with it.
                committed=lambda: self._gate.settle(
                    key.organization_id, "", block.items, is_block=True
                ),
            )
        except SlotUnavailable as refusal:
            (item,) = block.items
            found = await self._overlaps.overlapping(
                key.organization_id, item.resource_id, item.occupancy, _TOLD
            )
            raise SlotUnavailable(refusal.resource_id, refusal.quanta, found) from None
        return made.answer

    async def _judged(self, organization_id: str, closure: Closure) -> Booking:
        if not self._administration:
            raise NotAllowed
        pools = await self._resources.pools(organization_id, [closure.resource_id])
        is_pool = closure.resource_id in pools
        now = self._clock.now()
        item = BookingItem(
            closure.resource_id, closure.units, covering(closure.start, closure.end), is_pool
        )
        return Booking(
            organization_id=organization_id,
            booking_id=closure.booking_id or uuid7(now),
            kind=BookingKind.BLOCK,
            items=(item,),
            event_type_id="",
            event_type_title="",
            start=closure.start,
            end=closure.end,
            booker=NOBODY,
            location="",
            time_zone="",
            state=BookingState.CONFIRMED,
            cancel_reason="",
            block_reason=closure.note.reason,
            created_at=now,
            updated_at=now,
            revision=0,
        )
