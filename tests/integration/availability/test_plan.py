"""Every hot statement looks rows up by key; history costs no page."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, LiteralString, NamedTuple, TypeVar

import psycopg
import pytest
from psycopg import sql

from services.availability.app.port import BookingFilter, Cursor
from services.availability.domain.booking import Booking, BookingKind, BookingState, Event, Note
from services.availability.domain.claim import DayKey
from services.availability.domain.ledger_claim import Change
from services.availability.storage import group, pool, statement
from services.availability.storage.batch import Batch, Reply
from services.availability.storage.booking import ONE, OVERLAPPING, page_query
from services.availability.storage.database import Database
from services.availability.storage.day import CAPACITIES, OF_RESOURCE, OF_RESOURCES, SCATTERED
from services.availability.storage.event import (
    AFTER,
    NEWEST,
    NEWEST_OF_BOOKING,
    NUMBERS,
    OF_BOOKING,
    OLDEST,
)
from services.availability.storage.feed import FEED
from services.availability.storage.ledger import ANSWER_AND_BOOKING
from services.availability.storage.migration import HEAD
from services.availability.storage.overdue import OVERDUE
from services.availability.storage.purge import EXPIRED, PURGE, TRIM
from services.availability.storage.session import Connection, options_for
from shared.slots.quantum import Span, instant
from tests.integration.availability.database import migrated_database, rows
from tests.integration.availability.entry import MONDAY, NOW, Ledger, Memory, booking, key
from tests.stores import PostgresServer

T = TypeVar("T")

CROWDED = "org-crowded"
QUIET = "org-quiet"
EMPTY = "org-empty"
MOST = 5_000

# A tenth of all on one resource, 200 cancelled bookings on each of its days; now and then a
# block, one that waits, one that came to nothing.
_FILL = """
insert into days (organization_id, resource_id, day, busy, version)
  select 'org-crowded', 'r' || r, date '2027-03-01' + d, repeat('10', 48)::bit(96), 1
  from generate_series(0, 199) r, generate_series(0, 99) d;
insert into bookings (organization_id, booking_id, state, revision, event_type_id,
    event_type_title, start_time, end_time, booker_id, booker_name, booker_email, location,
    time_zone, cancel_reason, created_at, updated_at, kind, due_at)
  select 'org-crowded', 'b' || n,
    case when n % 10 = 0 then 2 when n % 500 = 1 then 3 + n / 500 % 5 else 1 end, 0,
    'e' || n % 7, 'E', timestamptz '2027-03-01' + n * interval '15 minutes',
    timestamptz '2027-03-01' + (n + 1) * interval '15 minutes', 'p' || n % 1000, '', '', '', '',
    '', now(), now(), case when n % 500 = 3 then 2 else 1 end,
    case when n % 2500 = 1 then timestamptz '2027-03-01' + n * interval '15 minutes' end
  from generate_series(0, 29999) n;
insert into booking_items (organization_id, booking_id, ordinal, resource_id, units,
    first_quantum, stop_quantum, start_time)
  select 'org-crowded', 'b' || n, 1, 'r' || case when n % 10 = 0 then 0 else n % 200 end, 1, n,
    n + 1, timestamptz '2027-03-01' + n * interval '15 minutes'
  from generate_series(0, 29999) n;
insert into booking_history (organization_id, booking_id, revision, event, state, actor, reason,
    created_at)
  select 'org-crowded', 'b' || n, 0, 'created', 1, '', '', now()
  from generate_series(0, 29999) n;
insert into booking_history (organization_id, booking_id, revision, event, state, actor, reason,
    created_at)
  select 'org-crowded', 'b7', n, 'rescheduled', 1, '', '', now()
  from generate_series(1, 2000) n;
insert into request_keys
  select 'org-crowded', 'CreateBooking', gen_random_uuid(), '', '',
    now() - n * interval '1 minute'
  from generate_series(0, 9999) n;
insert into capacities
  select 'org-crowded', 'pool' || n, 9, 1 from generate_series(0, 9999) n;
insert into feeds (organization_id, number) values ('org-crowded', 30000);
insert into outbox (organization_id, feed, ordinal, kind, booking_id, payload, created_at)
  select case when n % 3 = 0 then 'org-quiet' else 'org-crowded' end, n, 0, 'created', 'b' || n,
    jsonb_build_object('days', jsonb_build_array(
      jsonb_build_array('r1', date '2027-03-08', repeat('10', 48)))),
    now() - (30000 - n) * interval '1 minute'
  from generate_series(1, 30000) n;
insert into days (organization_id, resource_id, day, busy, version)
  select 'org-quiet', 'r0', date '2027-03-08' + d, repeat('10', 48)::bit(96), 1
  from generate_series(0, 2) d;
insert into feeds (organization_id, number) values ('org-quiet', 30000);
"""


def filters(**fields: Any) -> BookingFilter:
    nothing: dict[str, Any] = {
        "resource_id": "",
        "booker_id": "",
        "event_type_id": "",
        "state": None,
        "kind": BookingKind.BOOKING,
        "start_after": None,
        "start_before": None,
    }
    return BookingFilter(organization_id=CROWDED, **(nothing | fields))


def page(**fields: Any) -> tuple[LiteralString, Mapping[str, Any]]:
    return page_query(filters(**fields), Cursor(instant(MONDAY), "b700"), 51, MOST)


class Recorded:
    """A connection that remembers what it was given to run."""

    def __init__(self, connection: Connection, sent: list[Sent]) -> None:
        self._connection = connection
        self.sent = sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, text: Any, parameters: Any = None, **options: Any) -> Any:
        """As the connection's."""
        if parameters is not None:
            self.sent.append(Sent(text, parameters))
        return await self._connection.execute(text, parameters, **options)


class RecordedBatch(Batch):
    """Statements that travel together, remembered where the connection remembers."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection._connection)
        self._recorded = connection.sent

    def send(self, text: LiteralString, **parameters: Any) -> Reply:
        """As a batch's."""
        if parameters:
            self._recorded.append(Sent(text, parameters))
        return super().send(text, **parameters)


class RecordedDatabase(Database):
    """Remembers every statement of its transactions."""

    def __init__(self, url: str, sent: list[Sent]) -> None:
        super().__init__(url, connections=2, statement=timedelta(seconds=10), throwaway=True)
        self._sent = sent

    async def run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """As a database's."""
        return await super().run(lambda connection: work(Recorded(connection, self._sent)))


class Sent(NamedTuple):
    """A statement, and what it was sent with."""

    text: LiteralString
    parameters: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Names it well enough."""
        return f"ledger {zlib.crc32(self.text.encode())}: {' '.join(self.text.split())[:60]}"


class Transactions(NamedTuple):
    """What the ledger sends, by what it does."""

    create: Sequence[Sent]
    others: Sequence[Sent]


@pytest.fixture(scope="module")
async def transactions(postgres_server: PostgresServer) -> Transactions:
    """Every kind of transaction, for once."""
    sent: list[Sent] = []
    with migrated_database(postgres_server) as url, pytest.MonkeyPatch.context() as patch:
        patch.setattr(group, "Batch", RecordedBatch)
        patch.setattr(pool, "Batch", RecordedBatch)
        database = RecordedDatabase(url, sent)
        await database.open(head=HEAD)
        ledger = Ledger(database)
        # A generated id, an asked one, days that were never booked and those that were.
        await ledger.book(key(CROWDED), booking(CROWDED, 0, 200, resources=["r1", "r2"]), b"")
        await ledger.book(key(CROWDED), booking(CROWDED, 300, 301, booking_id="b-new"), b"")
        del sent[:]
        await ledger.book(key(CROWDED), booking(CROWDED, 200, 210, resources=["r1", "r2"]), b"")
        create = list(sent)
        memory = Memory()
        knowing = Ledger(database, memory.noted, remember=memory)
        for first in (0, 4):
            wanted = booking(CROWDED, first, first + 4, resources=["r3", "r4"])
            await knowing.book(key(CROWDED), wanted, b"")
        assert sent[-1].text == statement.WRITE_AS_REMEMBERED
        pooled = booking(CROWDED, 0, 4, resources=["p"])
        items = tuple(replace(item, resource_id="pool7", is_pool=True) for item in pooled.items)
        await ledger.book(key(CROWDED), replace(pooled, items=items), b"")
        await ledger.change(CROWDED, None, "b-new", later)
        await ledger.cancel(key(CROWDED, "CancelBooking"), "b-new")
        await ledger.set_capacity(key(CROWDED, "SetCapacity"), "pool7", 5, b"", NOW)
        day = DayKey("r1", MONDAY // 96)
        await ledger.rebuild(key(CROWDED, "RebuildDay"), day, lambda _: b"")
        await database.close()
    return Transactions(create, sent)


def later(found: Booking) -> Change:
    """The decision to move a booking by a day."""
    items = tuple(
        replace(item, occupancy=Span(item.occupancy.first + 96, item.occupancy.stop + 96))
        for item in found.items
    )
    day = timedelta(days=1)
    moved = found.rescheduled(found.start + day, found.end + day, items, NOW)
    return Change(moved, Event.RESCHEDULED, Note(), b"")


DAYS = {"first": date(2027, 3, 8), "last": date(2027, 3, 10)}
ORG = {"org": CROWDED}
KEY = {
    "org": CROWDED,
    "method": "CreateBooking",
    "request": "0190b5c4-7d2e-7cc3-98c4-dc0c0c07398f",
}

STATEMENTS: dict[str, tuple[LiteralString, Mapping[str, Any]]] = {
    "days of a resource": (OF_RESOURCE, ORG | {"resource": "r1"} | DAYS),
    "days of resources": (OF_RESOURCES, ORG | {"resources": ["r1", "r2"]} | DAYS),
    "scattered days of resources": (
        SCATTERED,
        ORG
        | {
            "resources": ["r1", "r2"],
            "days": [date(1970, 1, 2), date(2027, 3, 8), date(9998, 12, 30)],
        },
    ),
    "capacities": (CAPACITIES, ORG | {"resources": ["pool1", "pool2"]}),
    "an answer": (statement.ANSWER, KEY),
    "an answer and a booking": (ANSWER_AND_BOOKING, KEY | {"id": "b7"}),
    "feed": (FEED, {"orgs": [CROWDED, QUIET], "positions": [29_990, 29_995], "limit": 1_000}),
    "a booking": (ONE, ORG | {"id": "b7"}),
    "newest history": (
        NEWEST_OF_BOOKING,
        ORG | {"id": "b7", "revision": 1990, "start": NOW, "end": NOW, "limit": 100},
    ),
    "history": (OF_BOOKING, ORG | {"id": "b7", "revision": 1000, "limit": 51}),
    "events": (AFTER, ORG | {"feed": 20_000, "ordinal": 0, "limit": 20}),
    "newest event": (NEWEST, ORG),
    "oldest event": (OLDEST, ORG),
    "numbers": (NUMBERS, {"orgs": [CROWDED, QUIET, EMPTY]}),
    "overlaps": (
        OVERLAPPING,
        ORG
        | {
            "resource": "r0",
            "from": instant(MONDAY) - timedelta(hours=20),
            "until": instant(MONDAY) + timedelta(hours=20),
            "first": 0,
            "stop": 30_000,
            "states": [1, 3],
            "limit": 20,
        },
    ),
    "overdue": (OVERDUE, {"now": NOW + timedelta(days=100), "limit": 20}),
    "purge": (PURGE, {"kept": timedelta(hours=25), "batch": 1_000}),
    "purge: organizations": (EXPIRED, {"kept": timedelta(hours=168), "batch": 1_000}),
    "purge: events": (TRIM, ORG | {"kept": timedelta(hours=168), "numbers": 100}),
}
# By age, over all organizations.
_BY_AGE = ("purge", "purge: organizations", "overdue")
# The others read what they change.
_PAGES = {
    "purge": 5_000,
    "purge: organizations": 1_200,
    "purge: events": 700,
    "pool: days": 500,
    "events": 500,
    "create: record": 200,
    "overlaps": 100,
}


class Plans:
    """Statements prepared, and planned, while the tables were still empty."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._prepared: dict[str, tuple[sql.Identifier, list[str]]] = {}

    def prepare(self, name: str, text: str, parameters: Mapping[str, Any]) -> None:
        """Makes the plan that every later execution uses."""
        names: list[str] = []

        def numbered(found: re.Match[str]) -> str:
            if found[1] not in names:
                names.append(found[1])
            return f"${names.index(found[1]) + 1}"

        body: Any = re.sub(r"%\((\w+)\)s", numbered, text)
        self._prepared[name] = sql.Identifier(name), names
        self._connection.execute(
            sql.SQL("prepare {} as ").format(sql.Identifier(name)) + sql.SQL(body)
        )
        self._connection.execute(sql.SQL("explain ") + self._call(name, parameters))

    def explained(self, name: str, parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The nodes of a statement's plan, after it ran and was undone.

        The second time: the first one of a session reads the catalogs of PostgreSQL, too.
        """
        explain = sql.SQL("explain (analyze, buffers, format json) ")
        row: tuple[Any, ...] | None = None
        for _ in range(2):
            with self._connection.transaction(force_rollback=True):
                row = self._connection.execute(explain + self._call(name, parameters)).fetchone()
        assert row is not None
        return list(nodes(row[0][0]["Plan"]))

    def _call(self, name: str, parameters: Mapping[str, Any]) -> sql.Composed:
        identifier, names = self._prepared[name]
        values = sql.SQL(", ").join(sql.Literal(parameters[key]) for key in names)
        return sql.SQL("execute {}({})").format(identifier, values)


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.fixture(scope="module")
def plans(postgres_server: PostgresServer, transactions: Transactions) -> Iterator[Plans]:
    """Plans as the service's connections make them, older than the tables' many rows."""
    with migrated_database(postgres_server) as url:
        options: dict[str, Any] = options_for(url, timedelta(seconds=20), lookups_only=True)
        with psycopg.connect(**(options | {"prepare_threshold": None})) as connection:
            found = Plans(connection)
            ledgers = [*transactions.create, *transactions.others]
            for name, (text, parameters) in (
                STATEMENTS
                | dict(listings())
                | {sent.name: (sent.text, sent.parameters) for sent in ledgers}
            ).items():
                found.prepare(name, text, parameters)
            connection.execute(_FILL)
            yield found


def listings() -> Iterator[tuple[str, tuple[LiteralString, Mapping[str, Any]]]]:
    """A list by every combination of filters, called by the index that it must walk."""
    range_ = {"start_after": NOW, "start_before": NOW + timedelta(days=200)}
    for resource, booker, event_type, state, kind, times in itertools.product(
        ("", "r0"), ("", "p7"), ("", "e1"), (None, *BookingState), BookingKind, ({}, range_)
    ):
        index = "bookings_by_start"
        if kind is BookingKind.BLOCK:
            index = "bookings_blocks"
        elif state in {BookingState.PENDING, BookingState.PROVISIONAL}:
            index = "bookings_open"
        elif resource:
            index = "booking_items_by_resource"
        elif booker:
            index = "bookings_by_booker"
        elif event_type:
            index = "bookings_by_event_type"
        elif state is BookingState.CANCELLED:
            index = "bookings_cancelled"
        elif state in {BookingState.DECLINED, BookingState.EXPIRED}:
            index = "bookings_lapsed"
        given = (resource, booker, event_type, state and state.name, kind.name, *times)
        fields = {"resource_id": resource, "booker_id": booker, "event_type_id": event_type}
        yield (
            f"{index}: list by {' '.join(filter(None, given))}",
            page(**fields, state=state, kind=kind, **times),
        )


@pytest.mark.parametrize("name", STATEMENTS)
def test_rows_are_looked_up_though_the_plan_was_made_on_empty_tables(
    plans: Plans, name: str
) -> None:
    plan = plans.explained(name, STATEMENTS[name][1])

    for node in scans(plan):
        by_place = node["Node Type"] == "Tid Scan"  # the purge's rows, found by its index before
        by_key = "organization_id" in node.get("Index Cond", "")
        assert by_place or by_key or (name in _BY_AGE and "Index Cond" in node), node
    assert pages(plan) <= _PAGES.get(name, 60)


def test_every_list_walks_the_index_that_leaves_out_most(plans: Plans) -> None:
    for name, (_, parameters) in listings():
        plan = plans.explained(name, parameters)

        index, _, _ = name.partition(":")
        walked = [node for node in scans(plan) if node["Index Name"] == index]
        assert len(walked) == 1, name
        assert all("organization_id" in node["Index Cond"] for node in scans(plan)), name
        # In the order of the list, and stopped when it is full: whatever sorts reads all.
        assert walked[0]["Actual Rows"] <= MOST
        sorts = [node for node in plan if "Sort" in node["Node Type"]]
        assert all(node["Actual Rows"] <= 10 for node in sorts), name  # the items of a booking
        # One page of the index tells of a hundred rows, and each row is looked up.
        assert pages(plan) <= 4.5 * walked[0]["Actual Rows"] + 51 * 8 + 60, name


def test_a_look_at_the_feed_goes_straight_to_what_is_new(plans: Plans) -> None:
    nothing_new = {"orgs": [CROWDED], "positions": [30_000], "limit": 1_000}
    far_behind = {"orgs": [CROWDED], "positions": [0], "limit": 1_000}

    idle = plans.explained("feed", nothing_new)
    behind = plans.explained("feed", far_behind)

    looks = {node["Index Name"]: node["Actual Loops"] for node in idle if "Relation Name" in node}
    # The number says that nothing came: the outbox is not looked into, however long it is.
    assert looks == {"feeds_pkey": 1, "outbox_pkey": 0}
    assert pages(idle) <= 3
    # 20,000 rows wait; a reading looks at a thousand, in the order of the key.
    (scan,) = (node for node in behind if node.get("Index Name") == "outbox_pkey")
    assert scan["Actual Rows"] * scan["Actual Loops"] == 1_000


def test_events_are_read_from_the_position_on_and_no_further_than_a_page(plans: Plans) -> None:
    idle = plans.explained("events", ORG | {"feed": 30_000, "ordinal": 0, "limit": 65})
    behind = plans.explained("events", ORG | {"feed": 0, "ordinal": 0, "limit": 65})

    assert pages(idle) <= 20
    read = [node for node in scans(behind) if node["Index Name"] == "outbox_pkey"]
    assert sum(node["Actual Rows"] for node in read) == 65
    assert pages(behind) <= 65 * 20


def test_history_costs_a_read_no_page(plans: Plans) -> None:
    # 2027-03-08 has rows for both; that resource has 3,000 bookings, 2,700 of them cancelled.
    asked = {"resource": "r0"} | DAYS

    crowded = plans.explained("days of a resource", asked | {"org": CROWDED})
    quiet = plans.explained("days of a resource", asked | {"org": QUIET})

    assert abs(pages(crowded) - pages(quiet)) <= 2


def test_a_booking_costs_no_more_where_there_is_history(
    plans: Plans, transactions: Transactions
) -> None:
    def made(organization: str) -> int:
        return sum(
            pages(plans.explained(sent.name, {**sent.parameters, "org": organization}))
            for sent in transactions.create
        )

    # An index of many rows is a page or two deeper, and there are about ten of them.
    assert abs(made(CROWDED) - made(QUIET)) <= 20


def test_the_ledger_looks_rows_up_by_key(plans: Plans, transactions: Transactions) -> None:
    for sent in {sent.name: sent for sent in [*transactions.create, *transactions.others]}.values():
        plan = plans.explained(sent.name, sent.parameters)

        for node in scans(plan):
            by_place = node["Node Type"] == "Tid Scan"  # found by its key before
            assert by_place or "organization_id" in node.get("Index Cond", ""), (sent.name, node)
        assert pages(plan) <= 150, sent.name


async def test_a_days_updates_stay_on_its_page(
    database: Database, database_url: str, organization: str
) -> None:
    def block() -> list[tuple[Any, ...]]:
        place = "select (ctid::text::point)[0] from days where organization_id = %s"
        return rows(database_url, place, organization)

    ledger = Ledger(database)
    await ledger.book(key(organization), booking(organization, 0, 1), b"")
    first = block()
    for number in range(1, 60):
        await ledger.book(key(organization), booking(organization, number, number + 1), b"")

    assert block() == first


def scans(plan: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [node for node in plan if "Relation Name" in node and "Scan" in node["Node Type"]]


def pages(plan: list[Mapping[str, Any]]) -> int:
    return int(plan[0]["Shared Hit Blocks"]) + int(plan[0]["Shared Read Blocks"])
