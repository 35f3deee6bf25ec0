"""Transactions about one resource alone: how many units there are, and a day written anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from services.availability.app.port import Answered
from services.availability.domain.booking import OCCUPYING, BookingItem
from services.availability.domain.claim import FREE, DayKey, DayState, Inventory
from services.availability.domain.ledger_claim import CapacityClaim, Decided, RebuildClaim
from services.availability.domain.request_key import RequestKey
from services.availability.storage import group, statement
from services.availability.storage.batch import Batch
from services.availability.storage.database import Row
from services.availability.storage.group import Answer, Committed, changed_days, day_states
from services.availability.storage.record import Records, array
from services.availability.storage.session import Connection
from shared.slots.quantum import QUANTA_PER_DAY, Span, instant

# An occupancy lies around its booking's start: 31 days of booking and of each buffer.
_FARTHEST: Final = timedelta(days=63)


class Resizing:
    """SetCapacity: under the lock that claims share, with every day of the pool locked."""

    def __init__(self, claim: CapacityClaim) -> None:
        self._claim = claim
        self._key = claim.key

    async def __call__(self, connection: Connection) -> Committed:
        """Runs the transaction.

        Raises:
            psycopg.Error: Nothing was written, unless the connection broke.
        """
        claim, about = self._claim, _about(self._key.organization_id, self._claim.resource_id)
        await connection.execute("begin")
        if given := await _answered(connection, self._key):
            return await _unwritten(connection, given)
        await connection.execute(
            statement.MAKE_CAPACITIES, about | {"resources": array([claim.resource_id])}
        )
        units = await _rows(connection, statement.LOCK_CAPACITY, about)
        days = day_states(await _rows(connection, statement.LOCK_ALL_DAYS, about))
        inventory = Inventory(days, {claim.resource_id: units[0][0]})
        try:
            decided = claim.decide(inventory, days)
        except Exception as refusal:  # noqa: BLE001  # told to the caller
            return await _unwritten(connection, refusal)
        records = Records()
        records.add(self._key, decided)
        changed = _changed(inventory)
        number = await group.write(
            Batch(connection),
            self._key.organization_id,
            records,
            changed,
            days,
            capacity=decided.capacity,
        )
        return Committed([Answered(decided.answer)], changed_days(changed, number))


class Rebuilding:
    """RebuildDay: with the day locked, which whoever changes its bookings would need."""

    def __init__(self, claim: RebuildClaim) -> None:
        self._claim = claim
        self._key = claim.key

    async def __call__(self, connection: Connection) -> Committed:
        """Runs the transaction.

        Raises:
            psycopg.Error: Nothing was written, unless the connection broke.
        """
        claim, key = self._claim, self._claim.day
        org = self._key.organization_id
        about = _about(org, key.resource_id)
        shared = {"org": org, "resources": array([key.resource_id])}
        arrays = {"org": org} | group.day_arrays([key])
        while True:
            await connection.execute("begin")
            if given := await _answered(connection, self._key):
                return await _unwritten(connection, given)
            units = await _rows(connection, statement.SHARE_CAPACITIES, shared)
            days = day_states(await _rows(connection, statement.LOCK_DAYS, arrays))
            items = await self._items(connection, about)
            if units or not any(item.is_pool for item in items):
                break
            # The pool's first booking came in between, and with it the row to be shared, which
            # is locked before days: once more.
            await connection.execute("rollback")
        inventory = Inventory({key: days.get(key, FREE)}, dict(units))
        claim.decide(inventory, items, is_pool=bool(units))
        # Written whatever it was: its version tells that it was looked at.
        (found,) = await _rows(connection, statement.NEXT_NUMBER, {"org": org})
        number: int = found[0]
        state = inventory.state(key)._replace(version=number)
        decided = Decided(claim.encode(state), kind="rebuilt")
        records = Records()
        records.add(self._key, decided)
        await group.write(Batch(connection), org, records, [(key, state)], days, is_numbered=True)
        return Committed([Answered(decided.answer)], changed_days([(key, state)], number))

    async def _items(self, connection: Connection, about: dict[str, Any]) -> list[BookingItem]:
        resource_id, day = self._claim.day
        first, stop = day * QUANTA_PER_DAY, (day + 1) * QUANTA_PER_DAY
        rows = await _rows(
            connection,
            statement.OCCUPYING,
            about
            | {
                "first": first,
                "stop": stop,
                "from": instant(first) - _FARTHEST,
                "until": instant(stop) + _FARTHEST,
                "states": array(int(state) for state in OCCUPYING),
            },
        )
        return [
            BookingItem(resource_id, units, Span(start, end), is_pool)
            for units, start, end, is_pool in rows
        ]


def _about(organization_id: str, resource_id: str) -> dict[str, Any]:
    return {"org": organization_id, "resource": resource_id}


async def _answered(connection: Connection, key: RequestKey) -> group.Outcome | None:
    await connection.execute(statement.LOCK_KEYS, {"locks": array([group.lock_number(*key[:3])])})
    named = {"org": key.organization_id, "method": key.method, "request": key.request_id}
    for content_hash, answer in await _rows(connection, statement.ANSWER, named):
        return group.replayed(key, Answer(content_hash, answer))
    return None


async def _unwritten(connection: Connection, outcome: group.Outcome) -> Committed:
    await connection.execute(statement.UNWRITTEN)
    await connection.execute("commit")
    return Committed([outcome], ())


async def _rows(connection: Connection, text: Any, parameters: dict[str, Any]) -> list[Row]:
    cursor = await connection.execute(text, parameters, binary=True)
    return await cursor.fetchall()


def _changed(inventory: Inventory) -> Sequence[tuple[DayKey, DayState]]:
    return [(key, inventory.state(key)) for key in sorted(inventory.changed)]
