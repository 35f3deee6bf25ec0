"""How a booking is read from its row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, LiteralString

from services.availability.domain.booking import (
    Booker,
    Booking,
    BookingItem,
    BookingKind,
    BookingState,
)
from shared.slots.quantum import Span

# One row a booking, its items as parallel arrays in their order.
COLUMNS: Final[LiteralString] = """
  b.booking_id, b.state, b.revision, b.event_type_id, b.event_type_title, b.start_time,
  b.end_time, b.booker_id, b.booker_name, b.booker_email, b.location, b.time_zone,
  b.cancel_reason, b.created_at, b.updated_at, b.kind, b.sequence, b.block_reason, b.due_at,
  b.needs_confirmation, b.token_hash, b.token_version,
  (select array_agg(array[i.first_quantum, i.stop_quantum, i.units, i.pool::int]
     order by i.ordinal)
   from booking_items i
   where i.organization_id = b.organization_id and i.booking_id = b.booking_id),
  (select array_agg(i.resource_id order by i.ordinal)
   from booking_items i
   where i.organization_id = b.organization_id and i.booking_id = b.booking_id)
"""


def booking(organization_id: str, columns: Sequence[Any]) -> Booking:
    """Returns the booking whose ``COLUMNS`` these are."""
    booking_id, state, revision, event_type_id, title, start, end = columns[:7]
    booker_id, name, email, location, zone, reason, created, updated = columns[7:15]
    kind, sequence, block_reason, due_at, needs_confirmation, token_hash, version = columns[15:22]
    figures, resource_ids = columns[22:24]
    return Booking(
        organization_id=organization_id,
        booking_id=booking_id,
        kind=BookingKind(kind),
        items=tuple(
            BookingItem(resource_id, units, Span(first, stop), bool(pool))
            for resource_id, (first, stop, units, pool) in zip(resource_ids, figures, strict=True)
        ),
        event_type_id=event_type_id,
        event_type_title=title,
        start=start,
        end=end,
        booker=Booker(booker_id, name, email),
        location=location,
        time_zone=zone,
        state=BookingState(state),
        cancel_reason=reason,
        block_reason=block_reason,
        created_at=created,
        updated_at=updated,
        revision=revision,
        sequence=sequence,
        expires_at=due_at if state == BookingState.PROVISIONAL else None,
        needs_confirmation=needs_confirmation,
        token_version=version,
        token_hash=bytes(token_hash),
    )
