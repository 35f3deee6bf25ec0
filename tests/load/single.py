"""The baseline of group commit: the same service with one transaction for each booking.

``python -m tests.load.single`` serves it, on tables of the service's own schema. It writes the
rows that the service writes, and takes the same locks in the same order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from psycopg import errors

from services.availability.app.hold_gate import HoldGate
from services.availability.app.port import Answered, OnCommit, nothing
from services.availability.domain.booking import Booking, Note
from services.availability.domain.refusal import Contended, IdTaken, SlotUnavailable
from services.availability.domain.request_key import RequestKey
from services.availability.settings import AvailabilitySettings
from services.availability.upstream.catalog import Catalog
from shared.runtime.deadline import time_remaining
from shared.runtime.program import run
from shared.runtime.server import Servicer
from shared.slots.bitmap import quanta, to_bits
from shared.slots.quantum import day_date
from tests.load.baseline import bookings_in, wired
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

    async def create(
        self,
        key: RequestKey,
        booking: Booking,
        note: Note,
        encode: Callable[[Booking], bytes],
        *,
        is_named: bool = True,
        committed: OnCommit = nothing,
    ) -> Answered:
        """Writes the booking, or refuses; returns the key's answer."""
        del is_named  # an id is never taken twice, whoever chose it
        answer = encode(booking)
        parameters = _parameters(key, booking, note, answer)
        for _ in range(_ATTEMPTS):
            try:
                found = await self.fetch(CREATE, {**parameters, **_patience()})
            except errors.CheckViolation as error:
                if error.diag.constraint_name != LOST_RACE:
                    raise
                continue
            if (given := _given(key, booking.booking_id, answer, found)) is not None:
                if given is answer:
                    committed()
                return Answered(given, is_replay=given is not answer)
        raise Contended


@asynccontextmanager
async def opened(settings: AvailabilitySettings) -> AsyncIterator[SingleStore]:
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
    taken = [(row[4], row[5], row[6]) for row in found if row[4] is not None]
    if taken:
        first = min(resource_id for resource_id, _, _ in taken)
        raise SlotUnavailable(
            first, {day: quanta(bits) for resource_id, day, bits in taken if resource_id == first}
        )
    return None


def _patience() -> dict[str, str]:
    return {"patience": str(max(1, int(time_remaining(_LOCK_SECONDS) * 1000)))}


def _parameters(key: RequestKey, booking: Booking, note: Note, answer: bytes) -> dict[str, Any]:
    masks = sorted(
        (item.resource_id, day, bits)
        for item in booking.items
        for day, bits in item.occupancy.masks()
    )
    return {
        **key_parameters(key),
        **booking_parameters(booking, note),
        "resources": _array(resource_id for resource_id, _, _ in masks),
        "days": _array(day_date(day) for _, day, _ in masks),
        "bits": _array(to_bits(bits) for _, _, bits in masks),
        "answer": answer,
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


def served(
    settings: AvailabilitySettings, catalog: Catalog, gate: HoldGate, store: SingleStore
) -> Sequence[Servicer]:
    """CreateBooking: its reads are not what it is compared by."""
    return [bookings_in(settings, catalog, gate, store)]


if __name__ == "__main__":
    run(NAME, AvailabilitySettings, wired(NAME, opened, served))
