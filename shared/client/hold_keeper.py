"""Keeps the holds of one session over one stream, for as long as there are any."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import grpc
import grpc.aio

from holdfast.presence.v1 import presence_pb2 as pb
from holdfast.presence.v1.holder_pb2 import HoldEndReason
from holdfast.presence.v1.presence_pb2_grpc import PresenceServiceStub
from shared.client.failure import HoldfastError, decode
from shared.client.hold import UNREACHABLE, Hold, HoldState, HoldStatus
from shared.client.hold_message import Call, ask, end_of, held, read, refusal
from shared.slots.quantum import Span, covering

# Of the time between two heartbeats: late enough for a slow store, early enough for another try.
_ANSWER_SHARE: Final = 0.6
_LEAVE_SECONDS: Final = 2.0
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 1.0
# A hold that one of them has ended says so with its next renewal.
_BOOKINGS_KNOWN: Final = 100
_BOOKED: Final = "BOOKED"
_RENEW_SECONDS: Final = 5.0  # until the first answer says otherwise
# A hold outlives its last heartbeat by twice the time between two.
_LIFE: Final = 2
# More than one stream keeps are refused here: there, they would end it.
_MOST_HOLDS: Final = 100
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_KEPT_FIELD: Final = re.compile(r"keep\[(\d+)\]")
# Presence cannot say yet: the catalog is away, say.
_PASSING: Final = frozenset({"DEADLINE_EXCEEDED", "OVERLOADED", "UNAVAILABLE"})
# What another stream would get, too. All else is tried again for as long as the holds live.
_FINAL: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)

_Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A hold to be released, and who waits for it."""

    until: float  # by then it has expired
    released: asyncio.Event = field(default_factory=asyncio.Event)


class HoldKeeper:
    """One session's holds. Belongs to one event loop.

    Every message renews all of them; a broken stream is replaced by another one that asks for
    all of them again, which presence grants as long as they have not expired.
    """

    def __init__(
        self,
        presence: PresenceServiceStub,
        organization_id: str,
        session: str,
        *,
        patience_seconds: float,
        known: Callable[[], None],
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        """Keeps nothing yet.

        Args:
            presence: Where.
            organization_id: For whom.
            session: The secret that owns the holds.
            patience_seconds: How long a hold may wait for its first answer.
            known: Called once the session's public holder_id is known.
            idle: Called when the last hold is over and the stream with it.
        """
        self._presence = presence
        self._organization_id = organization_id
        self._session = session
        self._patience_seconds = patience_seconds
        self._known = known
        self._idle = idle
        self._booked: list[tuple[str, Span]] = []
        self._holds: dict[_Name, Hold] = {}
        self._expiries: dict[_Name, asyncio.TimerHandle] = {}
        self._asking: set[_Name] = set()
        self._asked: list[_Name] = []
        self._leaving: dict[_Name, _Leaving] = {}
        self._wanted = asyncio.Event()
        self._renew_seconds = _RENEW_SECONDS
        self._task: asyncio.Task[None] | None = None
        self._is_nameless = False
        self.holder_id = ""

    def add(self, hold: Hold) -> None:
        """As in the port.

        Raises:
            ValueError: The session holds under this name already.
        """
        name = _name(hold)
        if name in self._holds:
            raise ValueError(f"{hold.resource_id} is held as {hold.hold_id!r} already")
        if len(self._holds) >= _MOST_HOLDS:
            hold.note_refused("TOO_MANY_HOLDS", {"limit": str(_MOST_HOLDS)})
            return
        self._holds[name] = hold
        self._expire_at(name, time.monotonic() + self._patience_seconds)
        self.moved(hold)
        self._begin()

    @property
    def is_idle(self) -> bool:
        """Whether it keeps nothing and asks nothing."""
        return self._task is None or self._task.done()

    def introduce(self) -> None:
        """Learns the session's ``holder_id``, though it holds nothing here."""
        self._is_nameless = not self.holder_id
        self._begin()

    def moved(self, hold: Hold) -> None:
        """As in the port."""
        self._asking.add(_name(hold))
        self._wanted.set()

    async def leave(self, hold: Hold) -> None:
        """As in the port."""
        name = _name(hold)
        if self._holds.get(name) is not hold:
            return
        self._drop(name)
        leaving = self._release(name)
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                await leaving.released.wait()
        except TimeoutError:  # it expires by itself
            return

    def book(self, taken: Sequence[tuple[str, Span]]) -> None:
        """Takes note that the session books this: a hold that ends by it is not lost."""
        self._booked += taken
        del self._booked[:-_BOOKINGS_KNOWN]

    def unbook(self, taken: Sequence[tuple[str, Span]]) -> None:
        """Takes note that it did not."""
        for each in taken:
            if each in self._booked:
                self._booked.remove(each)

    async def close(self) -> None:
        """Leaves every hold, whose holders are told, and ends the stream."""
        holds = list(self._holds.values())
        try:
            await asyncio.gather(*(self.leave(hold) for hold in holds))
        finally:
            for hold in holds:
                hold.note_ended(HoldStatus(HoldState.LEFT))
            if self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        failures = 0
        try:
            while self._has_work():
                try:
                    await self._talk()
                    failures = 0
                except HoldfastError as failure:
                    if failure.code in _FINAL:
                        self._refuse(failure)
                    failures += 1
                except TimeoutError:
                    failures += 1
                await asyncio.sleep(_wait_seconds(failures))
        except Exception:
            # A bug must not leave anybody waiting for an answer that never comes.
            for hold in list(self._holds.values()):
                self._end(hold, "INTERNAL")
            raise
        finally:
            self._booked.clear()
            self._task = None
            self._idle()

    def _has_work(self) -> bool:
        now = time.monotonic()
        self._leaving = {n: left for n, left in self._leaving.items() if left.until > now}
        return bool(self._holds or self._leaving or self._is_nameless)

    async def _talk(self) -> None:
        """Talks over one stream until nothing is held any more.

        Raises:
            HoldfastError: The stream broke, or was refused.
            TimeoutError: No answer came in time.
        """
        call = self._presence.HoldStream()
        # A stream that ends in a pause is replaced at once, not when the next renewal is due.
        call.add_done_callback(lambda _: self._wanted.set())
        self._asking.update(self._holds)
        is_first = True
        try:
            while self._has_work():
                await self._exchange(call, is_first=is_first)
                is_first = False
                if self._holds:
                    await self._pause()
            await call.done_writing()
        except grpc.aio.AioRpcError as error:
            raise decode(error, "presence") from error
        except asyncio.InvalidStateError:  # it had ended before it was written to
            raise await end_of(call) from None
        finally:
            call.cancel()

    async def _exchange(self, call: Call, *, is_first: bool) -> None:
        self._wanted.clear()
        request = pb.HoldStreamRequest()
        leaving, self._leaving = self._leaving, {}
        for resource_id, hold_id in leaving:
            request.leave.add(resource_id=resource_id, hold_id=hold_id)
        asking, self._asking = self._asking, set()
        self._asked = sorted(asking & self._holds.keys())
        for name in self._asked:
            ask(request, self._holds[name])
        sent_at = time.monotonic()
        try:
            async with asyncio.timeout(_ANSWER_SHARE * self._renew_seconds):
                if is_first:
                    # Asks for nothing: its answer names the holder before anybody, a view of
                    # this client least of all, can be told of that holder's holds. Alone: a
                    # write to a stream that was refused would hide why.
                    await call.write(self._introduction())
                    self._take_in(await read(call), sent_at)
                await call.write(request)
                answer = await read(call)
        except BaseException:
            # Whoever leaves still waits for an answer: the next stream brings it.
            self._leaving = leaving | self._leaving
            raise
        self._take_in(answer, sent_at)
        for left in leaving.values():
            left.released.set()

    def _introduction(self) -> pb.HoldStreamRequest:
        return pb.HoldStreamRequest(organization_id=self._organization_id, session=self._session)

    def _take_in(self, answer: pb.HoldStreamResponse, sent_at: float) -> None:
        self._renew_seconds = answer.renew_after.ToTimedelta().total_seconds()
        if answer.holder_id != self.holder_id:
            self.holder_id = answer.holder_id
            self._known()
        self._is_nameless = False
        for result in answer.results:
            name = (result.resource_id, result.hold_id)
            hold = self._holds.get(name)
            if hold is None or name in self._asking:
                continue  # left, or asked for something else meanwhile
            if result.state == pb.HOLD_STATE_HELD:
                self._expire_at(name, sent_at + _LIFE * self._renew_seconds)
                hold.note_held(held(answer.holder_id, result))
            elif result.state == pb.HOLD_STATE_ENDED:
                self._take_end(hold, HoldEndReason.Name(result.end_reason))
            else:
                self._take_refusal(hold, *refusal(result))

    def _take_refusal(self, hold: Hold, reason: str, metadata: Mapping[str, str]) -> None:
        if reason in _PASSING and (hold.was_had or hold.state is HoldState.HOLDING):
            # It may pass before the hold expires, or before the patience with it ends.
            loop = asyncio.get_running_loop()
            loop.call_later(_LONGEST_WAIT_SECONDS / 2, self._ask_again, hold)
        elif hold.note_refused(reason, metadata):
            self.moved(hold)
        else:
            self._drop(_name(hold))

    def _ask_again(self, hold: Hold) -> None:
        if self._holds.get(_name(hold)) is hold:
            self.moved(hold)

    def _take_end(self, hold: Hold, name: str) -> None:
        reason = name.removeprefix("HOLD_END_REASON_")
        if reason == _BOOKED and self._has_booked(hold):
            self._drop(_name(hold))
            hold.note_ended(HoldStatus(HoldState.LEFT, _BOOKED))
        else:
            self._end(hold, reason)

    def _has_booked(self, hold: Hold) -> bool:
        if hold.occupancy_start is None or hold.occupancy_end is None:
            return False
        time_held = covering(hold.occupancy_start, hold.occupancy_end)
        return any(
            resource_id == hold.resource_id and span.overlaps(time_held)
            for resource_id, span in self._booked
        )

    async def _pause(self) -> None:
        """Waits until something changes, or until the holds must be renewed."""
        # A little early, and not all at the same time.
        seconds = self._renew_seconds * random.uniform(0.8, 0.95)  # noqa: S311  # spreads load
        try:
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        except TimeoutError:
            return

    def _expire_at(self, name: _Name, deadline: float) -> None:
        """Takes the hold for lost then, unless an answer comes before."""
        if name in self._expiries:
            self._expiries[name].cancel()
        loop = asyncio.get_running_loop()
        wait = max(0.0, deadline - time.monotonic())
        self._expiries[name] = loop.call_later(wait, self._lose, name)

    def _lose(self, name: _Name) -> None:
        hold = self._holds[name]
        self._end(hold, UNREACHABLE)
        # Should the stream come back to life, it must not keep what its holder was told is lost.
        self._release(name)

    def _release(self, name: _Name) -> _Leaving:
        until = time.monotonic() + _LIFE * self._renew_seconds
        leaving = self._leaving[name] = self._leaving.get(name) or _Leaving(until)
        self._wanted.set()
        return leaving

    def _refuse(self, failure: HoldfastError) -> None:
        """Gives up what is at fault, else what was just asked for, else everything."""
        self._is_nameless = False
        found = [_KEPT_FIELD.match(violation.field) for violation in failure.fields]
        indexes = {int(match[1]) for match in found if match}
        named = [self._asked[index] for index in indexes if index < len(self._asked)]
        at_fault = [self._holds[name] for name in named if name in self._holds]
        unanswered = [hold for hold in self._holds.values() if not hold.is_settled]
        for hold in at_fault or unanswered or list(self._holds.values()):
            self._end(hold, failure.reason, failure.metadata)

    def _end(self, hold: Hold, reason: str, metadata: Mapping[str, str] = _NOTHING) -> None:
        self._drop(_name(hold))
        hold.note_lost(reason, metadata)

    def _drop(self, name: _Name) -> None:
        self._holds.pop(name, None)
        self._asking.discard(name)
        if expiry := self._expiries.pop(name, None):
            expiry.cancel()


def _name(hold: Hold) -> _Name:
    return hold.resource_id, hold.hold_id


def _wait_seconds(failures: int) -> float:
    if not failures:
        return 0.0
    ceiling = min(_FIRST_WAIT_SECONDS * 2 ** min(failures, 10), _LONGEST_WAIT_SECONDS)
    return random.uniform(0, ceiling)  # noqa: S311  # spreads load, hides nothing
