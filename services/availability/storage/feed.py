"""Reads what transactions did to days, out of the outbox that they wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from itertools import groupby
from typing import Any, Final

from services.availability.domain.claim import DayState
from services.availability.domain.day_change import ChangedDay, DayChange, FeedPage
from services.availability.storage.database import Database, Row
from shared.slots.bitmap import from_bits
from shared.slots.quantum import day_number, microseconds

# Of one organization and reading; what is left comes with the next one.
_MOST_ROWS: Final = 1_000

# The server's start stands for its epoch: whatever lost commits (a failover, a restored backup,
# a crash without fsync) was followed by one.
FEED: Final = """
select a.org, coalesce(f.number, 0), pg_postmaster_start_time(), o.feed, o.days
from unnest(%(orgs)s::text[], %(positions)s::bigint[]) as a (org, position)
left join feeds f on f.organization_id = a.org
left join lateral (
  select feed, ordinal, payload -> 'days' as days from outbox
  where organization_id = a.org and feed > a.position
  order by feed, ordinal limit %(limit)s
) o on true
order by a.org, o.feed, o.ordinal
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
    events = [(feed, days) for *_, feed, days in rows if feed is not None]
    if len(events) == _MOST_ROWS:
        # The last transaction may have more rows than were read.
        last = events[-1][0]
        events = [event for event in events if event[0] != last] or events
    return FeedPage(_epoch(started), number, list(_changes(events)))


def _epoch(started: datetime) -> int:
    return microseconds(started)


def _changes(events: Iterable[tuple[int, Any]]) -> Iterable[DayChange]:
    for feed, together in groupby(events, key=lambda event: event[0]):
        yield DayChange(
            feed,
            [
                ChangedDay(
                    resource_id,
                    day_number(date.fromisoformat(day)),
                    DayState(from_bits(busy), feed),
                )
                for _, days in together
                for resource_id, day, busy in days or ()
            ],
        )
