"""Replays the outbox, event by event: what is taken after each, by the bookings alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tests.faults.history import Facts
from tests.faults.occupancy import Occupancy, bits
from tests.faults.tables import OCCUPYING, DayKey, EventRow, ItemRow, OutboxRow, Tables, counts_of
from tests.faults.violation import Rule, Violation, day_text, quanta_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUANTUM = timedelta(minutes=15)


class Moment(NamedTuple):
    """The state after one event; ``is_end`` after the last one of its transaction."""

    feed: int
    event: OutboxRow
    touched: set[DayKey]
    is_end: bool


class Replay:
    """The state of everything, moved on one event at a time."""

    def __init__(self, facts: Facts, tables: Tables) -> None:
        self.occupancy = Occupancy()
        self.violations: list[Violation] = []
        self.capacities: dict[str, int] = {}
        self.capacities_before: dict[str, int] = {}
        self._facts = facts
        self._tables = tables
        self._now = _EPOCH
        self._told: dict[DayKey, int] = {}
        self._totals: dict[DayKey, int] = {}
        self._damaged: set[DayKey] = set()

    def moments(self) -> Iterator[Moment]:
        """Yields each event once it is applied."""
        rows = self._tables.outbox
        begin = 0
        while begin < len(rows):
            feed = rows[begin].feed
            stop = begin
            while stop < len(rows) and rows[stop].feed == feed:
                stop += 1
            yield from self._transaction(feed, rows[begin:stop])
            begin = stop
        self._compare_stored()

    def capacity(self, resource_id: str) -> int:
        """Units there are, after the transaction that is being applied."""
        if resource_id not in self._facts.pools:
            return 1
        return self.capacities.get(resource_id, 1)

    def least_capacity(self, resource_id: str) -> int:
        """The lower one of before and after that transaction."""
        now = self.capacity(resource_id)
        return min(now, self.capacities_before.get(resource_id, now))

    def occupied_by(self, booking_id: str, event: EventRow) -> list[ItemRow]:
        """What a booking takes after an event, from its start and end then."""
        booking = self._tables.bookings.get(booking_id)
        before, after = self._facts.buffers.get(booking.event_type_id if booking else "", (0, 0))
        first = (event.start_time - timedelta(minutes=before) - _EPOCH) // _QUANTUM
        stop = -(-(event.end_time + timedelta(minutes=after) - _EPOCH) // _QUANTUM)
        return [
            item._replace(first=first, stop=stop) for item in self._tables.items.get(booking_id, ())
        ]

    def _transaction(self, feed: int, rows: Sequence[OutboxRow]) -> Iterator[Moment]:
        payload = rows[0].payload
        self.capacities_before = {
            name: self.capacity(name) for name, _ in payload.get("capacities", ())
        }
        self.capacities.update(dict(payload.get("capacities", ())))
        grown: set[DayKey] = set()
        touched: set[DayKey] = set()
        for row in rows:
            moved, more = self._apply(row)
            touched |= moved
            grown |= more
            yield Moment(feed, row, moved, is_end=row is rows[-1])
        self._judge(feed, rows, grown)
        self._compare_told(feed, rows, touched)

    def _apply(self, row: OutboxRow) -> tuple[set[DayKey], set[DayKey]]:
        """Returns the days that an event touched, and those of which it took something."""
        event = self._tables.history.get(row.booking_id, {}).get(row.revision)
        if event is None:
            return set(), set()
        self._now = max(self._now, event.created_at)
        freed = set()
        taken = set()
        if row.kind in {"created", "rescheduled"}:
            freed = self.occupancy.release(row.booking_id)
            taken = self.occupancy.take(row.booking_id, self.occupied_by(row.booking_id, event))
        elif event.state not in OCCUPYING:
            freed = self.occupancy.release(row.booking_id)
        return freed | taken, taken

    def _judge(self, feed: int, rows: Sequence[OutboxRow], grown: Iterable[DayKey]) -> None:
        """Finds what is taken beyond what there is."""
        days = set(grown)
        if self.capacities_before:
            # What is over by then may have been more; the clock may have gone on since.
            over = (self._now - _EPOCH) // timedelta(days=1) + 1
            days |= {
                key
                for key in self.occupancy.days()
                if key[0] in self.capacities_before and key[1] > over
            }
        for key in sorted(days):
            capacity = max(self.capacity(key[0]), self.capacities_before.get(key[0], 0))
            counts = self.occupancy.counts(key)
            beyond = [quantum for quantum, count in enumerate(counts) if count > capacity]
            if beyond:
                names = ", ".join(sorted({row.booking_id for row in rows if row.booking_id})[:5])
                self._note(
                    Rule.OVERLAP,
                    f"feed {feed} ({names}): {day_text(key)}, quanta {quanta_text(beyond)}:"
                    f" {max(counts)} units of {capacity} taken",
                )

    def _compare_told(self, feed: int, rows: Sequence[OutboxRow], touched: set[DayKey]) -> None:
        """Compares the days that a transaction told of with what its events make of them."""
        rule = Rule.RELEASE if _releases(rows) else Rule.PARTIAL
        told = {}
        for resource_id, day, text, *planes in rows[0].payload.get("days", ()):
            key = resource_id, (datetime.fromisoformat(day).replace(tzinfo=UTC) - _EPOCH).days
            told[key] = text, bytes.fromhex(planes[0]) if planes else None
            self._told[key] = feed
        if any(row.kind == "rebuilt" for row in rows):
            self._damaged -= told.keys()
        what = f"feed {feed} ({', '.join(sorted({row.kind for row in rows}))})"
        for key, (text, planes) in told.items():
            busy = int(text[::-1], 2)
            self._compare(rule, what, key, busy, counts_of(planes))
        for key in touched:
            # What one event frees another of the same transaction may take: no change at all.
            total = self.occupancy.total(key)
            if total != self._totals.get(key, 0) and key not in told.keys() | self._damaged:
                self._damaged.add(key)
                self._note(rule, f"{what}: {day_text(key)} changed, and the event does not say so")
            self._totals[key] = total

    def _compare_stored(self) -> None:
        keys = self._tables.days.keys() | set(self.occupancy.days())
        for key in sorted(keys):
            stored = self._tables.days.get(key)
            if stored is None:
                if any(self.occupancy.counts(key)):
                    self._note(Rule.DAY, f"{day_text(key)} has bookings and no row")
                continue
            self._compare(Rule.DAY, "stored", key, stored.busy, stored.counts)
            told = self._told.get(key, 0)
            if self._tables.trimmed == 0 and stored.version != told:
                self._note(
                    Rule.FEED,
                    f"{day_text(key)} is of version {stored.version},"
                    f" and the newest event that tells of it has feed number {told}",
                )

    def _compare(
        self, rule: Rule, what: str, key: DayKey, busy: int, counts: Sequence[int] | None
    ) -> None:
        expected = self.occupancy.counts(key)
        is_pool = key[0] in self._facts.pools
        full = bits(count >= self.capacity(key[0]) for count in expected)
        faults = [("marked, though not full", busy & ~full), ("full, and not marked", full & ~busy)]
        if is_pool:
            stored = counts or [0] * 96
            differing = bits(a != b for a, b in zip(stored, expected, strict=True))
            faults.append(("miscounted", differing))
        found = [f"quanta {quanta_text(_set(fault))} {name}" for name, fault in faults if fault]
        # Told once: what follows is the same damage, seen again.
        if found and (rule is Rule.DAY or key not in self._damaged):
            self._damaged.add(key)
            self._note(rule, f"{what}: {day_text(key)}: {'; '.join(found)}")

    def _note(self, rule: Rule, text: str) -> None:
        self.violations.append(Violation(rule, text))


def _releases(rows: Iterable[Any]) -> bool:
    return any(row.kind in {"cancelled", "declined", "expired", "rescheduled"} for row in rows)


def _set(found: int) -> list[int]:
    return [quantum for quantum in range(96) if found >> quantum & 1]
