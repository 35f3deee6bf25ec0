"""A day that is rebuilt while its resource is booked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.availability.domain.booking import BookingItem
from services.availability.domain.claim import DayKey, DayState
from services.availability.storage import pool, statement
from services.availability.storage.database import Database
from shared.slots.quantum import QUANTA_PER_DAY, Span
from tests.integration.availability.entry import MONDAY, Ledger, booking, key, violations

DAY = DayKey("lamps", MONDAY // QUANTA_PER_DAY)


async def test_a_pool_s_first_booking_while_its_day_is_rebuilt_is_counted(
    database: Database, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilding, booking_ledger = Ledger(database), Ledger(database)
    item = BookingItem("lamps", 1, Span(MONDAY + 60, MONDAY + 96), is_pool=True)
    wanted = replace(booking(organization, 60, 96, resources=("lamps",)), items=(item,))
    read, looked = pool._rows, []

    async def read_then_book(connection: Any, text: Any, parameters: dict[str, Any]) -> Any:
        found = await read(connection, text, parameters)
        if text is statement.SHARE_CAPACITIES:
            looked.append(found)
            if len(looked) == 1:
                await booking_ledger.book(key(organization), wanted, b"booked")
        return found

    monkeypatch.setattr(pool, "_rows", read_then_book)
    told: list[DayState] = []

    def encode(state: DayState) -> bytes:
        told.append(state)
        return b"rebuilt"

    await rebuilding.rebuild(key(organization, "RebuildDay"), DAY, encode)

    mask = (1 << 96) - (1 << 60)
    # Another test may have left a connection that is closed: then it is tried once more.
    assert {(state.busy, state.taken) for state in told} == {(mask, (mask,))}
    assert [len(found) for found in looked[:2]] == [0, 1]
    assert await violations(database, organization) == 0
