"""Makes the exclusion baseline's tables out of the service's, with what is in them.

So its rows are the same, with the same indexes for the same lists. In place of days and feeds
stands an exclusion constraint on the items. It tells resources apart by a number, since the
embedded PostgreSQL has no btree_gist to exclude by their names.
"""

from __future__ import annotations

from typing import Final, LiteralString

import psycopg

NAME: Final = "exclusion"

# The index by resource begins with the number, too, and has the range's ends in it: whoever reads
# a window of one resource need not look at the table. Whole pages are free in none of them.
_STATEMENTS: Final[tuple[LiteralString, ...]] = (
    "drop table days, feeds",
    """
    create table resources (
      organization_id text collate "C", resource_id text collate "C",
      number integer generated always as identity unique,
      primary key (organization_id, resource_id))
    """,
    """
    insert into resources (organization_id, resource_id)
    select distinct organization_id, resource_id from booking_items
    """,
    """
    alter table booking_items
      add resource_number integer, add during int4range, add occupies boolean
    """,
    "drop index booking_items_by_resource",
    """
    update booking_items i set resource_number = r.number,
      during = int4range(first_quantum, stop_quantum), occupies = b.state in (1, 3, 4, 7)
    from resources r, bookings b
    where r.organization_id = i.organization_id and r.resource_id = i.resource_id
      and b.organization_id = i.organization_id and b.booking_id = i.booking_id
    """,
    """
    alter table booking_items alter resource_number set not null, alter during set not null,
      alter occupies set not null
    """,
    "vacuum full booking_items",
    """
    create index booking_items_by_resource on booking_items
      (resource_number, first_quantum, booking_id) include (stop_quantum) where occupies
    """,
    """
    alter table booking_items add constraint booking_items_once exclude using gist
      (int4range(resource_number, resource_number, '[]') with &&, during with &&) where (occupies)
    """,
    # No transaction waits for another's number: events have the order of their inserts.
    """
    create sequence outbox_feed cache 1
    """,
    "select setval('outbox_feed', (select coalesce(max(feed), 0) + 1 from outbox))",
    "alter table outbox alter feed set default nextval('outbox_feed')",
)


def convert(url: str) -> None:
    """Converts a database that the service's migrations made and ``history.load`` filled."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _STATEMENTS:
            connection.execute(statement)
