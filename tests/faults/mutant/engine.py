"""Engines that are broken on purpose: each breaks one thing that the real one takes care of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from services.availability.app.day_feed import DayFeed
from services.availability.domain import ledger_claim
from services.availability.domain.booking import Booking, BookingItem
from services.availability.domain.claim import DayKey, DayState, Inventory, Taken, touched
from services.availability.domain.ledger_claim import ChangeClaim, Decided, View
from services.availability.storage import group, statement, writer
from services.availability.storage.batch import Batch, Reply
from services.availability.storage.group import Committed, Group, day_arrays
from services.availability.storage.session import Connection
from shared.slots.quantum import QUANTA_PER_DAY, Span
from tests.faults.mutant.gate import Gate, Meeting


def waits_before_it_writes(patch: pytest.MonkeyPatch, gate: Gate | Meeting) -> None:
    """No mutant: every transaction passes a gate once it has decided."""
    real = group.write

    async def write(*arguments: Any) -> Any:
        await gate.arrive()
        return await real(*arguments)

    patch.setattr(group, "write", write)


def selects_then_updates(patch: pytest.MonkeyPatch) -> None:
    """Reads days without a lock."""
    unlocked = re.sub(r"\sfor no key update( of d)?", "", statement.LOCK_DAYS)
    assert unlocked != statement.LOCK_DAYS
    patch.setattr(statement, "LOCK_DAYS", unlocked)


def remembers_every_day_as_free(patch: pytest.MonkeyPatch) -> None:
    """No mutant: memory may be wrong, and here it always is."""

    def remembered(self: DayFeed, _: str, keys: Iterable[DayKey]) -> Mapping[DayKey, DayState]:
        return dict.fromkeys(keys, DayState(0, 1))

    patch.setattr(DayFeed, "remembered", remembered)


def believes_what_it_remembers(patch: pytest.MonkeyPatch) -> None:
    """Writes by days as they are remembered, without a look at what they are."""
    remembers_every_day_as_free(patch)
    text = statement.WRITE_AS_REMEMBERED
    believing = re.sub(r"having count.*?true\)", "having true", text)
    assert believing != text
    patch.setattr(statement, "WRITE_AS_REMEMBERED", believing)


def compares_no_versions(patch: pytest.MonkeyPatch) -> None:
    """Takes a day with the bits that it remembers for the row that it sees."""
    text = statement.WRITE_AS_REMEMBERED
    same = text.replace("and days.version = w.version", "").replace(
        "then 1 else 0", "then 1 else 1"
    )
    assert len(text) - len(same) == len("and days.version = w.version")
    patch.setattr(statement, "WRITE_AS_REMEMBERED", same)


def takes_the_feed_number_first(patch: pytest.MonkeyPatch, url: str) -> None:
    """Takes the feed number before any lock, and keeps nobody from taking the next one."""

    class Numbered(Batch):
        """Statements that are told a number which was taken beforehand."""

        number = 0

        def send(self, text: Any, **parameters: Any) -> Reply:
            known = f"select {self.number}::bigint as number"
            return super().send(text.replace(statement.NEXT_NUMBER, known), **parameters)

    class Early(Group):
        async def __call__(self, connection: Connection) -> Committed:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as first:
                cursor = await first.execute(statement.NEXT_NUMBER, {"org": self._organization_id})
                row = await cursor.fetchone()
            assert row is not None
            taken: int = row[0]

            class Known(Numbered):
                number = taken

            # The batch is made before anything else can run.
            patch.setattr(group, "Batch", Known)
            return await super().__call__(connection)

    patch.setattr(writer, "Group", Early)


def locks_in_any_order(patch: pytest.MonkeyPatch, meeting: Meeting) -> None:
    """Locks one day after the other: every second transaction begins with the last."""
    begun: list[Group] = []

    class Unsorted(Group):
        async def _lock(self, batch: Batch) -> Any:
            if not any(one is self for one in begun):
                begun.append(self)
            is_second = begun.index(self) % 2
            for key in reversed(self._days) if is_second else self._days:
                batch.send(statement.LOCK_DAYS, org=self._organization_id, **day_arrays([key]))
                await batch.run()
                await meeting.arrive()
            return await super()._lock(batch)

    patch.setattr(writer, "Group", Unsorted)


def replies_before_it_commits(patch: pytest.MonkeyPatch) -> None:
    """Tells callers what was decided, and then writes it."""
    real = writer.Writer._commit

    async def commit(
        self: writer.Writer, organization_id: str, queue: Any, waiting: Any, *, is_suspect: bool
    ) -> None:
        class Hasty(Group):
            def _decide(self, *arguments: Any) -> Any:
                outcomes, records = super()._decide(*arguments)
                for one, outcome in zip(waiting, outcomes, strict=True):
                    writer._tell(one.future, outcome)
                return outcomes, records

        # The group is made before anything else can run.
        patch.setattr(writer, "Group", Hasty)
        await real(self, organization_id, queue, waiting, is_suspect=is_suspect)

    patch.setattr(writer.Writer, "_commit", commit)


def cancels_twice(patch: pytest.MonkeyPatch) -> None:
    """Neither asks for the state nor remembers that the time was given back."""

    def anything_goes(self: Booking, *_: Any) -> None:
        pass

    def decide(self: ChangeClaim, view: View) -> Decided:
        change = self.decision(replace(self.booking))
        if not change.booking.occupies:
            view.inventory.release(self.booking.items)
        return Decided(change.answer, change, kind=change.event)

    def prepared(cls: type[ChangeClaim], key: Any, booking: Booking, decision: Any) -> ChangeClaim:
        days = touched(booking.items)
        return ChangeClaim(key, booking, decision, days, ledger_claim._pools(booking.items))

    patch.setattr(Booking, "_require", anything_goes)
    patch.setattr(ChangeClaim, "decide", decide)
    patch.setattr(ChangeClaim, "prepared", classmethod(prepared))


def forgets_buffers_on_release(patch: pytest.MonkeyPatch) -> None:
    """Frees the booking, and leaves its quarter hours before and after taken."""
    real = Inventory.release

    def release(self: Inventory, items: Iterable[BookingItem]) -> None:
        real(self, [replace(item, occupancy=_without_ends(item.occupancy)) for item in items])

    patch.setattr(Inventory, "release", release)


def forgets_how_many_there_are(patch: pytest.MonkeyPatch) -> None:
    """Lets every pool have another unit."""
    real = Inventory.in_the_way

    def in_the_way(self: Inventory, items: Iterable[BookingItem]) -> list[Taken]:
        return real(self, [item for item in items if not item.is_pool])

    patch.setattr(Inventory, "in_the_way", in_the_way)


def takes_half_a_bundle(patch: pytest.MonkeyPatch) -> None:
    """Takes the time of the first resource alone."""
    real = Inventory.take

    def take(self: Inventory, items: Sequence[BookingItem]) -> None:
        real(self, items[:1])

    patch.setattr(Inventory, "take", take)


def refuses_what_is_next_door(patch: pytest.MonkeyPatch) -> None:
    """Takes a booking that ends where another begins to be in its way."""
    real = Inventory.in_the_way

    def in_the_way(self: Inventory, items: Iterable[BookingItem]) -> list[Taken]:
        found = real(self, items)
        for item in items:
            day, quantum = divmod(item.occupancy.stop, QUANTA_PER_DAY)
            key = DayKey(item.resource_id, day)
            if self.has([key]) and self.state(key).busy >> quantum & 1:
                found.append(Taken(key, 1 << (quantum - 1)))
        return found

    patch.setattr(Inventory, "in_the_way", in_the_way)


def forgets_requests(patch: pytest.MonkeyPatch) -> None:
    """Looks for no earlier answer."""

    class Forgetful(Group):
        def _decide(self, answers: Any, view: View) -> Any:
            return super()._decide({}, view)

    patch.setattr(writer, "Group", Forgetful)


def _without_ends(span: Span) -> Span:
    return Span(span.first + 1, span.stop - 1)
