"""Fulfils the wishes of many callers together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context
from typing import NamedTuple

from services.presence.app.port import HoldStore
from services.presence.domain.wish import Verdict, Wish


class _Asked(NamedTuple):
    wishes: Sequence[Wish]
    told: asyncio.Future[list[Verdict]]


class GatheredWishes:
    """The port ``HoldKeeper``, for all streams of a process.

    While the store is at work, what comes waits; the next round takes it all. So a lone caller
    is served at once, and under load a round trip, and a script call for each scope, serve many.
    """

    def __init__(self, store: HoldStore) -> None:
        self._store = store
        self._waiting: list[_Asked] = []
        self._rounds: asyncio.Task[None] | None = None

    async def fulfil(self, wishes: Sequence[Wish]) -> list[Verdict]:
        """Fulfils wishes in their order and returns what became of each.

        What another caller's wishes meet is no concern of this one.

        Raises:
            StoreUnavailable: The store could not be reached for one of them.
        """
        if not wishes:
            return []
        told: asyncio.Future[list[Verdict]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(wishes, told))
        if self._rounds is None:
            # Nobody's own: a caller that goes away must not take the others' round with it, nor
            # are they served in its context.
            self._rounds = asyncio.create_task(self._work(), context=Context())
        return await told

    async def _work(self) -> None:
        try:
            while self._waiting:
                # Who has gone away meanwhile wishes for nothing any more.
                asked = [one for one in self._waiting if not one.told.done()]
                self._waiting = []
                await self._round(asked)
        finally:
            self._rounds = None

    async def _round(self, asked: Sequence[_Asked]) -> None:
        try:
            found = await self._store.fulfil_each([wish for one in asked for wish in one.wishes])
        except Exception as error:  # noqa: BLE001  # it is raised where it was asked for
            found = [error] * sum(len(one.wishes) for one in asked)
        place = 0
        for one in asked:
            own = found[place : place + len(one.wishes)]
            place += len(own)
            _tell(one.told, own)


def _tell(told: asyncio.Future[list[Verdict]], found: Sequence[Verdict | Exception]) -> None:
    if told.done():
        return
    verdicts: list[Verdict] = []
    for verdict in found:
        if isinstance(verdict, Exception):
            told.set_exception(verdict)
            return
        verdicts.append(verdict)
    told.set_result(verdicts)
