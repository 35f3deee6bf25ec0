"""Every hot statement looks rows up by key; history costs no page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from services.availability.app.port import BookingFilter, Cursor
from services.availability.domain.booking import BookingState
from services.availability.storage.booking import ONE, page_query
from services.availability.storage.day import OF_RESOURCE, OF_RESOURCES, SCATTERED
from services.availability.storage.feed import FEED
from services.availability.storage.ledger import ANSWER, ANSWER_AND_BOOKING, parameters_of_create
from services.availability.storage.purge import PURGE
from services.availability.storage.session import options_for
from services.availability.storage.statement import CHANGE, CREATE
from shared.slots.quantum import instant
from tests.integration.availability.database import migrated_database
from tests.integration.availability.entry import MONDAY, NOW, booking, key
from tests.stores import PostgresServer

CROWDED = "org-crowded"
QUIET = "org-quiet"
EMPTY = "org-empty"

# A tenth of all on one resource, 200 cancelled bookings on each of its days.
_FILL = """
insert into days
  select 'org-crowded', 'r' || r, date '2027-03-01' + d, repeat('10', 48)::bit(96), 1
  from generate_series(0, 199) r, generate_series(0, 99) d;
insert into bookings
  select 'org-crowded', 'b' || n, case when n % 10 = 0 then 2 else 1 end, 0, 'e' || n % 7, 'E',
    timestamptz '2027-03-01' + n * interval '15 minutes',
    timestamptz '2027-03-01' + (n + 1) * interval '15 minutes', 'p' || n % 1000, '', '', '', '',
    '', now(), now()
  from generate_series(0, 29999) n;
insert into booking_items
  select 'org-crowded', 'b' || n, 1, 'r' || case when n % 10 = 0 then 0 else n % 200 end, 1, n,
    n + 1, timestamptz '2027-03-01' + n * interval '15 minutes'
  from generate_series(0, 29999) n;
insert into request_keys
  select 'org-crowded', 'CreateBooking', gen_random_uuid(), '', '',
    now() - n * interval '1 minute'
  from generate_series(0, 9999) n;
insert into feeds values ('org-crowded', 30000);
insert into outbox
  select case when n % 3 = 0 then 'org-quiet' else 'org-crowded' end, n, 0, 'created', 'b' || n,
    jsonb_build_object('days', jsonb_build_array(
      jsonb_build_array('r1', date '2027-03-08', repeat('10', 48)))), now()
  from generate_series(1, 30000) n;
insert into days
  select 'org-quiet', 'r0', date '2027-03-08' + d, repeat('10', 48)::bit(96), 1
  from generate_series(0, 2) d;
insert into feeds values ('org-quiet', 1);
"""


def filters(**fields: Any) -> BookingFilter:
    nothing: dict[str, Any] = {
        "resource_id": "",
        "booker_id": "",
        "event_type_id": "",
        "state": None,
        "start_after": None,
        "start_before": None,
    }
    return BookingFilter(organization_id=CROWDED, **(nothing | fields))


def page(**fields: Any) -> tuple[LiteralString, Mapping[str, Any]]:
    return page_query(filters(**fields), Cursor(instant(MONDAY), "b700"), 51)


DAYS = {"first": date(2027, 3, 8), "last": date(2027, 3, 10)}
KEY = {
    "org": CROWDED,
    "method": "CreateBooking",
    "request": "0190b5c4-7d2e-7cc3-98c4-dc0c0c07398f",
}
CREATION = {
    **parameters_of_create(
        key(CROWDED),
        booking(CROWDED, 10 * 9600, 10 * 9600 + 200, resources=["r1", "r2"]),
        b"answer",
    ),
    "patience": "1000",
}
CHANGING = CREATION | {"id": "b7", "revision": 1, "reason": "", "event": "cancelled", "state": 2}

STATEMENTS: dict[str, tuple[LiteralString, Mapping[str, Any]]] = {
    "days of a resource": (OF_RESOURCE, {"org": CROWDED, "resource": "r1"} | DAYS),
    "days of resources": (OF_RESOURCES, {"org": CROWDED, "resources": ["r1", "r2"]} | DAYS),
    "scattered days of resources": (
        SCATTERED,
        {
            "org": CROWDED,
            "resources": ["r1", "r2"],
            "days": [date(1970, 1, 2), date(2027, 3, 8), date(9998, 12, 30)],
        },
    ),
    "an answer": (ANSWER, KEY),
    "an answer and a booking": (ANSWER_AND_BOOKING, KEY | {"id": "b7"}),
    "feed": (FEED, {"orgs": [CROWDED, QUIET], "positions": [29_990, 29_995], "limit": 1_000}),
    "a booking": (ONE, {"org": CROWDED, "id": "b7"}),
    "create": (CREATE, CREATION),
    "change": (CHANGE, CHANGING),
    "purge": (PURGE, {"kept": timedelta(hours=25), "batch": 1_000}),
    "bookings of a resource": page(resource_id="r0"),
    "bookings of a booker": page(booker_id="p7"),
    "bookings of an event type": page(event_type_id="e1"),
    "bookings of a time": page(start_after=NOW, start_before=NOW + timedelta(days=30)),
    "confirmed bookings": page(state=BookingState.CONFIRMED),
    "cancelled bookings": page(state=BookingState.CANCELLED),
    "cancelled bookings of a resource": page(resource_id="r0", state=BookingState.CANCELLED),
}


class Plans:
    """Statements prepared, and planned, while the tables were still empty."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._prepared: dict[str, tuple[sql.Identifier, list[str]]] = {}

    def prepare(self, name: str, statement: str, parameters: Mapping[str, Any]) -> None:
        """Makes the plan that every later execution uses."""
        names: list[str] = []

        def numbered(found: re.Match[str]) -> str:
            if found[1] not in names:
                names.append(found[1])
            return f"${names.index(found[1]) + 1}"

        text: Any = re.sub(r"%\((\w+)\)s", numbered, statement)
        self._prepared[name] = sql.Identifier(name), names
        self._connection.execute(
            sql.SQL("prepare {} as ").format(sql.Identifier(name)) + sql.SQL(text)
        )
        self._connection.execute(sql.SQL("explain ") + self._call(name, parameters))

    def explained(self, name: str, parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The nodes of a statement's plan, after it ran and was undone."""
        explain = sql.SQL("explain (analyze, buffers, format json) ")
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
def plans(postgres_server: PostgresServer) -> Iterator[Plans]:
    """Plans as the service's connections make them, older than the tables' many rows."""
    with migrated_database(postgres_server) as url:
        options: dict[str, Any] = options_for(url, timedelta(seconds=20), lookups_only=True)
        with psycopg.connect(**(options | {"prepare_threshold": None})) as connection:
            found = Plans(connection)
            for name, (statement, parameters) in STATEMENTS.items():
                found.prepare(name, statement, parameters)
            connection.execute(_FILL)
            yield found


@pytest.mark.parametrize("name", STATEMENTS)
def test_rows_are_looked_up_though_the_plan_was_made_on_empty_tables(
    plans: Plans, name: str
) -> None:
    plan = plans.explained(name, STATEMENTS[name][1])

    touched = [node for node in plan if "Relation Name" in node and "Scan" in node["Node Type"]]
    assert touched
    for node in touched:
        by_place = node["Node Type"] == "Tid Scan"  # the purge's rows, found by its index before
        assert by_place or "organization_id" in node["Index Cond"] or name == "purge", node
    # The purge deletes a thousand; a list reads 51, the items of each and what it skips.
    most = 5_000 if name == "purge" else 2_000 if "bookings" in name else 60
    assert pages(plan) <= most


def test_a_look_at_the_feed_goes_straight_to_what_is_new(plans: Plans) -> None:
    nothing_new = {"orgs": [CROWDED], "positions": [30_000], "limit": 1_000}
    far_behind = {"orgs": [CROWDED], "positions": [0], "limit": 1_000}

    idle = plans.explained("feed", nothing_new)
    behind = plans.explained("feed", far_behind)

    indexes = [node["Index Name"] for node in idle if "Relation Name" in node]
    assert sorted(indexes) == ["feeds_pkey", "outbox_pkey"]
    assert pages(idle) <= 20
    # 20,000 rows wait; a reading looks at a thousand, in the order of the key.
    (scan,) = (node for node in behind if node.get("Index Name") == "outbox_pkey")
    assert scan["Actual Rows"] * scan["Actual Loops"] == 1_000


def pages(plan: list[Mapping[str, Any]]) -> int:
    return int(plan[0]["Shared Hit Blocks"]) + int(plan[0]["Shared Read Blocks"])


def test_history_costs_a_read_no_page(plans: Plans) -> None:
    # 2027-03-08 has rows for both; that resource has 3,000 bookings, 2,700 of them cancelled.
    asked = {"resource": "r0"} | DAYS

    crowded = plans.explained("days of a resource", asked | {"org": CROWDED})
    quiet = plans.explained("days of a resource", asked | {"org": QUIET})

    assert abs(pages(crowded) - pages(quiet)) <= 2


def test_history_costs_a_booking_a_page_of_depth_at_most_per_index(plans: Plans) -> None:
    def made(organization: str) -> int:
        entry = booking(organization, 5, 6, resources=["r0"])
        parameters = parameters_of_create(key(organization), entry, b"answer")
        plan = plans.explained("create", {**parameters, "patience": "1000"})
        assert any(node.get("Tuples Inserted") for node in plan)
        return pages(plan)

    assert abs(made(CROWDED) - made(QUIET)) <= 10


def test_a_days_updates_stay_on_its_page(database_url: str) -> None:
    counted = "select n_tup_upd, n_tup_hot_upd from pg_stat_xact_user_tables where relname = 'days'"
    options: dict[str, Any] = options_for(database_url, timedelta(seconds=20), lookups_only=True)
    with psycopg.connect(**options) as connection, connection.transaction(force_rollback=True):
        for number in range(40):
            entry = booking(EMPTY, 2 * number, 2 * number + 2)
            made = {**parameters_of_create(key(EMPTY), entry, b""), "patience": "1000"}
            connection.execute(CREATE, made)
            connection.execute(CREATE, made)
        row = connection.execute(counted).fetchone()

    assert row == (40, 40)
