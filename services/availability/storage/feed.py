"""Reads what transactions did to days, out of the outbox that they wrote."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from itertools import groupby
from typing import Any, Final

from services.availability.domain.claim import DayState
from services.availability.domain.day_bytes import planes_from_bytes
from services.availability.domain.day_change import ChangedDay, DayChange, FeedPage
from services.availability.storage.database import Database, Row
from shared.slots.bitmap import from_bits
from shared.slots.quantum import day_number, microseconds

# Transactions of one organization and reading; what is left comes with the next one.
_MOST_ROWS: Final = 1_000

# A transaction's days stand beside its first event. Where nothing came, the outbox is not looked
# into: the organization's number says so.
# The server's start stands for its epoch: whatever lost commits (a failover, a restored backup,
# a crash without fsync) was followed by one.
FEED: Final = """
select a.org, coalesce(f.number, 0), pg_postmaster_start_time(), o.feed, o.payload
from unnest(%(orgs)s::text[], %(positions)s::bigint[]) as a (org, position)
left join feeds f on f.organization_id = a.org
left join lateral (
  select feed, payload from outbox
  where f.number > a.position
    and organization_id = a.org and feed > a.position and ordinal = 0
  order by feed limit %(limit)s
) o on true
order by a.org, o.feed
"""


class PostgresFeed:
    """The port ``FeedReader`` over PostgreSQL: one statement, however many organizations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, positions: Mapping[str, int]) -> Mapping[str, FeedPage]:
        """As in the port."""
        parameters = {
            "orgs": list(positions),
            "positions": list(positions.values()),
            "limit": _MOST_ROWS,
        }
        rows = await self._database.fetch(FEED, parameters)
        return {
            organization_id: _page(list(found))
            for organization_id, found in groupby(rows, key=lambda row: str(row[0]))
        }


def _page(rows: list[Row]) -> FeedPage:
    _, number, started, *_ = rows[0]
    changes = [_change(feed, payload) for *_, feed, payload in rows if feed is not None]
    return FeedPage(_epoch(started), number, changes)


def _epoch(started: datetime) -> int:
    return microseconds(started)


def _change(feed: int, payload: Any) -> DayChange:
    return DayChange(
        feed,
        [_day(feed, *told) for told in payload.get("days") or ()],
        [(resource_id, units) for resource_id, units in payload.get("capacities", ())],
    )


def _day(feed: int, resource_id: str, day: str, busy: str, taken: str = "") -> ChangedDay:
    return ChangedDay(
        resource_id,
        day_number(date.fromisoformat(day)),
        DayState(from_bits(busy), feed, planes_from_bytes(bytes.fromhex(taken))),
    )
