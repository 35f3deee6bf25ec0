"""Questions to the catalog whose answers are remembered for a while."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import grpc

from shared.runtime import log

logger = logging.getLogger("holdfast.presence.catalog")

ValueT = TypeVar("ValueT")


class Name(NamedTuple):
    """Something of an organization."""

    organization_id: str
    key: str


@dataclass(frozen=True, slots=True)
class Memory:
    """For how long answers count, how many are kept, and how long one is waited for.

    Attributes:
        fresh: Of something that is known, where the catalog is not followed.
        doubtful: Of what is not, or of which the catalog could not be asked.
        patience: For the catalog's answer.
        entries: Answers of a kind at most; the one unused for longest is forgotten.
        organizations: Followed at most; the one unused for longest is followed no more.
        idle: After how long without a question an organization is followed no more.
    """

    fresh: timedelta
    doubtful: timedelta
    patience: timedelta
    entries: int
    organizations: int = 2_000
    idle: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Answer(Generic[ValueT]):
    """What the catalog said, or that it could not be asked.

    Attributes:
        value: The newest that it said; None where there is no such thing, or it never spoke.
        is_told: Whether it spoke when it was asked last.
        asked_at: When that was.
        until: Until when it is not asked again.
    """

    value: ValueT | None
    is_told: bool
    asked_at: float
    until: float


class Questions(Generic[ValueT]):
    """Questions of one kind. Calls for one name at once share one. Belongs to one event loop."""

    def __init__(
        self,
        ask: Callable[[Name, float], Awaitable[ValueT]],
        memory: Memory,
        monotonic: Callable[[], float],
    ) -> None:
        """Asks nothing yet.

        Args:
            ask: Asks the catalog, and waits so many seconds at most.
            memory: For how long answers count.
            monotonic: The clock.
        """
        self._ask = ask
        self._memory = memory
        self._monotonic = monotonic
        self._answers: OrderedDict[Name, Answer[ValueT]] = OrderedDict()
        self._asked: dict[Name, asyncio.Task[Answer[ValueT]]] = {}
        self._is_answered = True

    def fresh(self, name: Name, since: float | None) -> Answer[ValueT] | None:
        """Returns an answer that still counts, if it was asked for after ``since``."""
        found = self._answers.get(name)
        if found is None or found.until <= self._monotonic():
            return None
        self._answers.move_to_end(name)
        return None if since is not None and found.asked_at <= since else found

    async def __call__(self, name: Name, patience_seconds: float) -> Answer[ValueT]:
        """Asks, and waits so long at most."""
        question = self._asked.get(name)
        if question is None:
            # Others wait for it, too, so it is bounded by no caller's deadline; but the catalog
            # shall know for whom it was asked.
            context = Context()
            context.run(log.request_id.set, partial(str, log.request_id.get()))
            question = asyncio.create_task(self._question(name), context=context)
            self._asked[name] = question
            question.add_done_callback(lambda _: self._asked.pop(name))
        asked_at = self._monotonic()
        try:
            async with asyncio.timeout(patience_seconds):
                # Whoever asked first may leave: the others still wait.
                return await asyncio.shield(question)
        except TimeoutError:
            known = self._answers.get(name)
            return Answer(known.value if known else None, False, asked_at, asked_at)

    async def close(self) -> None:
        """Ends the questions in flight."""
        questions = list(self._asked.values())
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    async def _question(self, name: Name) -> Answer[ValueT]:
        asked_at = self._monotonic()
        value: ValueT | None
        try:
            # The whole patience: others wait too, and may have more time than who asked first.
            value = await self._ask(name, self._memory.patience.total_seconds())
        except grpc.aio.AioRpcError as error:
            is_told = error.code() is grpc.StatusCode.NOT_FOUND
            self._note(None if is_told else error)
            known = self._answers.get(name)
            value = known.value if known and not is_told else None
            return self._remember(name, Answer(value, is_told, asked_at, 0), self._memory.doubtful)
        self._note(None)
        counts = self._memory.doubtful if value is None else self._memory.fresh
        return self._remember(name, Answer(value, True, asked_at, 0), counts)

    def _remember(self, name: Name, answer: Answer[ValueT], counts: timedelta) -> Answer[ValueT]:
        answer = replace(answer, until=self._monotonic() + counts.total_seconds())
        self._answers[name] = answer
        self._answers.move_to_end(name)
        if len(self._answers) > self._memory.entries:
            self._answers.popitem(last=False)
        return answer

    def _note(self, error: grpc.aio.AioRpcError | None) -> None:
        if self._is_answered is (error is None):
            return
        self._is_answered = error is None
        if error is None:
            logger.info("catalog answers again")
        else:
            logger.warning("catalog cannot be asked", extra={"code": error.code().name})
