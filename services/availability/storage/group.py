"""One transaction of the ledger: locks what its claims need, decides them, writes the outcome."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Any, LiteralString, NamedTuple

from services.availability.app.port import Answered
from services.availability.domain.claim import FREE, DayKey, DayState, Inventory
from services.availability.domain.day_bytes import planes_from_bytes
from services.availability.domain.day_change import ChangedDay
from services.availability.domain.ledger_claim import ChangeClaim, Claim, View
from services.availability.domain.request_key import RequestKey
from services.availability.storage import statement
from services.availability.storage.database import Row
from services.availability.storage.record import Records, array, day_records, written
from services.availability.storage.session import Connection
from shared.runtime.failure import RequestIdReused
from shared.slots.quantum import day_date, day_number

Outcome = Answered | Exception
"""What a claim came to: an exception is its refusal."""


class Committed(NamedTuple):
    """What a transaction came to.

    Attributes:
        outcomes: One for each claim.
        days: Those that it changed.
    """

    outcomes: Sequence[Outcome]
    days: Sequence[ChangedDay]


class Group:
    """Claims of one organization that are decided and committed together."""

    def __init__(
        self,
        organization_id: str,
        claims: Sequence[Claim],
        known: set[str],
        *,
        is_impatient: bool = False,
    ) -> None:
        """Begins.

        Args:
            organization_id: Whose claims.
            claims: To decide, in this order.
            known: Pools that have a capacity row for certain; those that get one are added.
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

    async def __call__(self, connection: Connection) -> Committed:
        """Runs the transaction: two round trips, or one where every claim is refused.

        Raises:
            psycopg.Error: Nothing was written, unless the connection broke.
        """
        async with connection.pipeline():
            await connection.execute("begin")
            if self._is_impatient:
                await connection.execute(statement.IMPATIENT)
            answers, view = await self._lock(connection)
            outcomes, records = self._decide(answers, view)
            changed = [(key, view.inventory.state(key)) for key in sorted(view.inventory.changed)]
            number = None
            if records.events:
                number = await write(
                    connection, self._organization_id, records, changed, self._stored
                )
            else:
                await connection.execute(statement.UNWRITTEN)
                await connection.execute("commit")
        if number is None:
            return Committed(outcomes, ())
        # Durable by now: the pipeline was left only when the commit was heard of.
        self._known.update(self._pools)
        (found,) = await number.fetchall()
        return Committed(outcomes, changed_days(changed, found[0]))

    async def _lock(self, connection: Connection) -> tuple[dict[tuple[str, str], Answer], View]:
        org = self._organization_id
        keys = [claim.key for claim in self._claims if claim.key is not None]
        named = [claim.new_id for claim in self._claims if claim.new_id]
        changed = {
            claim.booking.booking_id for claim in self._claims if isinstance(claim, ChangeClaim)
        }
        ask = _Asking(connection, org)
        locks = {lock_number(*key[:3]) for key in keys} | {lock_number(org, name) for name in named}
        if locks:
            await ask(statement.LOCK_KEYS, locks=array(sorted(locks)))
        answers = await ask.maybe(
            keys,
            statement.ANSWERS,
            methods=array(key.method for key in keys),
            requests=array(key.request_id for key in keys),
        )
        revisions = await ask.maybe(changed, statement.LOCK_BOOKINGS, ids=array(sorted(changed)))
        namesakes = await ask.maybe(named, statement.NAMESAKES, ids=array(named))
        capacities = await self._lock_capacities(ask)
        days = await ask.maybe(self._days, statement.LOCK_DAYS, **day_arrays(self._days))
        found = {
            (method, request_id): Answer(content_hash, answer)
            for method, request_id, content_hash, answer in await answers()
        }
        view = View(
            Inventory({}, {}),
            {name for (name,) in await namesakes()},
            dict(await revisions()),
        )
        units: dict[str, int] = dict(await capacities())
        self._stored = day_states(await days())
        view.inventory = Inventory({key: self._stored.get(key, FREE) for key in self._days}, units)
        return found, view

    async def _lock_capacities(self, ask: _Asking) -> _Rows:
        if new := [name for name in self._pools if name not in self._known]:
            await ask(statement.MAKE_CAPACITIES, resources=array(new))
        return await ask.maybe(
            self._resources, statement.SHARE_CAPACITIES, resources=array(self._resources)
        )

    def _decide(
        self, answers: dict[tuple[str, str], Answer], view: View
    ) -> tuple[list[Outcome], Records]:
        records = Records()
        outcomes: list[Outcome] = []
        for claim in self._claims:
            key = claim.key
            given = answers.get((key.method, key.request_id)) if key else None
            if key is not None and given is not None:
                outcomes.append(replayed(key, given))
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
        return outcomes, records


class Answer(NamedTuple):
    """What a request key was told before, and for which content."""

    content_hash: bytes
    answer: bytes


class _Rows:
    """The rows of a statement that is on its way, or none where none was needed."""

    def __init__(self, cursor: Any = None) -> None:
        self._cursor = cursor

    async def __call__(self) -> list[Row]:
        return await self._cursor.fetchall() if self._cursor is not None else []


class _Asking:
    """Sends statements about one organization, without waiting for their rows."""

    def __init__(self, connection: Connection, organization_id: str) -> None:
        self._connection = connection
        self._organization_id = organization_id

    async def __call__(self, text: LiteralString, **parameters: Any) -> _Rows:
        parameters["org"] = self._organization_id
        return _Rows(await self._connection.execute(text, parameters, binary=True))

    async def maybe(self, wanted: Collection[Any], text: LiteralString, **parameters: Any) -> _Rows:
        return await self(text, **parameters) if wanted else _Rows()


async def write(
    connection: Connection,
    organization_id: str,
    records: Records,
    changed: Sequence[tuple[DayKey, DayState]],
    stored: Container[DayKey],
    capacity: tuple[str, int] | None = None,
) -> Any:
    """Sends everything that a transaction writes, and its commit; as ``finish``.

    Returns:
        The cursor that will have the feed number.
    """
    ask = _Asking(connection, organization_id)
    await record(connection, organization_id, records)
    for rows, text in (
        ([*records.changes.values()], statement.CHANGE_BOOKINGS),
        ([*chain.from_iterable(records.moves.values())], statement.MOVE_ITEMS),
    ):
        if rows:
            await ask(text, rows=written(rows))
    number = await connection.execute(statement.NEXT_NUMBER, {"org": organization_id}, binary=True)
    await finish(connection, organization_id, records, changed, stored, capacity)
    return number


async def record(connection: Connection, organization_id: str, records: Records) -> None:
    """Sends new bookings, histories and answers."""
    await _Asking(connection, organization_id)(
        statement.RECORD,
        bookings=written(records.bookings),
        items=written(records.items),
        history=written(records.history),
        keys=written(records.keys),
    )


async def finish(
    connection: Connection,
    organization_id: str,
    records: Records,
    changed: Sequence[tuple[DayKey, DayState]],
    stored: Container[DayKey],
    capacity: tuple[str, int] | None = None,
) -> None:
    """Sends what is stamped with the feed number, once it is taken, and the commit.

    Args:
        connection: In a pipeline.
        organization_id: Whose.
        records: What to write.
        changed: The days that are not what they were.
        stored: Those that have a row.
        capacity: A pool and its new number of units.
    """
    ask = _Asking(connection, organization_id)
    new = day_records(day for day in changed if day[0] not in stored)
    known = day_records(day for day in changed if day[0] in stored)
    records.announce([*new, *known], [capacity] if capacity else [])
    if capacity:
        await ask(statement.CHANGE_CAPACITY, resource=capacity[0], units=capacity[1])
    await ask(
        statement.TELL, new=written(new), known=written(known), events=written(records.events)
    )
    await connection.execute("commit")


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
