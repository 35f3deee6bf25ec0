"""Commits claims in groups: while one transaction is on its way, the next one's claims queue.

No timer and no added delay: a lone claim is committed at once, and under load each transaction
takes all that came meanwhile, so that the cost of a commit is shared. One transaction of an
organization at a time, since each holds the organization's feed; a few of different ones at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import psycopg

from services.availability.app.port import (
    Answered,
    Noted,
    OnCommit,
    Remember,
    no_memory,
    nothing,
)
from services.availability.domain.ledger_claim import Claim
from services.availability.domain.refusal import Contended
from services.availability.storage.database import Database
from services.availability.storage.group import (
    Committed,
    Group,
    Outcome,
)
from services.availability.storage.session import Connection
from shared.runtime.deadline import time_remaining
from shared.runtime.failure import DeadlinePassed, Overloaded, StoreUnavailable

MOST_ROWS: Final = 512
"""Days that one transaction locks, as far as one claim does not want more by itself."""

_FOR_EVER: Final = 3_600.0
_AGAIN_AFTER: Final = timedelta(milliseconds=100)

logger = logging.getLogger("holdfast.availability.ledger")


@dataclass(slots=True, eq=False)
class _Waiting:
    """A claim that waits for its turn; ``deadline`` by the loop's clock."""

    claim: Claim
    future: asyncio.Future[Answered]
    deadline: float
    committed: OnCommit


@dataclass(slots=True)
class _Queue:
    """The claims of an organization.

    Attributes:
        fresh: Those that came since, in their order.
        suspects: Those of a group that could not be committed: each is tried alone.
        is_suspects_turn: Whether one of them is next: they and the others take turns, so that
            nobody waits long behind what is stuck.
    """

    fresh: deque[_Waiting] = field(default_factory=deque)
    suspects: deque[_Waiting] = field(default_factory=deque)
    is_suspects_turn: bool = False

    def __bool__(self) -> bool:
        return bool(self.fresh or self.suspects)


@dataclass(slots=True)
class WriterTerms:
    """How claims are grouped.

    Attributes:
        most_waiting: Claims that may wait, over all organizations.
        at_once: Transactions of different organizations at once.
        most_claims: In one transaction.
    """

    most_waiting: int = 4_096
    at_once: int = 4
    most_claims: int = MOST_ROWS // 2


@dataclass(slots=True, eq=False)
class Writer:
    """Takes claims and commits them. Belongs to one event loop.

    Attributes:
        database: Where they are committed.
        noted: Told of what is committed.
        terms: How they are grouped.
        remember: Returns days as they may still be, if all of them are known.
        waiting: How many wait for their transaction.
    """

    database: Database
    noted: Noted
    terms: WriterTerms = field(default_factory=WriterTerms)
    remember: Remember = no_memory
    # Pools with a capacity row, by organization; rows are never deleted.
    _pools: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _queues: dict[str, _Queue] = field(default_factory=dict)
    _ready: deque[str] = field(default_factory=deque)
    waiting: int = field(default=0, init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def commit(
        self, organization_id: str, claim: Claim, committed: OnCommit = nothing
    ) -> Answered:
        """Waits until a claim is decided, and committed unless it is refused.

        A caller that leaves while the claim waits takes it back; later it is committed all the
        same, and ``committed`` is called.

        Raises:
            Outdated: It must be prepared anew.
            Failure: It is refused, or nobody knows yet whether it was committed.
        """
        if self.waiting >= self.terms.most_waiting:
            raise Overloaded("too many bookings wait to be decided", retry_after=_AGAIN_AFTER)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + time_remaining(_FOR_EVER)
        waiting = _Waiting(claim, loop.create_future(), deadline, committed)
        queue = self._queues.get(organization_id)
        if queue is None:
            # Nothing of this organization is on its way: the claim need not wait.
            queue = self._queues[organization_id] = _Queue()
            self._ready.append(organization_id)
        queue.fresh.append(waiting)
        self.waiting += 1
        self._start()
        return await waiting.future

    async def alone(
        self, organization_id: str, work: Callable[[Connection], Awaitable[Committed]]
    ) -> Answered:
        """Runs a transaction of its own kind, beside the groups: locks keep them apart.

        Raises:
            Failure: It is refused, or nobody knows yet whether it was committed.
        """
        committed = await self._run(organization_id, work)
        (outcome,) = committed.outcomes
        if isinstance(outcome, Exception):
            raise outcome
        self._note(organization_id, committed)
        self.noted(organization_id, None)  # a capacity is told by the feed alone
        return outcome

    async def close(self, seconds: float) -> None:
        """Waits for what is on its way, at most ``seconds``."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _start(self) -> None:
        while self._ready and len(self._tasks) < self.terms.at_once:
            # In no caller's context: a transaction is not bounded by one caller's deadline.
            turn = self._turn(self._ready.popleft())
            task = asyncio.create_task(turn, context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._start()

    async def _turn(self, organization_id: str) -> None:
        """Commits one group; organizations take turns."""
        queue = self._queues[organization_id]
        try:
            is_suspect = bool(queue.suspects) and (queue.is_suspects_turn or not queue.fresh)
            queue.is_suspects_turn = not is_suspect
            most = 1 if is_suspect else self.terms.most_claims
            if group := self._taken(queue.suspects if is_suspect else queue.fresh, most):
                await self._commit(organization_id, queue, group, is_suspect=is_suspect)
        finally:
            if queue:
                self._ready.append(organization_id)
            else:
                del self._queues[organization_id]
                if not self._pools[organization_id]:
                    del self._pools[organization_id]  # most have none, and they may be many

    def _taken(self, claims: deque[_Waiting], most: int) -> list[_Waiting]:
        group: list[_Waiting] = []
        rows = 0
        now = asyncio.get_running_loop().time()
        while claims and len(group) < most:
            waiting = claims[0]
            more = len(waiting.claim.days)
            if group and rows + more > MOST_ROWS:
                break
            claims.popleft()
            self.waiting -= 1
            if waiting.future.done():
                continue  # its caller has left
            if waiting.deadline <= now:
                waiting.future.set_exception(DeadlinePassed())
                continue
            rows += more
            group.append(waiting)
        return group

    async def _commit(
        self,
        organization_id: str,
        queue: _Queue,
        group: Sequence[_Waiting],
        *,
        is_suspect: bool,
    ) -> None:
        claims = [waiting.claim for waiting in group]
        work = Group(
            organization_id,
            claims,
            self._pools[organization_id],
            remember=no_memory if is_suspect else self.remember,
            is_impatient=is_suspect,
        )
        try:
            committed = await self._run(organization_id, work)
        except Exception as error:  # noqa: BLE001  # told to whom it concerns
            if len(group) > 1 and isinstance(error, psycopg.Error | Contended):
                logger.warning(
                    "a group is committed one by one",
                    extra={"claims": len(group), "cause": type(error).__name__},
                )
                queue.suspects.extend(group)
                self.waiting += len(group)
                return
            outcomes: Sequence[Outcome] = [error] * len(group)
        else:
            self._note(organization_id, committed)
            outcomes = committed.outcomes
        for waiting, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Answered) and not outcome.is_replay:
                waiting.committed()
            _tell(waiting.future, outcome)

    async def _run(
        self, organization_id: str, work: Callable[[Connection], Awaitable[Committed]]
    ) -> Committed:
        try:
            return await self.database.run(work)
        except StoreUnavailable:
            self.noted(organization_id, None)  # it may have been committed all the same
            raise

    def _note(self, organization_id: str, committed: Committed) -> None:
        told = [outcome for outcome in committed.outcomes if isinstance(outcome, Answered)]
        if any(not answered.is_replay for answered in told):
            self.noted(organization_id, committed.days)
        if committed.is_found or any(answered.is_replay for answered in told):
            # Committed a moment ago, perhaps, by a transaction whose end was not heard of.
            self.noted(organization_id, None)


def _tell(future: asyncio.Future[Answered], outcome: Outcome) -> None:
    if future.done():
        return  # its caller has left
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
