"""Baselines that book: servers of the same kit over databases of their own, with the same world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, LiteralString

import psycopg

from services.availability.storage.migration import migrate
from tests.load import exclusion_schema, history, single_statement
from tests.load.http2 import CallFailed
from tests.load.orders import Orders
from tests.load.progress import Progress
from tests.load.system import Server, System
from tests.load.world import World

EXCLUSION: Final = exclusion_schema.NAME
SINGLE: Final = single_statement.NAME
# What becomes of the service's tables, for the module of this name.
CONVERT: Final[Mapping[str, Callable[[str], None]]] = {
    EXCLUSION: exclusion_schema.convert,
    SINGLE: lambda _: None,
}
# Of each booking made there is one row in each of these.
ROWS: Final[tuple[LiteralString, ...]] = (
    "bookings",
    "booking_items",
    "booking_history",
    "outbox",
    "request_keys",
)


@dataclass(frozen=True, slots=True)
class Rival:
    """A baseline.

    Attributes:
        name: Of its module.
        server: Where it answers.
        orders: What it is to book.
        url: Of its database.
        before: How many rows each table had before it booked anything.
    """

    name: str
    server: Server
    orders: Orders
    url: str
    before: Mapping[str, int]

    def require_rows(self) -> None:
        """Looks whether it wrote all that a booking consists of.

        Raises:
            CallFailed: It did not.
        """
        for table, rows in _row_counts(self.url).items():
            added = rows - self.before[table]
            if added != self.orders.count:
                raise CallFailed(
                    f"{self.name} has {added:,} new rows in {table} of"
                    f" {self.orders.count:,} bookings that it acknowledged"
                )


class Rivals:
    """Starts a baseline when it is first asked for."""

    def __init__(self, system: System, world: World, first_day: int, progress: Progress) -> None:
        """Begins.

        Args:
            system: Beside which they run.
            world: What is in their databases.
            first_day: The first of its days that they book.
            progress: Told what goes on.
        """
        self._system = system
        self._world = world
        self._first_day = first_day
        self._progress = progress
        self._started: dict[str, Rival] = {}

    def get(self, name: str) -> Rival:
        """Returns a baseline by the name of its module."""
        found = self._started.get(name)
        if found is None:
            found = self._started[name] = self._start(name)
        return found

    def _start(self, name: str) -> Rival:
        world = self._world
        self._progress.step(f"starting the baseline {name}, with the same bookings")
        self._system.postgres.create_database(name)
        url = self._system.postgres.url(name)
        migrate(url)
        bar = self._progress.bar("bookings that are there already:", world.entry_count)
        history.load(url, world.organization_id, world.entries(), bar.at)
        CONVERT[name](url)
        history.settle(url)
        server = self._system.baseline(name, url)
        return Rival(name, server, Orders(world, self._first_day), url, _row_counts(url))


def _row_counts(url: str) -> dict[str, int]:
    counts = {}
    with psycopg.connect(url) as connection:
        for table in ROWS:
            row = connection.execute(f"select count(*) from {table}").fetchone()  # names of ours
            assert row is not None  # a count has one
            counts[table] = int(row[0])
    return counts
