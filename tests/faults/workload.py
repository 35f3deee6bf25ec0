"""Random clients: everything that callers do, at once, by a seed."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from holdfast.availability.v1 import availability_pb2, booking_pb2
from tests.contract.availability.world import civil, interval, length, stamp
from tests.faults.history import Answered, Lost, Outcome
from tests.faults.recorder import Recorder
from tests.faults.scene import POOLS, QUARTER, ROOMS, Scene, at

_DAYS: Final = 4
# Bookings of several days, and buffers, go on past the first ones.
_DAYS_READ: Final = 12
_QUARTERS: Final = _DAYS * 96
_HOT: Final = 24

# How often each is done, of a hundred.
_MIX: Final[Mapping[str, int]] = {
    "book_room": 24,
    "book_bundle": 8,
    "book_pool": 10,
    "book_days": 4,
    "book_provisionally": 6,
    "book_with_approval": 6,
    "cancel": 14,
    "move": 9,
    "confirm": 6,
    "decline": 2,
    "complete": 2,
    "block": 2,
    "resize": 2,
    "rebuild": 1,
    "again": 4,
    "copies": 2,
    "read": 4,
    "wait": 1,
}


@dataclass(frozen=True, slots=True)
class Manners:
    """How clients behave.

    Attributes:
        clients: How many at once.
        gives_up: How likely a caller loses interest, 1 to 30 ms after the call.
        asks_again: How likely a call of unknown outcome is repeated, until that is known.
    """

    clients: int = 32
    gives_up: float = 0.0
    asks_again: float = 0.7


@dataclass(slots=True)
class Workload:
    """What the clients of one run share."""

    scene: Scene
    recorder: Recorder
    seed: int
    manners: Manners = field(default_factory=Manners)
    done: Counter[str] = field(default_factory=Counter)
    progress: Callable[[int], None] = lambda _: None
    _left: int = 0
    _known: deque[str] = field(default_factory=lambda: deque(maxlen=400))
    _sent: deque[tuple[str, Any]] = field(default_factory=lambda: deque(maxlen=100))

    async def run(self, operations: int) -> None:
        """Does so many operations and returns when the last one is answered."""
        self._left = operations
        async with asyncio.TaskGroup() as group:
            for number in range(self.manners.clients):
                source = random.Random(f"{self.seed}/{number}")
                group.create_task(self._client(source))

    def stop(self) -> None:
        """Lets ``run`` return once what is under way is answered."""
        self._left = 0

    async def _client(self, source: random.Random) -> None:
        names, weights = list(_MIX), list(_MIX.values())
        while self._left > 0:
            self._left -= 1
            (name,) = source.choices(names, weights)
            operation: Callable[[random.Random], Awaitable[None]] = getattr(self, f"_{name}")
            await operation(source)
            self.done[name] += 1
            self.progress(self._left)

    async def _book_room(self, source: random.Random) -> None:
        await self._book(source, {source.choice(ROOMS): 1}, source.choice([1, 2, 4, 4, 8, 16]))

    async def _book_bundle(self, source: random.Random) -> None:
        names = source.sample(ROOMS + POOLS, source.randint(2, 6))
        units = {name: source.randint(1, 2) if name in POOLS else 1 for name in names}
        await self._book(source, units, source.choice([2, 4, 8]))

    async def _book_pool(self, source: random.Random) -> None:
        units = {source.choice(POOLS): source.choice([1, 1, 2, 3])}
        await self._book(source, units, source.choice([2, 4, 8, 16]))

    async def _book_days(self, source: random.Random) -> None:
        names = source.sample(ROOMS + POOLS, source.choice([1, 1, 3]))
        await self._book(source, dict.fromkeys(names, 1), 96 * source.choice([1, 2, 3, 7]))

    async def _book_provisionally(self, source: random.Random) -> None:
        units = {source.choice(ROOMS + POOLS): 1}
        await self._book(
            source,
            units,
            4,
            event_type_id=source.choice(["session", "visit"]),
            provisional_duration=length(timedelta(minutes=source.randint(1, 40))),
        )

    async def _book_with_approval(self, source: random.Random) -> None:
        await self._book(source, {source.choice(ROOMS + POOLS): 1}, 4, event_type_id="visit")

    async def _book(
        self, source: random.Random, units: Mapping[str, int], quarters: int, **fields: Any
    ) -> None:
        booking_id = _uuid(source)
        given: dict[str, Any] = {
            "booking_id": booking_id,
            "items": [
                booking_pb2.BookingItem(resource_id=name, units=count)
                for name, count in units.items()
            ],
            "event_type_id": "session",
            "start_time": stamp(self._start(source)),
            "duration": length(quarters * QUARTER),
            "booker": booking_pb2.Booker(booker_id=f"person-{source.randrange(20)}"),
        }
        if source.random() < 0.02 and self._known:
            given["booking_id"] = source.choice(self._known)
        request = booking_pb2.CreateBookingRequest(**self._header(source), **(given | fields))
        outcome = await self._send(source, "CreateBooking", request)
        if isinstance(outcome, Answered | Lost):
            self._known.append(request.booking_id)

    async def _block(self, source: random.Random) -> None:
        start = self._start(source)
        request = booking_pb2.CreateBlockRequest(
            **self._header(source),
            booking_id=_uuid(source),
            resource_id=source.choice(ROOMS + POOLS),
            range=interval(start, start + source.choice([1, 4, 96]) * QUARTER),
            units=source.choice([0, 1]),
            reason="repairs",
        )
        if isinstance(await self._send(source, "CreateBlock", request), Answered | Lost):
            self._known.append(request.booking_id)

    async def _cancel(self, source: random.Random) -> None:
        await self._transition(source, "CancelBooking")

    async def _confirm(self, source: random.Random) -> None:
        await self._transition(source, "ConfirmBooking")

    async def _decline(self, source: random.Random) -> None:
        await self._transition(source, "DeclineBooking")

    async def _complete(self, source: random.Random) -> None:
        await self._transition(source, "CompleteBooking")

    async def _transition(self, source: random.Random, method: str) -> None:
        if booking_id := self._some(source):
            kind = getattr(booking_pb2, f"{method}Request")
            request = kind(**self._header(source), booking_id=booking_id, reason="changed my mind")
            await self._send(source, method, request)

    async def _move(self, source: random.Random) -> None:
        if booking_id := self._some(source):
            request = booking_pb2.RescheduleBookingRequest(
                **self._header(source),
                booking_id=booking_id,
                start_time=stamp(self._start(source)),
            )
            if source.random() < 0.5:
                request.duration.CopyFrom(length(source.choice([2, 4, 8, 100]) * QUARTER))
            await self._send(source, "RescheduleBooking", request)

    async def _resize(self, source: random.Random) -> None:
        request = availability_pb2.SetCapacityRequest(
            **self._header(source), resource_id=source.choice(POOLS), units=source.randint(1, 8)
        )
        await self._send(source, "SetCapacity", request)

    async def _rebuild(self, source: random.Random) -> None:
        """Writes a day anew that needs none: it must stay what it is."""
        request = availability_pb2.RebuildDayRequest(
            **self._header(source),
            resource_id=source.choice(ROOMS + POOLS),
            date=civil(self._start(source).date()),
        )
        await self._send(source, "RebuildDay", request)

    async def _again(self, source: random.Random) -> None:
        if self._sent:
            method, request = source.choice(self._sent)
            await self.recorder.call(method, request)

    async def _copies(self, source: random.Random) -> None:
        """Books, and cancels, each with three copies of the call at once."""
        booking_id = _uuid(source)
        create = booking_pb2.CreateBookingRequest(
            **self._header(source),
            booking_id=booking_id,
            items=[booking_pb2.BookingItem(resource_id=source.choice(ROOMS))],
            event_type_id="session",
            start_time=stamp(self._start(source)),
            duration=length(4 * QUARTER),
            booker=booking_pb2.Booker(booker_id="in a hurry"),
        )
        cancel = booking_pb2.CancelBookingRequest(**self._header(source), booking_id=booking_id)
        await self._copied("CreateBooking", create)
        await self._copied("CancelBooking", cancel)

    async def _copied(self, method: str, request: Any) -> None:
        await asyncio.gather(*(self.recorder.call(method, request) for _ in range(3)))

    async def _read(self, source: random.Random) -> None:
        if booking_id := self._some(source):
            request = booking_pb2.GetBookingRequest(
                organization_id=self.scene.organization_id, booking_id=booking_id
            )
            await self.recorder.call("GetBooking", request)
        # What a server has read it remembers, and decides by while others change it.
        first = at(0).date()
        days = availability_pb2.GetDaysRequest(
            organization_id=self.scene.organization_id,
            resource_ids=ROOMS,
            first_date=civil(first),
            last_date=civil(first + timedelta(days=_DAYS_READ)),
        )
        await self.recorder.call("GetDays", days)

    async def _wait(self, source: random.Random) -> None:
        self.scene.clock.advance(timedelta(minutes=source.choice([0, 1, 3, 9])))

    async def _send(self, source: random.Random, method: str, request: Any) -> Outcome:
        self._sent.append((method, request))
        while True:
            impatient = source.random() < self.manners.gives_up
            outcome = await self.recorder.call(
                method, request, give_up_after=source.uniform(0.001, 0.03) if impatient else None
            )
            if not isinstance(outcome, Lost) or source.random() >= self.manners.asks_again:
                return outcome

    def _header(self, source: random.Random) -> dict[str, Any]:
        return {"organization_id": self.scene.organization_id, "request_id": _uuid(source)}

    def _start(self, source: random.Random) -> datetime:
        now = self.scene.clock.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        passed = -(-(now - midnight) // QUARTER)
        return midnight + (passed + source.randrange(1, _QUARTERS)) * QUARTER

    def _some(self, source: random.Random) -> str:
        """A booking: often one of the newest, about which others quarrel, too."""
        if not self._known:
            return ""
        if source.random() < 0.5:
            return self._known[-1 - source.randrange(min(_HOT, len(self._known)))]
        return source.choice(self._known)


def _uuid(source: random.Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))
