"""One transaction of the ledger: locks what its claims need, decides them, writes the outcome."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import chain
from types import MappingProxyType
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import errors

from services.availability.app.port import Answered, Remember, no_memory
from services.availability.domain.claim import FREE, DayKey, DayState, Inventory
from services.availability.domain.day_bytes import planes_from_bytes
from services.availability.domain.day_change import ChangedDay
from services.availability.domain.ledger_claim import ChangeClaim, Claim, CreateClaim, View
from services.availability.domain.request_key import RequestKey
from services.availability.storage import statement
from services.availability.storage.batch import Batch, Reply
from services.availability.storage.database import Row
from services.availability.storage.record import (
    Records,
    announcement,
    array,
    day_row,
    written,
)
from services.availability.storage.session import Connection
from shared.runtime.failure import RequestIdReused
from shared.slots import bitmap
from shared.slots.quantum import day_date, day_number

Outcome = Answered | Exception
"""What a claim came to: an exception is its refusal."""


class Committed(NamedTuple):
    """What a transaction came to.

    Attributes:
        outcomes: One for each claim.
        days: Those that it changed.
        is_found: Whether some of it was committed by an attempt whose end was not heard of, so
            that not all days that changed are told.
    """

    outcomes: Sequence[Outcome]
    days: Sequence[ChangedDay]
    is_found: bool = False


class Group:
    """Claims of one organization that are decided and committed together."""

    def __init__(
        self,
        organization_id: str,
        claims: Sequence[Claim],
        known: set[str],
        *,
        remember: Remember = no_memory,
        is_impatient: bool = False,
    ) -> None:
        """Begins.

        Args:
            organization_id: Whose claims.
            claims: To decide, in this order.
            known: Pools that have a capacity row for certain; those that get one are added.
            remember: Asked for the days of claims that are decided by days alone. They are made
                sure of before anything is written.
            is_impatient: Whether it waits for no lock: it failed before, and others wait.
        """
        self._organization_id = organization_id
        self._claims = claims
        self._known = known
        self._is_impatient = is_impatient
        self._days = sorted({day for claim in claims for day in claim.days})
        self._stored: Mapping[DayKey, DayState] = {}
        self._pools = sorted({name for claim in claims for name in claim.pools})
        self._resources = sorted({name for claim in claims for name in claim.resources})
        self._remembered: Mapping[DayKey, DayState] | None = None
        if not self._pools and all(isinstance(claim, CreateClaim) for claim in claims):
            self._remembered = remember(organization_id, self._days)
        # By request key, what attempts whose end was not heard of would have answered.
        self._attempted: dict[tuple[str, str], bytes] = {}
        self._is_found = False

    async def __call__(self, connection: Connection) -> Committed:
        """Runs the transaction: two round trips.

        It is one where days are as they are remembered, or where every claim is refused; three
        where days were thought to be known and are not.

        Raises:
            psycopg.Error: Nothing was written, unless the connection broke.
        """
        batch = Batch(connection)
        # Once: what comes after a failure is decided by what is locked.
        remembered, self._remembered = self._remembered, None
        unsure = dict(self._attempted)
        try:
            if remembered is not None:
                committed = await self._as_remembered(batch, remembered)
                if committed is not None:
                    return committed
            return await self._under_locks(batch)
        except psycopg.Error:
            if not connection.closed:
                self._attempted = unsure  # nothing was written this time, and that is certain
            raise

    async def _under_locks(self, batch: Batch) -> Committed:
        batch.send("begin")
        if self._is_impatient:
            batch.send(statement.IMPATIENT)
        answers, view = await self._lock(batch)
        self._is_found = False
        outcomes, records = self._decide(answers, view)
        if not records.decided:
            batch.send(statement.UNWRITTEN)
            batch.send("commit")
            await batch.run()
            return Committed(outcomes, (), self._is_found)
        changed = [(key, view.inventory.state(key)) for key in sorted(view.inventory.changed)]
        number = await write(batch, self._organization_id, records, changed, self._stored)
        self._known.update(self._pools)
        return Committed(outcomes, changed_days(changed, number), self._is_found)

    async def _as_remembered(
        self, batch: Batch, remembered: Mapping[DayKey, DayState]
    ) -> Committed | None:
        """Decides by days that may have changed, and writes it if they have not.

        Returns:
            None where nothing was written: they have, or a claim would be refused, and that is
            to be told of what is locked alone.
        """
        if any(state.taken for state in remembered.values()):
            return None  # counted as a pool's: its capacity is not locked
        view = View(Inventory(remembered, {}))
        outcomes, records = self._decide({}, view)
        number = Reply()
        if len(records.decided) == len(self._claims):
            batch.send("begin")
            keys, named = self._lock_keys(batch)
            stored = {key for key in self._days if remembered[key].version}
            changed = [(key, view.inventory.state(key)) for key in sorted(view.inventory.changed)]
            number = send_rows(
                batch,
                statement.WRITE_AS_REMEMBERED,
                self._organization_id,
                records,
                changed,
                stored,
                about={
                    "remembered": array(bitmap.to_bits(remembered[key].busy) for key in self._days),
                    "versions": array(remembered[key].version for key in self._days),
                    "count": len(stored),
                    "methods": array(key.method for key in keys),
                    "requests": array(key.request_id for key in keys),
                    "ids": array(named),
                    **day_arrays(self._days),
                },
            )
            batch.send("commit")
            try:
                await batch.run()
            except errors.DivisionByZero as missed:
                raise errors.SerializationFailure("a row was written meanwhile") from missed
        found: int | None = number.rows[0][0] if number.rows else None
        if found is None:
            self._attempted.clear()  # nothing was written, and that is certain
            return None
        return Committed(outcomes, changed_days(changed, found))

    async def _lock(self, batch: Batch) -> tuple[dict[tuple[str, str], Answer], View]:
        org = self._organization_id
        keys, named = self._lock_keys(batch)
        changed = {
            claim.booking.booking_id for claim in self._claims if isinstance(claim, ChangeClaim)
        }

        def ask(wanted: Collection[Any], text: LiteralString, **parameters: str) -> Reply:
            return batch.send(text, org=org, **parameters) if wanted else Reply()

        answers = ask(
            keys,
            statement.ANSWERS,
            methods=array(key.method for key in keys),
            requests=array(key.request_id for key in keys),
        )
        revisions = ask(changed, statement.LOCK_BOOKINGS, ids=array(sorted(changed)))
        namesakes = ask(named, statement.NAMESAKES, ids=array(named))
        new = [name for name in self._pools if name not in self._known]
        ask(new, statement.MAKE_CAPACITIES, resources=array(new))
        capacities = ask(
            self._resources, statement.SHARE_CAPACITIES, resources=array(self._resources)
        )
        days = ask(self._days, statement.LOCK_DAYS, **day_arrays(self._days))
        await batch.run()
        found = {
            (method, request_id): Answer(content_hash, answer)
            for method, request_id, content_hash, answer in answers.rows
        }
        self._stored = day_states(days.rows)
        inventory = Inventory(
            {key: self._stored.get(key, FREE) for key in self._days}, dict(capacities.rows)
        )
        return found, View(inventory, {name for (name,) in namesakes.rows}, dict(revisions.rows))

    def _lock_keys(self, batch: Batch) -> tuple[list[RequestKey], list[str]]:
        """Locks request keys and the ids that callers chose, and returns them."""
        org = self._organization_id
        keys = [claim.key for claim in self._claims if claim.key is not None]
        named = [claim.new_id for claim in self._claims if claim.new_id]
        locks = {lock_number(*key[:3]) for key in keys} | {lock_number(org, name) for name in named}
        if locks:
            batch.send(statement.LOCK_KEYS, locks=array(sorted(locks)))
        return keys, named

    def _decide(
        self, answers: dict[tuple[str, str], Answer], view: View
    ) -> tuple[list[Outcome], Records]:
        records = Records()
        outcomes: list[Outcome] = []
        for claim in self._claims:
            key = claim.key
            given = answers.get((key.method, key.request_id)) if key else None
            if key is not None and given is not None:
                outcomes.append(self._former(key, given))
                continue
            try:
                decided = claim.decide(view)
            except Exception as refusal:  # noqa: BLE001  # it is one claim's, not the group's
                outcomes.append(refusal)
                continue
            records.add(key, decided)
            if key is not None:
                answers[key.method, key.request_id] = Answer(key.content_hash, decided.answer)
            outcomes.append(Answered(decided.answer))
        for claim, outcome in zip(self._claims, outcomes, strict=True):
            if claim.key is not None and isinstance(outcome, Answered):
                self._attempted[claim.key.method, claim.key.request_id] = outcome.answer
        return outcomes, records

    def _former(self, key: RequestKey, given: Answer) -> Outcome:
        outcome = replayed(key, given)
        if self._attempted.get((key.method, key.request_id)) == given.answer:
            # Committed by this very group, before its connection was lost: no replay.
            self._is_found = True
            return Answered(given.answer)
        return outcome


class Answer(NamedTuple):
    """What a request key was told before, and for which content."""

    content_hash: bytes
    answer: bytes


async def write(
    batch: Batch,
    organization_id: str,
    records: Records,
    changed: Sequence[tuple[DayKey, DayState]],
    stored: Container[DayKey],
    *,
    capacity: tuple[str, int] | None = None,
    is_numbered: bool = False,
) -> int:
    """Runs everything that a transaction writes, and its commit; returns the feed number.

    Args:
        batch: In the transaction.
        organization_id: Whose.
        records: What to write.
        changed: The days that are not what they were.
        stored: Those that have a row.
        capacity: A pool and its new number of units.
        is_numbered: Whether the transaction has taken its feed number already.

    Raises:
        psycopg.Error: Nothing was written, unless the connection broke.
    """
    for rows, text in (
        (records.changes.values(), statement.CHANGE_BOOKINGS),
        ([*chain.from_iterable(records.moves.values())], statement.MOVE_ITEMS),
    ):
        if rows:
            batch.send(text, org=organization_id, rows=written(rows))
    number = send_rows(
        batch,
        statement.WRITE_WITH_NUMBER if is_numbered else statement.WRITE,
        organization_id,
        records,
        changed,
        stored,
        capacity=capacity,
    )
    if capacity:
        resource_id, units = capacity
        batch.send(
            statement.CHANGE_CAPACITY, org=organization_id, resource=resource_id, units=units
        )
    batch.send("commit")
    # Durable once it has run: the commit is the last that is heard of.
    await batch.run()
    found: int = number.rows[0][0]
    return found


def send_rows(
    batch: Batch,
    text: LiteralString,
    organization_id: str,
    records: Records,
    changed: Iterable[tuple[DayKey, DayState]],
    stored: Container[DayKey],
    *,
    capacity: tuple[str, int] | None = None,
    about: Mapping[str, str | int] = MappingProxyType({}),
) -> Reply:
    """Adds the statement that writes days, new rows and events; its row has the feed number."""
    days = [(day_row(*day), day[0] in stored) for day in changed]
    return batch.send(
        text,
        org=organization_id,
        new=written(day.record() for day, is_stored in days if not is_stored),
        known=written(day.record() for day, is_stored in days if is_stored),
        bookings=written(records.bookings),
        items=written(records.items),
        history=written(records.history),
        decided=written(records.decided),
        told=announcement((day for day, _ in days), capacity),
        **about,
    )


def replayed(key: RequestKey, given: Answer) -> Outcome:
    """Returns the answer that a key has, or the refusal of other content."""
    if given.content_hash != key.content_hash:
        return RequestIdReused()
    return Answered(given.answer, is_replay=True)


def lock_number(*names: str) -> int:
    """Returns the number by which something that has no row yet is locked.

    Two of them may share one: then they wait for one another, and no more.
    """
    digest = blake2b("\0".join(names).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def day_arrays(keys: Sequence[DayKey]) -> dict[str, str]:
    """Returns days as the arrays that a statement reads them from."""
    return {
        "resources": array(key.resource_id for key in keys),
        "days": array(day_date(key.day) for key in keys),
    }


def day_states(rows: Iterable[Row]) -> dict[DayKey, DayState]:
    """Returns the days of rows."""
    return {
        DayKey(resource_id, day_number(day)): DayState(busy, version, planes_from_bytes(taken))
        for resource_id, day, busy, version, taken in rows
    }


def changed_days(changed: Iterable[tuple[DayKey, DayState]], number: int) -> list[ChangedDay]:
    """Returns days as a transaction with that feed number leaves them."""
    return [
        ChangedDay(key.resource_id, key.day, state._replace(version=number))
        for key, state in changed
    ]
