"""Decides bookings: a transaction claims, records, remembers and announces, or nothing does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, LiteralString

from services.availability.app.port import (
    Answered,
    Noted,
    OnCommit,
    Remember,
    no_memory,
    nothing,
)
from services.availability.domain.booking import Booking, Note
from services.availability.domain.claim import DayKey, DayState
from services.availability.domain.ledger_claim import (
    CapacityClaim,
    ChangeClaim,
    CreateClaim,
    Decision,
    Outdated,
    RebuildClaim,
)
from services.availability.domain.refusal import Contended, Kind, NotFound
from services.availability.domain.request_key import RequestKey
from services.availability.storage import row
from services.availability.storage.database import Database
from services.availability.storage.group import Answer, replayed
from services.availability.storage.pool import Rebuilding, Resizing
from services.availability.storage.statement import ANSWER
from services.availability.storage.writer import Writer, WriterTerms

# Each further attempt knows what the one before ran into. Only a crowd that changes the same
# booking needs them all.
_ATTEMPTS: Final = 8

ANSWER_AND_BOOKING: Final[LiteralString] = f"""
select a.content_hash, a.answer, {row.COLUMNS}
from (select 1) one
left join (
  select content_hash, answer from request_keys
  where organization_id = %(org)s and method = %(method)s and request_id = %(request)s
) a on true
left join bookings b on b.organization_id = %(org)s and b.booking_id = %(id)s
"""  # noqa: S608  # a LiteralString: no value is put in


class PostgresLedger:
    """The port ``Ledger`` over PostgreSQL."""

    def __init__(
        self,
        database: Database,
        noted: Noted,
        terms: WriterTerms | None = None,
        remember: Remember = no_memory,
    ) -> None:
        """Starts.

        Args:
            database: Where bookings are.
            noted: Told of what is committed.
            terms: How claims are grouped.
            remember: Asked for days, to decide by them before they are locked: it need not be
                right, since they are compared before anything is written.
        """
        self._database = database
        self._noted = noted
        self._writer = Writer(database, noted, terms or WriterTerms(), remember)

    @property
    def waiting(self) -> int:
        """How many claims wait for their transaction."""
        return self._writer.waiting

    async def answer(self, key: RequestKey) -> bytes | None:
        """As in the port."""
        rows = await self._database.fetch(
            ANSWER,
            {"org": key.organization_id, "method": key.method, "request": key.request_id},
        )
        return self._remembered(key, Answer(*rows[0])) if rows else None

    async def create(
        self,
        key: RequestKey,
        booking: Booking,
        note: Note,
        encode: Callable[[Booking], bytes],
        *,
        is_named: bool = True,
        committed: OnCommit = nothing,
    ) -> Answered:
        """As in the port."""
        claim = CreateClaim(key, booking, note, encode, is_named)
        return await self._writer.commit(key.organization_id, claim, committed)

    async def change(
        self,
        organization_id: str,
        key: RequestKey | None,
        booking_id: str,
        decision: Decision,
        *,
        committed: OnCommit = nothing,
    ) -> bytes:
        """As in the port."""
        for _ in range(_ATTEMPTS):
            known, booking = await self._known(organization_id, key, booking_id)
            if key is not None and known is not None:
                return self._remembered(key, known)
            if booking is None:
                raise NotFound(Kind.BOOKING, booking_id)
            claim = ChangeClaim.prepared(key, booking, decision)
            try:
                return (await self._writer.commit(organization_id, claim, committed)).answer
            except Outdated:
                continue
        raise Contended

    async def set_capacity(
        self, key: RequestKey, resource_id: str, units: int, answer: bytes, now: datetime
    ) -> bytes:
        """As in the port."""
        work = Resizing(CapacityClaim(key, resource_id, units, answer, now))
        return (await self._writer.alone(key.organization_id, work)).answer

    async def rebuild(
        self, key: RequestKey, day: DayKey, encode: Callable[[DayState], bytes]
    ) -> bytes:
        """As in the port."""
        work = Rebuilding(RebuildClaim(key, day, encode))
        return (await self._writer.alone(key.organization_id, work)).answer

    async def close(self, seconds: float) -> None:
        """Waits for what is on its way, at most ``seconds``."""
        await self._writer.close(seconds)

    async def _known(
        self, organization_id: str, key: RequestKey | None, booking_id: str
    ) -> tuple[Answer | None, Booking | None]:
        (found,) = await self._database.fetch(
            ANSWER_AND_BOOKING,
            {
                "org": organization_id,
                "method": key.method if key else None,
                "request": key.request_id if key else None,
                "id": booking_id,
            },
        )
        answer = Answer(found[0], found[1]) if found[0] is not None else None
        return answer, row.booking(organization_id, found[2:]) if found[2] is not None else None

    def _remembered(self, key: RequestKey, given: Answer) -> bytes:
        outcome = replayed(key, given)
        if not isinstance(outcome, Answered):
            raise outcome
        # Committed a moment ago, perhaps, by a transaction whose end was not heard of.
        self._noted(key.organization_id, None)
        return outcome.answer
