"""The days of many resources in one statement, and the feed number that they are of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, LiteralString

import psycopg

from services.availability.domain.claim import DayKey, DayState
from services.availability.domain.day_bytes import planes_to_bytes
from services.availability.storage.database import Database
from services.availability.storage.day_range import CAPACITIES, OF_RANGE, PostgresRange
from services.availability.storage.session import options_for
from shared.slots.bitmap import to_bits
from shared.slots.quantum import day_date
from tests.integration.availability.entry import MONDAY

DAY: Final = MONDAY // 96


def put(
    url: str,
    organization_id: str,
    days: Mapping[tuple[str, int], DayState],
    feed: int,
    capacities: Mapping[str, int],
) -> None:
    """Stores an inventory as transactions would have left it."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into days (organization_id, resource_id, day, busy, version, taken)"
            " values (%s, %s, %s, %s::bit(96), %s, %s)",
            [
                (
                    organization_id,
                    resource_id,
                    day_date(day),
                    to_bits(state.busy),
                    state.version,
                    planes_to_bytes(state.taken),
                )
                for (resource_id, day), state in days.items()
            ],
        )
        cursor.executemany(
            "insert into capacities (organization_id, resource_id, units, version)"
            " values (%s, %s, %s, 1)",
            [(organization_id, name, units) for name, units in capacities.items()],
        )
        if feed:
            cursor.execute(
                "insert into feeds (organization_id, number) values (%s, %s)",
                (organization_id, feed),
            )


async def test_days_are_read_with_the_number_of_their_moment(
    database: Database, database_url: str, organization: str
) -> None:
    pool = DayState(1, 9, (0b111, 0b1))
    room = DayState(1 << 95, 4)
    days = {
        ("a", DAY - 1): room,
        ("a", DAY): room,
        ("b", DAY + 2): pool,
        ("b", DAY + 3): room,
        ("c", DAY): room,
    }
    put(database_url, organization, days, 9, {})
    put(database_url, f"{organization}-2", {("a", DAY): room}, 3, {})

    found = await PostgresRange(database).days(
        organization, ["a", "b", "never"], range(DAY, DAY + 3)
    )

    assert found.feed == 9
    assert dict(found.rows) == {DayKey("a", DAY): room, DayKey("b", DAY + 2): pool}


async def test_capacities_are_read_where_they_are_set(
    database: Database, database_url: str, organization: str
) -> None:
    put(database_url, organization, {}, 7, {"a": 3, "c": 5})

    found = await PostgresRange(database).capacities(organization, ["a", "b"])

    assert found == (7, [("a", 3)])


async def test_an_organization_without_bookings_has_neither(
    database: Database, organization: str
) -> None:
    reader = PostgresRange(database)

    feed, rows = await reader.days(organization, ["a"], range(DAY, DAY + 1))

    assert (feed, list(rows)) == (0, [])
    assert await reader.capacities(organization, ["a"]) == (0, [])


_FILL: Final = """
insert into days (organization_id, resource_id, day, busy, version)
  select %(org)s, 'r' || r, date '2027-01-01' + d, repeat('10', 48)::bit(96), 1
  from generate_series(0, 299) r, generate_series(0, 199) d;
"""


def explained(url: str, statement: LiteralString, parameters: Mapping[str, Any]) -> str:
    options = options_for(url, timedelta(seconds=10), lookups_only=True)
    with psycopg.connect(**options) as connection:
        rows = connection.execute(
            f"explain (analyze, buffers, costs off, timing off, summary off) {statement}",
            parameters,
        ).fetchall()
    return "\n".join(row[0] for row in rows)


async def test_history_and_other_resources_cost_no_row(
    database_url: str, organization: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.cursor().execute(_FILL, {"org": organization})
        connection.execute("analyze days")
    named = {"org": organization, "resources": [f"r{number}" for number in range(0, 300, 10)]}

    plan = explained(
        database_url,
        OF_RANGE,
        named | {"first": day_date(DAY), "last": day_date(DAY + 6)},
    )
    capacities = explained(database_url, CAPACITIES, named)

    assert "Seq Scan" not in plan + capacities
    assert re.search(r"Index Scan using days_pkey on days d.*rows=210(\.0+)? ", plan)
    assert "Rows Removed" not in plan
    assert re.search("Index Scan using capacities_pkey", capacities)
    # Some pages of the index a resource, and those of its seven rows.
    buffers = re.search(r"shared hit=(\d+)(?: read=(\d+))?", plan)
    assert buffers
    assert sum(int(count or 0) for count in buffers.groups()) <= 30 * (5 + 7)
