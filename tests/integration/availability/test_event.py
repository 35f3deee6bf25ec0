"""Events as they are read back: all of them, in the order of commits, as far as they are kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from services.availability.domain.booking import Booking, BookingState, Event
from services.availability.domain.booking_event import EventPosition, LoggedEvent
from services.availability.domain.refusal import TokenExpired
from services.availability.storage.booking import PostgresBookings
from services.availability.storage.database import Database
from services.availability.storage.event import PostgresEvents, PostgresHistory
from tests.integration.availability.database import rows
from tests.integration.availability.entry import NOW, Ledger, booking, key

BEGIN = EventPosition(0)


async def told(
    events: PostgresEvents, organization: str, limit: int, position: EventPosition = BEGIN
) -> list[LoggedEvent]:
    """Everything after a position, read in pages."""
    found: list[LoggedEvent] = []
    while True:
        page = await events.after(organization, position, limit)
        page.require_continues(position)
        assert len(page.entries) <= limit
        if not page.entries:
            return found
        found += page.entries
        position = found[-1].position


def named(entry: LoggedEvent) -> tuple[str, int, Event]:
    """Which event an entry tells."""
    assert entry.event is not None
    assert entry.booking is not None
    assert entry.event.booking_id == entry.booking.booking_id
    return entry.event.booking_id, entry.event.revision, entry.event.event


async def crowd(database: Database, organization: str, count: int) -> None:
    """Books at once, so that transactions have several events, and cancels every other one."""
    ledger = Ledger(database)
    entries = [
        booking(organization, n, n + 1, booking_id=f"b{n:02}", resources=[f"r{n}"])
        for n in range(count)
    ]
    await asyncio.gather(*(ledger.book(key(organization), entry, b"") for entry in entries))
    await asyncio.gather(
        *(
            ledger.cancel(key(organization, "CancelBooking"), entry.booking_id)
            for entry in entries[::2]
        )
    )


async def test_an_event_tells_what_happened_and_the_booking_as_it_is(
    database: Database, organization: str
) -> None:
    ledger, entry = Ledger(database), booking(organization, 0, 4, resources=["a", "b"])
    await ledger.book(key(organization), entry, b"")
    await ledger.cancel(key(organization, "CancelBooking"), entry.booking_id)

    created, cancelled = await told(PostgresEvents(database), organization, 10)

    assert [named(created), named(cancelled)] == [
        (entry.booking_id, 0, Event.CREATED),
        (entry.booking_id, 1, Event.CANCELLED),
    ]
    assert created.event is not None
    assert cancelled.event is not None
    assert (created.event.state, cancelled.event.state) == (
        BookingState.CONFIRMED,
        BookingState.CANCELLED,
    )
    assert (created.event.happened_at, created.event.start, created.event.end) == (
        NOW,
        entry.start,
        entry.end,
    )
    assert (cancelled.event.actor, cancelled.event.reason) == ("ann", "changed my mind")
    assert created.booking == cancelled.booking
    assert created.booking is not None
    assert created.booking.state is BookingState.CANCELLED
    assert created.booking.items == entry.items
    assert [entry.position[:3] for entry in (created, cancelled)] == [(1, 0, True), (2, 0, True)]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 64])
async def test_pages_of_any_size_have_every_event_once_and_in_order(
    database: Database, database_url: str, organization: str, limit: int
) -> None:
    await crowd(database, organization, 20)

    found = await told(PostgresEvents(database), organization, limit)

    written = rows(
        database_url,
        "select booking_id, revision, event from booking_history where organization_id = %s",
        organization,
    )
    assert sorted(map(named, found)) == sorted(written)
    positions = [entry.position for entry in found]
    assert [p[:2] for p in positions] == sorted(p[:2] for p in positions)
    last = [entry.position for entry in found if entry.position.is_last]
    assert [p.feed for p in last] == sorted({p.feed for p in positions})
    assert len(last) < len(found), "no transaction had several events"
    for name in {entry.booking.booking_id for entry in found if entry.booking}:
        revisions = [named(entry)[1] for entry in found if named(entry)[0] == name]
        assert revisions == list(range(len(revisions)))


async def test_a_read_may_begin_after_each_event(database: Database, organization: str) -> None:
    await crowd(database, organization, 6)
    events = PostgresEvents(database)
    found = await told(events, organization, 64)

    for index, entry in enumerate(found, 1):
        rest = await told(events, organization, 64, entry.position)
        assert [e.position for e in rest] == [e.position for e in found[index:]]


async def test_now_is_after_the_newest_event_and_oldest_before_the_first(
    database: Database, organization: str
) -> None:
    events = PostgresEvents(database)
    assert await events.newest(organization) == await events.oldest(organization) == BEGIN
    await crowd(database, organization, 6)

    newest = await events.newest(organization)

    found = await told(events, organization, 64)
    assert newest == found[-1].position
    assert await events.oldest(organization) == BEGIN
    assert await events.numbers([organization, "nobody"]) == {organization: newest.feed}
    assert await told(events, organization, 64, newest) == []


async def test_what_is_not_about_a_booking_is_passed_over(
    database: Database, database_url: str, organization: str
) -> None:
    await Ledger(database).book(key(organization), booking(organization, 0, 4), b"")
    rows(
        database_url,
        "insert into outbox (organization_id, feed, ordinal, kind, booking_id, payload,"
        " created_at) values (%s, 2, 0, 'capacity', '', '{}', now())",
        organization,
    )
    rows(database_url, "update feeds set number = 2 where organization_id = %s", organization)

    booked, other = await told(PostgresEvents(database), organization, 64)

    assert named(booked)[2] is Event.CREATED
    assert (other.event, other.booking, other.position.feed) == (None, None, 2)


async def test_events_of_an_older_version_are_read_by_their_kind(
    database: Database, database_url: str, organization: str
) -> None:
    ledger, entry = Ledger(database), booking(organization, 0, 4)
    await ledger.book(key(organization), entry, b"")
    await ledger.cancel(key(organization, "CancelBooking"), entry.booking_id)
    rows(database_url, "update outbox set revision = 0 where organization_id = %s", organization)
    rows(
        database_url,
        "update booking_history set start_time = null, end_time = null where organization_id = %s",
        organization,
    )

    found = await told(PostgresEvents(database), organization, 64)

    assert [named(event)[1:] for event in found] == [(0, Event.CREATED), (1, Event.CANCELLED)]
    assert all(
        e.event is not None and (e.event.start, e.event.end) == (entry.start, entry.end)
        for e in found
    )


async def test_a_position_ahead_of_the_store_has_expired(
    database: Database, organization: str
) -> None:
    await crowd(database, organization, 2)
    events = PostgresEvents(database)
    newest = await events.newest(organization)

    for ahead in (newest._replace(feed=newest.feed + 1), newest._replace(ordinal=99)):
        with pytest.raises(TokenExpired):
            (await events.after(organization, ahead, 1)).require_continues(ahead)


async def test_a_position_whose_event_was_lost_and_replaced_has_expired(
    database: Database, database_url: str, organization: str
) -> None:
    await Ledger(database).book(key(organization), booking(organization, 0, 4), b"")
    events = PostgresEvents(database)
    lost = await events.newest(organization)
    for table in ("outbox", "feeds", "days", "bookings", "booking_items", "booking_history"):
        statement: Any = f"delete from {table} where organization_id = %s"  # a name
        rows(database_url, statement, organization)

    await Ledger(database).book(key(organization), booking(organization, 0, 4), b"")

    page = await events.after(organization, lost, 10)
    assert page.number == lost.feed
    with pytest.raises(TokenExpired):
        page.require_continues(lost)


async def test_history_ends_with_the_revision_that_was_read(
    database: Database, organization: str
) -> None:
    ledger, entry = Ledger(database), booking(organization, 0, 4)
    await ledger.book(key(organization), entry, b"")
    await ledger.cancel(key(organization, "CancelBooking"), entry.booking_id)

    found = await PostgresHistory(database).newest(entry, 100)

    assert [(event.revision, event.event) for event in found] == [(0, Event.CREATED)]


async def test_history_has_the_newest_events_oldest_first(
    database: Database, database_url: str, organization: str
) -> None:
    entry = booking(organization, 0, 4)
    await Ledger(database).book(key(organization), entry, b"")
    rows(
        database_url,
        "insert into booking_history (organization_id, booking_id, revision, event, state, actor,"
        " reason, created_at) select %s, %s, n, 'rescheduled', 1, '', '', now()"
        " from generate_series(1, 9) n",
        organization,
        entry.booking_id,
    )
    history = PostgresHistory(database)

    newest = await history.newest(_at(entry, 9), 4)
    page = await history.after(organization, entry.booking_id, 2, 3)
    end = await history.after(organization, entry.booking_id, 9, 3)
    nobody = await history.after(organization, "nobody", -1, 3)

    assert [event.revision for event in newest] == [6, 7, 8, 9]
    assert all((event.start, event.end) == (entry.start, entry.end) for event in newest)
    assert page is not None
    assert [event.revision for event in page] == [3, 4, 5]
    assert (end, nobody) == ([], None)


async def test_overlaps_are_what_occupies_with_buffers_and_nothing_beside(
    database: Database, organization: str
) -> None:
    ledger = Ledger(database)
    spans = {"before": (0, 4), "into": (3, 9), "inside": (10, 12), "past": (20, 24)}
    for name, (first, stop) in spans.items():
        entry = booking(organization, first, stop, booking_id=name, resources=["a", f"r-{name}"])
        if name != "into":
            await ledger.book(key(organization), entry, b"")
    gone = booking(organization, 4, 10, booking_id="gone", resources=["a"])
    await ledger.book(key(organization), gone, b"")
    await ledger.cancel(key(organization, "CancelBooking"), "gone")
    into = booking(organization, 4, 9, booking_id="into", resources=["a"])
    await ledger.book(key(organization), into, b"")
    bookings = PostgresBookings(database)
    span = booking(organization, 8, 20).items[0].occupancy

    assert await bookings.overlapping(organization, "a", span, 10) == ["into", "inside"]
    assert await bookings.overlapping(organization, "a", span, 1) == ["into"]
    assert await bookings.overlapping(organization, "r-past", span, 10) == []


def _at(entry: Booking, revision: int) -> Booking:
    return replace(entry, revision=revision)
