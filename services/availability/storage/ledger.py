"""Decides bookings: one statement claims, records, remembers and announces, or nothing does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, LiteralString

from services.availability.app.port import Decision, Noted, RequestKey
from services.availability.domain.booking import Booking
from services.availability.domain.claim import DayMask, DayState, day_masks, refusal
from services.availability.domain.day_change import ChangedDay
from services.availability.domain.refusal import Contended, IdTaken, Kind, NotFound
from services.availability.storage import row
from services.availability.storage.database import Database, Row
from services.availability.storage.failure import LostRace
from services.availability.storage.statement import CHANGE, CREATE
from shared.runtime.deadline import time_remaining
from shared.runtime.failure import RequestIdReused, StoreUnavailable
from shared.slots import bitmap
from shared.slots.quantum import day_date, day_number

# Each further attempt knows what the one before ran into: new days, a copy of itself in
# flight, a rival's commit. Only a crowd that books and cancels the same time needs them all.
_ATTEMPTS: Final = 8
_LOCK_SECONDS: Final = 5.0

ANSWER: Final = """
select content_hash, answer from request_keys
where organization_id = %(org)s and method = %(method)s and request_id = %(request)s
"""

ANSWER_AND_BOOKING: Final = f"""
select a.content_hash, a.answer, {row.COLUMNS}
from (select 1) one
left join (
  select content_hash, answer from request_keys
  where organization_id = %(org)s and method = %(method)s and request_id = %(request)s
) a on true
left join bookings b on b.organization_id = %(org)s and b.booking_id = %(id)s
"""  # noqa: S608  # a LiteralString: no value is put in


class PostgresLedger:
    """The port ``Ledger`` over PostgreSQL."""

    def __init__(self, database: Database, noted: Noted | None = None) -> None:
        """Starts.

        Args:
            database: Where bookings are.
            noted: Told of what is committed.
        """
        self._database = database
        self._noted = noted or _nobody

    async def answer(self, key: RequestKey) -> bytes | None:
        """As in the port."""
        rows = await self._database.fetch(ANSWER, _key_parameters(key))
        return self._remembered(key, *rows[0]) if rows else None

    async def create(self, key: RequestKey, booking: Booking, answer: bytes) -> bytes:
        """As in the port."""
        parameters = parameters_of_create(key, booking, answer)
        for _ in range(_ATTEMPTS):
            try:
                found = await self._write(key, CREATE, parameters)
            except LostRace:
                continue
            if (given := self._given(key, booking.booking_id, answer, found)) is not None:
                return given
        raise Contended

    async def change(self, key: RequestKey, booking_id: str, decide: Decision) -> bytes:
        """As in the port."""
        parameters = _key_parameters(key) | {"id": booking_id}
        for _ in range(_ATTEMPTS):
            (found,) = await self._database.fetch(ANSWER_AND_BOOKING, parameters)
            if found[0] is not None:
                return self._remembered(key, found[0], found[1])
            if found[2] is None:
                raise NotFound(Kind.BOOKING, booking_id)
            booking = row.booking(key.organization_id, found[2:])
            changed, answer = decide(booking)
            if await self._write_change(key, booking, changed, answer):
                return answer
        raise Contended

    async def _write_change(
        self, key: RequestKey, booking: Booking, changed: Booking, answer: bytes
    ) -> bool:
        freed = day_masks(booking.items) if booking.occupies and not changed.occupies else []
        parameters = {
            **_key_parameters(key),
            **_day_parameters(freed),
            "answer": answer,
            "id": booking.booking_id,
            "state": int(changed.state),
            "revision": changed.revision,
            "event": changed.state.name.lower(),
            "reason": changed.cancel_reason,
            "now": changed.updated_at,
        }
        try:
            return bool(await self._write(key, CHANGE, parameters))
        except LostRace:
            return False

    async def _write(
        self, key: RequestKey, statement: LiteralString, parameters: Mapping[str, Any]
    ) -> list[Row]:
        def seen(found: Sequence[Row]) -> None:
            if changed := _changed(found):
                self._noted(key.organization_id, changed)

        try:
            return await self._database.fetch(statement, {**parameters, **_patience()}, seen=seen)
        except StoreUnavailable:
            self._noted(key.organization_id, ())  # it may have been committed all the same
            raise

    def _given(
        self, key: RequestKey, booking_id: str, answer: bytes, found: Sequence[Row]
    ) -> bytes | None:
        """Returns the answer that the key has now; None where the statement must run again."""
        number, content_hash, former, namesake, *_ = found[0]
        if number is not None:
            return answer
        if content_hash is not None:
            return self._remembered(key, content_hash, former)
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

    def _remembered(self, key: RequestKey, content_hash: bytes, answer: bytes) -> bytes:
        if content_hash != key.content_hash:
            raise RequestIdReused
        # Committed a moment ago, perhaps, by a statement whose rows were lost on their way.
        self._noted(key.organization_id, ())
        return answer


def _changed(found: Iterable[Row]) -> list[ChangedDay]:
    """Returns the days that a statement changed: the last columns of its rows."""
    return [
        ChangedDay(resource_id, day_number(day), DayState(busy, feed))
        for feed, *_, resource_id, day, busy in found
        if feed is not None and resource_id is not None
    ]


def _nobody(_organization_id: str, _days: Sequence[ChangedDay]) -> None:
    pass


def _patience() -> dict[str, str]:
    return {"patience": str(max(1, int(time_remaining(_LOCK_SECONDS) * 1000)))}


def _key_parameters(key: RequestKey) -> dict[str, Any]:
    return {
        "org": key.organization_id,
        "method": key.method,
        "request": key.request_id,
        "hash": key.content_hash,
    }


def _day_parameters(masks: Sequence[DayMask]) -> dict[str, Any]:
    return {
        "resources": _array(mask.resource_id for mask in masks),
        "days": _array(day_date(mask.day) for mask in masks),
        "bits": _array(bitmap.to_bits(mask.bits) for mask in masks),
    }


def parameters_of_create(key: RequestKey, booking: Booking, answer: bytes) -> dict[str, Any]:
    """Returns the parameters of ``CREATE``, but for the patience."""
    return {
        **_key_parameters(key),
        **_day_parameters(day_masks(booking.items)),
        "answer": answer,
        "id": booking.booking_id,
        "state": int(booking.state),
        "revision": booking.revision,
        "event_type": booking.event_type_id,
        "title": booking.event_type_title,
        "start": booking.start,
        "end": booking.end,
        "booker": booking.booker.booker_id,
        "name": booking.booker.name,
        "email": booking.booker.email,
        "location": booking.location,
        "zone": booking.time_zone,
        "event": "created",
        "reason": "",
        "now": booking.created_at,
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
