"""First answers to requests, for as long as a retry may come."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Final

from sqlalchemy import CTE, delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.app.port import Answer, RequestKey
from services.catalog.domain.entry import EntryName
from services.catalog.domain.record import Stamp
from services.catalog.storage.schema import changes, organizations, request_keys

# An hour over the day that is promised: clients' clocks are not ours.
KEPT: Final = timedelta(hours=25)

# Of each organization: so far behind, a follower may resume.
CHANGES_KEPT: Final = 10_000

# More than one for each that is kept, so that a backlog shrinks; few, so that no call waits.
_DROPPED_AT_ONCE: Final = 20


class AnswerTable:
    """One organization's answers."""

    def __init__(
        self,
        connection: AsyncConnection,
        organization_id: str,
        touched: AbstractSet[EntryName],
        stamp: Stamp,
    ) -> None:
        self._connection = connection
        self._organization_id = organization_id
        self._touched = touched
        self._stamp = stamp

    async def find(self, request: RequestKey) -> Answer | None:
        """Reads what was answered to this request_id of this method."""
        c = request_keys.c
        statement = select(c.content, c.answer).where(
            c.organization_id == self._organization_id,
            c.method == request.method,
            c.request_id == request.request_id,
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else Answer(content=row.content, answer=row.answer)

    async def keep(self, request: RequestKey, answer: bytes) -> None:
        """Ends the change: keeps the answer, drops some outdated ones, raises the revision.

        All in one statement, with what was changed for those who follow the catalog. A row may
        go that a key of the same request would find: it is older than anything a retry is
        promised.
        """
        c = request_keys.c
        key = (c.organization_id, c.method, c.request_id)
        outdated = (
            select(*key)
            .where(
                c.organization_id == self._organization_id,
                c.create_time < self._stamp.time - KEPT,
            )
            .order_by(c.create_time)
            .limit(_DROPPED_AT_ONCE)
        )
        dropped = delete(request_keys).where(tuple_(*key).in_(outdated)).cte("dropped")
        raised = (
            update(organizations)
            .where(organizations.c.organization_id == self._organization_id)
            .values(revision=self._stamp.revision)
            .cte("raised")
        )
        kept = insert(request_keys).values(
            organization_id=self._organization_id,
            method=request.method,
            request_id=request.request_id,
            content=request.content,
            answer=answer,
            create_time=self._stamp.time,
        )
        logged, forgotten = self._logged()
        await self._connection.execute(kept.add_cte(dropped, raised, logged, forgotten))

    def _logged(self) -> tuple[CTE, CTE]:
        # A change of nothing has its row, too: one that is missing was lost to followers.
        logged = insert(changes).values(
            organization_id=self._organization_id,
            revision=self._stamp.revision,
            entries=[list(name) for name in sorted(self._touched)],
        )
        forgotten = delete(changes).where(
            changes.c.organization_id == self._organization_id,
            changes.c.revision <= self._stamp.revision - CHANGES_KEPT,
        )
        return logged.cte("logged"), forgotten.cte("forgotten")
