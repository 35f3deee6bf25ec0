"""The baseline of group commit: the same service with one transaction for each booking.

``python -m tests.load.single`` serves it, on tables of the service's own schema. It writes the
rows that the service writes, and takes the same locks in the same order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from psycopg import errors

from services.availability.app.port import RequestKey
from services.availability.domain.booking import Booking
from services.availability.domain.claim import DayMask, day_masks, refusal
from services.availability.domain.refusal import Contended, IdTaken
from services.availability.upstream.catalog import Catalog
from shared.runtime.clock import Clock
from shared.runtime.deadline import time_remaining
from shared.runtime.program import run
from shared.runtime.server import Servicer
from shared.slots import bitmap
from shared.slots.quantum import day_date, day_number
from tests.load.baseline import BaselineSettings, bookings_in, wired
from tests.load.baseline_store import (
    BaselineStore,
    Row,
    booking_parameters,
    key_parameters,
    pool_of,
    remembered,
)
from tests.load.single_statement import CREATE, LOST_RACE, NAME

# Each further attempt knows what the one before ran into: new days, a copy of itself in
# flight, a rival's commit.
_ATTEMPTS: Final = 8
_LOCK_SECONDS: Final = 5.0


class SingleStore(BaselineStore):
    """Bookings over day bitmaps, each its own transaction."""

    async def create(self, key: RequestKey, booking: Booking, answer: bytes) -> bytes:
        """Writes the booking, or refuses; returns the key's answer."""
        parameters = _parameters(key, booking, answer)
        for _ in range(_ATTEMPTS):
            try:
                found = await self.fetch(CREATE, {**parameters, **_patience()})
            except errors.CheckViolation as error:
                if error.diag.constraint_name != LOST_RACE:
                    raise
                continue
            if (given := _given(key, booking.booking_id, answer, found)) is not None:
                return given
        raise Contended


@asynccontextmanager
async def opened(settings: BaselineSettings) -> AsyncIterator[SingleStore]:
    """Connects."""
    async with pool_of(settings) as pool:
        yield SingleStore(pool)


def _given(key: RequestKey, booking_id: str, answer: bytes, found: Sequence[Row]) -> bytes | None:
    """Returns the answer that the key has now; None where the statement must run again."""
    number, content_hash, former, namesake, *_ = found[0]
    if number is not None:
        return answer
    if content_hash is not None:
        return remembered(key, content_hash, former)
    if namesake is not None:
        raise IdTaken(booking_id)
    taken = [
        DayMask(resource_id, day_number(day), bits)
        for _, _, _, _, resource_id, day, bits, *_ in found
        if resource_id is not None
    ]
    if taken:
        raise refusal(taken)
    return None


def _patience() -> dict[str, str]:
    return {"patience": str(max(1, int(time_remaining(_LOCK_SECONDS) * 1000)))}


def _parameters(key: RequestKey, booking: Booking, answer: bytes) -> dict[str, Any]:
    masks = day_masks(booking.items)
    return {
        **key_parameters(key),
        **booking_parameters(booking),
        "resources": _array(mask.resource_id for mask in masks),
        "days": _array(day_date(mask.day) for mask in masks),
        "bits": _array(bitmap.to_bits(mask.bits) for mask in masks),
        "answer": answer,
        "event": "created",
        "reason": "",
        "item_resources": _array(item.resource_id for item in booking.items),
        "item_units": _array(item.units for item in booking.items),
        "item_firsts": _array(item.occupancy.first for item in booking.items),
        "item_stops": _array(item.occupancy.stop for item in booking.items),
    }


def _array(values: Iterable[object]) -> str:
    """Writes ids, dates, bits or numbers as PostgreSQL's text of an array.

    The driver's own arrays cost as much as the rest of the statement's parameters together.
    """
    # Quoted: an id may read NULL. None of these values has a quote or a backslash in it.
    return "{" + ",".join(f'"{value}"' for value in values) + "}"


def served(catalog: Catalog, store: SingleStore, clock: Clock) -> Sequence[Servicer]:
    """CreateBooking: its reads are not what it is compared by."""
    return [bookings_in(catalog, store, clock)]


if __name__ == "__main__":
    run(NAME, BaselineSettings, wired(NAME, opened, served))
