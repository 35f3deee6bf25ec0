"""The baseline that is PostgreSQL's usual answer: ranges, and a constraint that excludes overlaps.

``python -m tests.load.exclusion`` serves it. A booking is one statement and one transaction that
writes the rows the service writes; the constraint decides. A read looks the ranges of its window
up and hands them, as bitmaps, to the slot engine of the service.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from psycopg import errors

from services.availability.app.hold_gate import HoldGate
from services.availability.app.port import Answered, OnCommit, nothing
from services.availability.domain.booking import Booking, Note
from services.availability.domain.claim import DayState
from services.availability.domain.refusal import Contended, IdTaken, SlotUnavailable
from services.availability.domain.request_key import RequestKey
from services.availability.settings import AvailabilitySettings
from services.availability.upstream.catalog import Catalog
from shared.runtime.program import run
from shared.runtime.server import Servicer
from shared.slots.bitmap import quanta
from shared.slots.quantum import QUANTA_PER_DAY, Span, day_date
from tests.load.baseline import bookings_in, day_slots_of, wired
from tests.load.baseline_store import (
    INSERT_BOOKING,
    INSERT_HISTORY,
    BaselineStore,
    Pool,
    booking_parameters,
    compact,
    key_parameters,
    pool_of,
)
from tests.load.exclusion_schema import NAME

_ATTEMPTS: Final = 3

_NUMBER: Final = """
with made as (
  insert into resources (organization_id, resource_id) values (%(org)s, %(resource)s)
  on conflict do nothing returning number
)
select number from made
union all
select number from resources where organization_id = %(org)s and resource_id = %(resource)s
"""

# What overlaps is an error, and undoes all of it. No row when the key was used before.
_CREATE: Final = compact(f"""
with key as (
  insert into request_keys (organization_id, method, request_id, content_hash, answer)
  values (%(org)s, %(method)s, %(request)s, %(hash)s, %(answer)s)
  on conflict do nothing
  returning 1
), booking as (
  {INSERT_BOOKING}
  from key
), item as (
  insert into booking_items (organization_id, booking_id, ordinal, resource_id, units,
    first_quantum, stop_quantum, start_time, pool, resource_number, during, occupies)
  select %(org)s, %(id)s, 1, %(resource)s, %(units)s, %(first)s, %(stop)s, %(start)s,
    false, %(number)s, int4range(%(first)s, %(stop)s), true
  from key
), history as (
  {INSERT_HISTORY}
  from key
), event as (
  insert into outbox (organization_id, ordinal, kind, booking_id, revision, payload, created_at)
  select %(org)s, 0, %(event)s, %(id)s, %(revision)s, jsonb_build_object('items', jsonb_build_array(
    jsonb_build_array(%(resource)s::text, %(first)s::int, %(stop)s::int))), %(now)s
  from key
)
select 1 from key
""")  # a LiteralString: no value is put in

# Ranges of one resource never overlap: the first one that counts is the last that begins by then.
_OVERLAPPING: Final = """
select first_quantum, stop_quantum from booking_items
where resource_number = %(number)s and occupies and first_quantum < %(stop)s
  and first_quantum >= coalesce((
    select first_quantum from booking_items
    where resource_number = %(number)s and occupies and first_quantum <= %(first)s
    order by first_quantum desc limit 1), %(first)s)
"""


class ExclusionStore(BaselineStore):
    """Bookings as ranges."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._numbers: dict[tuple[str, str], int] = {}

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
        (item,) = booking.items
        parameters = {
            **key_parameters(key),
            **booking_parameters(booking, note),
            "answer": answer,
            "resource": item.resource_id,
            "units": item.units,
            "first": item.occupancy.first,
            "stop": item.occupancy.stop,
            "number": await self._number(key.organization_id, item.resource_id),
        }
        for _ in range(_ATTEMPTS):
            try:
                if await self.fetch(_CREATE, parameters):
                    committed()
                    return Answered(answer)
            except errors.ExclusionViolation:
                raise _refusal(item.resource_id, item.occupancy) from None
            except errors.UniqueViolation:
                raise IdTaken(booking.booking_id) from None
            if (given := await self.answer(key)) is not None:
                return Answered(given, is_replay=True)
        raise Contended

    async def of_resource(
        self, organization_id: str, resource_id: str, days: range
    ) -> Mapping[int, DayState]:
        """Returns what is taken of a resource, by UTC day."""
        if not days:
            return {}
        first, stop = days.start * QUANTA_PER_DAY, days.stop * QUANTA_PER_DAY
        number = await self._number(organization_id, resource_id)
        busy = dict.fromkeys(days, 0)
        for begin, end in await self.fetch(
            _OVERLAPPING, {"number": number, "first": first, "stop": stop}
        ):
            if end > first:
                for day, bits in Span(max(begin, first), min(end, stop)).masks():
                    busy[day] |= bits
        return {day: DayState(bits, 0) for day, bits in busy.items()}

    async def _number(self, organization_id: str, resource_id: str) -> int:
        name = organization_id, resource_id
        known = self._numbers.get(name)
        if known is None:
            rows = await self.fetch(_NUMBER, {"org": organization_id, "resource": resource_id})
            known = self._numbers[name] = rows[0][0]
        return known


@asynccontextmanager
async def opened(settings: AvailabilitySettings) -> AsyncIterator[ExclusionStore]:
    """Connects."""
    async with pool_of(settings) as pool:
        yield ExclusionStore(pool)


def _refusal(resource_id: str, occupancy: Span) -> SlotUnavailable:
    taken = {day_date(day): quanta(bits) for day, bits in occupancy.masks()}
    return SlotUnavailable(resource_id, taken)


def served(
    settings: AvailabilitySettings, catalog: Catalog, gate: HoldGate, store: ExclusionStore
) -> Sequence[Servicer]:
    """CreateBooking and GetDaySlots."""
    return [bookings_in(settings, catalog, gate, store), day_slots_of(settings, catalog, store)]


if __name__ == "__main__":
    run(NAME, AvailabilitySettings, wired(NAME, opened, served))
