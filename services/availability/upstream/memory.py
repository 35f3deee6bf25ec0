"""Remembers answers for a moment; callers who ask the same at once share one question."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class Memory(Generic[KeyT, ValueT]):
    """A bounded cache in front of ``ask``. Failures are shared and not remembered."""

    def __init__(
        self,
        ask: Callable[[KeyT], Awaitable[ValueT]],
        *,
        fresh_seconds: float,
        most: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remembers nothing yet.

        Args:
            ask: Answers a key; a refusal worth remembering is a value, not an exception.
            fresh_seconds: How long an answer counts, from the moment it was asked for.
            most: Answers kept; past that the one used longest ago goes.
            monotonic: The clock of freshness.
        """
        self._ask = ask
        self._fresh_seconds = fresh_seconds
        self._most = most
        self._monotonic = monotonic
        self._known: OrderedDict[KeyT, tuple[float, ValueT]] = OrderedDict()
        self._questions: dict[KeyT, asyncio.Task[ValueT]] = {}

    async def __call__(self, key: KeyT) -> ValueT:
        """Returns the answer, asking unless a fresh one is remembered."""
        known = self._known.get(key)
        if known is not None and known[0] > self._monotonic():
            self._known.move_to_end(key)
            return known[1]
        question = self._questions.get(key)
        if question is None:
            question = asyncio.create_task(self._question(key))
            self._questions[key] = question
            question.add_done_callback(lambda _: self._questions.pop(key))
        # Whoever asked first may leave: the others still wait.
        return await asyncio.shield(question)

    def drop(self, key: KeyT) -> None:
        """Forgets one answer."""
        self._known.pop(key, None)

    def forget(self) -> None:
        """Forgets every answer."""
        self._known.clear()

    async def close(self) -> None:
        """Ends the questions in flight."""
        questions = list(self._questions.values())
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    async def _question(self, key: KeyT) -> ValueT:
        fresh_until = self._monotonic() + self._fresh_seconds
        answer = await self._ask(key)
        self._known[key] = fresh_until, answer
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return answer
