"""Stored days as they are read: those asked for, near or centuries apart."""

from __future__ import annotations

from services.availability.domain.claim import DayState
from services.availability.storage.database import Database
from services.availability.storage.day import PostgresDays
from shared.slots import bitmap
from tests.integration.availability.entry import MONDAY, Ledger, booking, key

DAY = MONDAY // 96
FAR = 2_932_000  # in 9997


async def test_days_in_a_row_are_read_with_those_never_booked_left_out(
    database: Database, organization: str
) -> None:
    ledger, days = Ledger(database), PostgresDays(database)
    await ledger.book(key(organization), booking(organization, 90, 100), b"")

    row = range(DAY - 1, DAY + 4)

    expected = {
        DAY: DayState(bitmap.mask(90, 96), 1),
        DAY + 1: DayState(bitmap.mask(0, 4), 1),
    }
    assert await days.of_resource(organization, "studio-a", row) == expected
    assert await days.of_resources(organization, ["studio-a", "studio-b"], row) == {
        "studio-a": expected,
        "studio-b": {},
    }


async def test_scattered_days_are_read_without_those_between(
    database: Database, organization: str
) -> None:
    ledger, days = Ledger(database), PostgresDays(database)
    far = (FAR - DAY) * 96
    for first in (0, 96, 192, far):
        names = ["studio-a", "studio-b"]
        one = booking(organization, first, first + 4, resources=names)
        await ledger.book(key(organization), one, b"")

    found = await days.of_resources(organization, ["studio-a"], [10, DAY, DAY + 2, FAR])

    bits = bitmap.mask(0, 4)
    assert found == {
        "studio-a": {DAY: DayState(bits, 1), DAY + 2: DayState(bits, 3), FAR: DayState(bits, 4)}
    }
