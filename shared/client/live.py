"""Watches that many views of one program share: one stream for each, however many look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from shared.client.failure import HoldfastError
from shared.client.follow import Following
from shared.client.watch_event import WatchKind

Listener = Callable[[], None]


StateT = TypeVar("StateT")
Fold = Callable[[StateT, Any], tuple[StateT, "Told | None"]]
"""Returns the state after a message, and what it told; None for a bookmark."""


class Told(Protocol):
    """What a message told."""

    @property
    def kind(self) -> WatchKind:
        """Which kind of news."""


class Live(Generic[StateT]):
    """A watch that runs, and its folded state. Belongs to one event loop.

    Attributes:
        state: Folded up to the newest message.
        resets: How often what had been told before may have been lost.
        is_stale: Whether the stream is broken: the state may be old.
        failure: Why the watch ended, when it did.
    """

    def __init__(
        self,
        following: Following[Any, Any],
        fold: Fold[StateT],
        state: StateT,
        *,
        broken: Callable[[], None] | None = None,
    ) -> None:
        """Begins to follow.

        Args:
            following: The watch.
            fold: Takes in a message.
            state: Before the first.
            broken: Called whenever the stream broke, before another one is tried.
        """
        self.state = state
        self._broken = broken
        self.resets = 0
        self.is_stale = True
        self.failure: Exception | None = None
        self._fold = fold
        self._listeners: set[Listener] = set()
        self._tried = asyncio.Event()
        self._task = asyncio.create_task(self._run(following))

    async def tried(self, patience_seconds: float) -> None:
        """Waits until the first state is known, or it is known that it takes longer."""
        try:
            async with asyncio.timeout(patience_seconds):
                await self._tried.wait()
        except TimeoutError:
            return

    @asynccontextmanager
    async def heard_by(self, listener: Listener) -> AsyncIterator[None]:
        """Calls a listener after every change of state, staleness or failure."""
        self._listeners.add(listener)
        try:
            yield
        finally:
            self._listeners.discard(listener)

    async def close(self) -> None:
        """Ends the watch."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, following: Following[Any, Any]) -> None:
        try:
            async with aclosing(following.messages()) as messages:
                async for message in messages:
                    self._take(message, is_anew=following.is_anew)
                    self._tried.set()
        except Exception as failure:  # noqa: BLE001  # whoever looks is told, whatever it is
            self.failure = failure
            self.is_stale = True
            self._tried.set()
            self._tell()

    def _take(self, message: Any, *, is_anew: bool) -> None:
        is_broken = isinstance(message, HoldfastError)
        was_stale, self.is_stale = self.is_stale, is_broken
        told: Told | None = None
        if is_broken and self._broken is not None:
            self._broken()
        if not is_broken:
            self.state, told = self._fold(self.state, message)
            self.resets += is_anew or (told is not None and told.kind is WatchKind.RESET)
        if told is not None or was_stale is not self.is_stale:
            self._tell()

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()


class Sharable(Protocol):
    """What is shared, and closed when nobody uses it any more."""

    failure: Exception | None

    async def close(self) -> None:
        """Ends it."""


SharedT = TypeVar("SharedT", bound=Sharable)


@dataclass(slots=True)
class _Entry(Generic[SharedT]):
    thing: SharedT
    users: int = 0


class Shared(Generic[SharedT]):
    """Things made when somebody first wants them, and closed when nobody does any more."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _Entry[SharedT]] = {}

    @asynccontextmanager
    async def use(self, key: Hashable, make: Callable[[], SharedT]) -> AsyncIterator[SharedT]:
        """Yields the one of that key, a new one if it failed; whoever leaves last closes it."""
        entry = self._known.get(key)
        if entry is None or entry.thing.failure is not None:
            entry = self._known[key] = _Entry(make())
        entry.users += 1
        try:
            yield entry.thing
        finally:
            entry.users -= 1
            if not entry.users:
                if self._known.get(key) is entry:
                    del self._known[key]
                await entry.thing.close()
