"""A hold as its holder sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from types import TracebackType
from typing import Protocol, Self

from shared.slots.quantum import number
from shared.slots.rule import MAX_BOOKING


class HoldState(Enum):
    """Where a hold stands."""

    HOLDING = "HOLDING"
    """Asked for and not answered yet: show it as yours."""
    HELD = "HELD"
    """Yours, and renewed for as long as you stay."""
    REFUSED = "REFUSED"
    """It never was yours; ``reason`` says why."""
    LOST = "LOST"
    """It was yours and is not any more; ``reason`` says why."""
    LEFT = "LEFT"
    """You left."""


ENDED = frozenset({HoldState.REFUSED, HoldState.LOST, HoldState.LEFT})


@dataclass(frozen=True, slots=True)
class HoldStatus:
    """One state of a hold.

    Attributes:
        state: Which.
        reason: Why it was refused or lost: SLOT_HELD, NOT_FOUND, TOO_MANY_HOLDS, EXPIRED, LEFT (by
            another call of the session), UNREACHABLE (presence did not answer in time), or the
            reason of another refusal. While it is held: why it could not be moved.
        metadata: The values that decided, such as the quanta that others hold by date.
        expires_at: When it ends unless it is renewed, by the store's clock.
    """

    state: HoldState
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    expires_at: datetime | None = None


def check_time(start: datetime, length: timedelta) -> None:
    """Refuses, before anything is asked, time that nobody could hold.

    Raises:
        OffGrid: The start is not a quarter hour.
        ValueError: It is naive, or the length is out of range.
    """
    number(start)
    if not timedelta(0) < length <= MAX_BOOKING:
        raise ValueError(f"a hold of {length} is not longer than 0 and at most 31 days")


class Keeper(Protocol):
    """What keeps a session's holds."""

    def add(self, hold: Hold) -> None:
        """Asks for a hold and renews it from now on."""

    def moved(self, hold: Hold) -> None:
        """Asks for the hold's new time."""

    async def leave(self, hold: Hold) -> None:
        """Releases a hold; returns when it is released, or after a moment."""


class Hold:
    """Time that is held while a block runs: ``async with client.hold(...) as hold``.

    Entering returns at once, in the state HOLDING; it does not raise when the time is refused.
    Leaving the block releases it. When the program dies, nothing is sent and the hold expires.
    Belongs to one event loop.
    """

    def __init__(
        self, keeper: Keeper, resource_id: str, start: datetime, length: timedelta, hold_id: str
    ) -> None:
        self.resource_id = resource_id
        self.hold_id = hold_id
        self.start = start
        self.length = length
        self.holder_id = ""
        self.status = HoldStatus(HoldState.HOLDING)
        self._keeper = keeper
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._moving: asyncio.Future[bool] | None = None
        self._kept: tuple[datetime, timedelta] | None = None

    @property
    def state(self) -> HoldState:
        """Where it stands."""
        return self.status.state

    @property
    def reason(self) -> str:
        """Why it stands there."""
        return self.status.reason

    @property
    def expires_at(self) -> datetime | None:
        """When it ends unless it is renewed, by the store's clock."""
        return self.status.expires_at

    @property
    def is_settled(self) -> bool:
        """Whether everything that was asked for has been answered."""
        return self.state is not HoldState.HOLDING and self._moving is None

    async def settled(self) -> HoldStatus:
        """Waits for the first answer; returns HELD, REFUSED or what came of it since."""
        while self.state is HoldState.HOLDING:
            await self._changed.wait()
        return self.status

    async def ended(self) -> HoldStatus:
        """Waits until it is refused, lost or left."""
        while self.state not in ENDED:
            await self._changed.wait()
        return self.status

    async def states(self) -> AsyncIterator[HoldStatus]:
        """Yields the present state, then each further one, up to one that is final.

        A reader that is late gets the newest.
        """
        while True:
            status = self.status
            yield status
            if status.state in ENDED:
                return
            while self.state is status.state:
                await self._changed.wait()

    async def move(self, start: datetime, length: timedelta) -> bool:
        """Swaps it for other time in one step: never both, never none.

        Moves asked for at once happen one after the other.

        Args:
            start: From when: aware, a quarter hour.
            length: How long, more than 0; rounded up to a quarter hour.

        Returns:
            Whether the new time is held. If not, ``reason`` says why, and the old time is
            still held, unless the hold has ended.

        Raises:
            OffGrid: The start is not a quarter hour.
            ValueError: It is naive, or the length is out of range.
        """
        check_time(start, length)
        async with self._turn:
            if self.state in ENDED:
                return False
            self._moving = asyncio.get_running_loop().create_future()
            self.start, self.length = start, length
            self._keeper.moved(self)
            try:
                return await self._moving
            finally:
                self._moving = None

    def note_held(self, holder_id: str, expires_at: datetime) -> None:
        """Takes the answer that it is held; its keeper calls this."""
        self.holder_id = holder_id
        self._kept = (self.start, self.length)
        self._become(HoldStatus(HoldState.HELD, expires_at=expires_at))
        self._settle_move(is_moved=True)

    def note_refused(self, reason: str, metadata: Mapping[str, str]) -> bool:
        """Takes the answer that it is refused.

        Returns:
            Whether the old time must be asked for again: only the move was refused.
        """
        # Whoever asked for the move may have gone: the old time is held all the same.
        if self._kept is not None and self._kept != (self.start, self.length):
            self.start, self.length = self._kept
            self._become(HoldStatus(HoldState.HELD, reason, metadata, self.expires_at))
            self._settle_move(is_moved=False)
            return True
        was_held = self._kept is not None
        state = HoldState.LOST if was_held else HoldState.REFUSED
        self.note_ended(HoldStatus(state, reason, metadata))
        return False

    def note_ended(self, status: HoldStatus) -> None:
        """Takes the news that it is not held, or no longer."""
        self._become(status)
        self._settle_move(is_moved=False)

    def _settle_move(self, *, is_moved: bool) -> None:
        if self._moving is not None and not self._moving.done():
            self._moving.set_result(is_moved)

    def _become(self, status: HoldStatus) -> None:
        if self.state in ENDED:
            return
        self.status = status
        # Whoever waits is woken; whoever waits next waits for the next change.
        self._changed.set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        if self.state in ENDED:
            raise RuntimeError("a hold is entered once; ask the client for another one")
        self._keeper.add(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.state in ENDED:
            return
        try:
            await self._keeper.leave(self)
        finally:
            self.note_ended(HoldStatus(HoldState.LEFT))
