"""A hold as its holder sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

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
    """You left, or have booked it; ``reason`` is BOOKED then."""


ENDED: Final = frozenset({HoldState.REFUSED, HoldState.LOST, HoldState.LEFT})
EXPIRED: Final = "EXPIRED"
UNREACHABLE: Final = "UNREACHABLE"

MAX_UNITS: Final = 10_000

# It was had, so it would have been renewed had it not run out.
_CAUSES_OF_EXPIRY: Final = frozenset({UNREACHABLE, "SLOT_HELD"})


@dataclass(frozen=True, slots=True)
class HoldStatus:
    """One state of a hold.

    Attributes:
        state: Which.
        reason: Why it was lost: EXPIRED (no heartbeat came in time), BOOKED, BLOCKED (its time was
            taken out of use), LEFT (by another call of the session). Why it was refused:
            SLOT_HELD, NOT_FOUND, TOO_MANY_HOLDS, HOLD_TOO_LONG, UNREACHABLE (presence did not
            answer in time), BOOKED, BLOCKED, or the reason of another refusal. While it is held:
            why it could not be moved.
        metadata: The values that decided, such as the quanta that others hold by date. EXPIRED:
            ``cause`` is UNREACHABLE where presence did not answer, or why presence would not give
            it back: SLOT_HELD.
        expires_at: When it ends unless it is renewed, by the store's clock.
        units_ahead: HELD: the position when it was acquired, which is how many units others hold
            that acquired theirs earlier, on that quarter hour where they are most; always 0 on an
            exclusive resource.
    """

    state: HoldState
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    expires_at: datetime | None = None
    units_ahead: int = 0


class Answer(NamedTuple):
    """What presence says of a hold that is held.

    Attributes:
        holder_id: The session's public name.
        expires_at: When the hold ends unless it is renewed, by the store's clock.
        occupancy_start: From when the resource is held, buffer included; None where it is not
            said.
        occupancy_end: Until when, likewise.
        units_ahead: The position; None in an answer to a renewal.
    """

    holder_id: str
    expires_at: datetime
    occupancy_start: datetime | None
    occupancy_end: datetime | None
    units_ahead: int | None = None


class HoldTime(NamedTuple):
    """The time that is wanted.

    Attributes:
        start: From when.
        length: How long.
    """

    start: datetime
    length: timedelta


def check_time(start: datetime, length: timedelta) -> None:
    """Refuses, before anything is asked, time that nobody could hold.

    Raises:
        OffGrid: The start is not a quarter hour.
        ValueError: It is naive, or the length is out of range.
    """
    number(start)
    if not timedelta(0) < length <= MAX_BOOKING:
        raise ValueError(f"a hold of {length} is not longer than 0 and at most 31 days")


def check_units(units: int) -> None:
    """Refuses a number of units that nobody could hold.

    Raises:
        ValueError: It is out of range.
    """
    if not 1 <= units <= MAX_UNITS:
        raise ValueError(f"{units} units are not 1 to {MAX_UNITS:,}")


class Keeper(Protocol):
    """What keeps a session's holds."""

    def add(self, hold: Hold) -> None:
        """Asks for a hold and renews it from now on."""

    def moved(self, hold: Hold) -> None:
        """Asks for the hold's new time."""

    async def leave(self, hold: Hold) -> None:
        """Releases a hold; returns when it is released, or after a moment."""


class Standing:
    """Something that is asked for, held, and over at last; whoever waits is told."""

    def __init__(self) -> None:
        self.status = HoldStatus(HoldState.HOLDING)
        self._changed = asyncio.Event()

    @property
    def state(self) -> HoldState:
        """Where it stands."""
        return self.status.state

    @property
    def reason(self) -> str:
        """Why it stands there."""
        return self.status.reason

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

    def _become(self, status: HoldStatus) -> None:
        if self.state in ENDED:
            return
        self.status = status
        # Whoever waits is woken; whoever waits next waits for the next change.
        self._changed.set()
        self._changed = asyncio.Event()


class Hold(Standing):
    """Time that is held while a block runs: ``async with client.hold(...) as hold``.

    Entering returns at once, in the state HOLDING; it does not raise when the time is refused.
    Leaving the block releases it. When the program dies, nothing is sent and the hold expires.
    Belongs to one event loop.

    Attributes:
        resource_id: What is held.
        hold_id: Which hold of the session on it.
        start: From when: with an event type the booking's start, else the hold's.
        length: How long, likewise.
        units: How many units.
        event_type_id: Whose buffers are held, too; empty for none.
        holder_id: The session's public name; empty until it is held.
        occupancy_start: From when the resource is held, buffer included; None until it is.
        occupancy_end: Until when.
    """

    def __init__(
        self,
        keeper: Callable[[], Keeper],
        resource_id: str,
        time: HoldTime,
        *,
        hold_id: str = "",
        units: int = 1,
        event_type_id: str = "",
    ) -> None:
        """Asks nothing yet.

        Args:
            keeper: Returns what keeps the session's holds.
            resource_id: As the attribute.
            time: ``start`` and ``length``.
            hold_id: As the attribute.
            units: As the attribute.
            event_type_id: As the attribute.
        """
        super().__init__()
        self.resource_id = resource_id
        self.hold_id = hold_id
        self.start, self.length = time
        self.units = units
        self.event_type_id = event_type_id
        self.holder_id = ""
        self.occupancy_start: datetime | None = None
        self.occupancy_end: datetime | None = None
        self._keeper_of_session = keeper
        self._keeper: Keeper | None = None
        self._turn = asyncio.Lock()
        self._moving: asyncio.Future[bool] | None = None
        self._kept: HoldTime | None = None

    @property
    def expires_at(self) -> datetime | None:
        """When it ends unless it is renewed, by the store's clock."""
        return self.status.expires_at

    @property
    def units_ahead(self) -> int:
        """The position: how many units others hold that acquired theirs earlier."""
        return self.status.units_ahead

    @property
    def is_settled(self) -> bool:
        """Whether everything that was asked for has been answered."""
        return self.state is not HoldState.HOLDING and self._moving is None

    @property
    def was_had(self) -> bool:
        """Whether the time that is asked for was held before."""
        return self._kept == (self.start, self.length)

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
            if self.state in ENDED or self._keeper is None:
                return False
            self._moving = asyncio.get_running_loop().create_future()
            self.start, self.length = start, length
            self._keeper.moved(self)
            try:
                return await self._moving
            finally:
                self._moving = None

    def note_held(self, answer: Answer) -> None:
        """Takes the answer that it is held; its keeper calls this."""
        self.holder_id = answer.holder_id
        self.occupancy_start, self.occupancy_end = answer.occupancy_start, answer.occupancy_end
        self._kept = HoldTime(self.start, self.length)
        ahead = self.units_ahead if answer.units_ahead is None else answer.units_ahead
        self._become(HoldStatus(HoldState.HELD, expires_at=answer.expires_at, units_ahead=ahead))
        self._settle_move(is_moved=True)

    def note_refused(self, reason: str, metadata: Mapping[str, str]) -> bool:
        """Takes the answer that it is refused.

        Returns:
            Whether the old time must be asked for again: only the move was refused.
        """
        # Whoever asked for the move may have gone: the old time is held all the same.
        if self._kept is not None and not self.was_had:
            self.start, self.length = self._kept
            self._become(replace(self.status, reason=reason, metadata=metadata))
            self._settle_move(is_moved=False)
            return True
        self.note_lost(reason, metadata)
        return False

    def note_lost(self, reason: str, metadata: Mapping[str, str]) -> None:
        """Takes the news that it is not held any more; one that never was is refused."""
        if self._kept is None:
            self.note_ended(HoldStatus(HoldState.REFUSED, reason, metadata))
            return
        self.start, self.length = self._kept
        if reason in _CAUSES_OF_EXPIRY:
            reason, metadata = EXPIRED, {**metadata, "cause": reason}
        self.note_ended(HoldStatus(HoldState.LOST, reason, metadata))

    def note_ended(self, status: HoldStatus) -> None:
        """Takes the news that it is not held, or no longer."""
        self._become(status)
        self._settle_move(is_moved=False)

    def _settle_move(self, *, is_moved: bool) -> None:
        if self._moving is not None and not self._moving.done():
            self._moving.set_result(is_moved)

    async def __aenter__(self) -> Self:
        if self.state in ENDED:
            raise RuntimeError("a hold is entered once; ask the client for another one")
        self._keeper = self._keeper_of_session()
        self._keeper.add(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.state in ENDED or self._keeper is None:
            return
        try:
            await self._keeper.leave(self)
        finally:
            self.note_ended(HoldStatus(HoldState.LEFT))
