"""A reader of WatchDays that holds every message against what the contract says of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import grpc

from holdfast.availability.v1 import availability_pb2
from holdfast.common.v1 import watch_pb2
from tests.contract.availability.world import (
    Caller,
    Refusal,
    civil,
    read_date,
    read_refusal,
    set_quanta,
)

# What a test waits at most for what must come.
PATIENCE = 15.0


class Key(NamedTuple):
    """Which day."""

    resource_id: str
    day: date


class Seen(NamedTuple):
    """What was told of it."""

    quanta: list[int]
    version: int


State = Mapping[Key, Seen]


@dataclass(frozen=True)
class Told:
    """One message."""

    event: str
    days: State
    order: Sequence[Key]
    after: int
    version: int
    token: bytes


class Watcher:
    """One stream, folded. Messages that break a rule of the contract end the test."""

    def __init__(self, call: Any, *, token: bytes, state: State, version: int) -> None:
        self._call = call
        self._is_resumed = bool(token)
        self.token = token
        self.state = dict(state)
        self.version = version
        self.messages: list[Told] = []

    async def next(self, seconds: float = PATIENCE) -> Told:
        """The next message, which is folded in."""
        async with asyncio.timeout(seconds):
            message = await self._call.read()
        assert message is not grpc.aio.EOF, "the stream ended"
        told = _read(message)
        self._fold(told)
        self.messages.append(told)
        return told

    async def until(self, version: int) -> None:
        """Reads until it was told of a version."""
        while self.version < version:
            await self.next()

    async def refusal(self) -> Refusal:
        """Reads until the stream ends."""
        try:
            async with asyncio.timeout(PATIENCE):
                while await self._call.read() is not grpc.aio.EOF:
                    pass
        except grpc.aio.AioRpcError as error:
            return read_refusal(error)
        raise AssertionError("the stream ended well")

    def busy(self, resource_id: str, day: date) -> list[int]:
        """The taken quanta of a day."""
        return self.state[Key(resource_id, day)].quanta

    def _fold(self, told: Told) -> None:
        assert told.token
        if told.event in {"SNAPSHOT", "RESET"}:
            assert told.after == 0
            assert not self.state or list(told.order) == list(self.state)
            assert told.event == "RESET" or told.version >= self.version
        elif told.event == "CHANGES":
            assert told.after == self.version, "a range is missing, or told twice"
            assert told.version > told.after
            assert told.days
            assert all(told.after < seen.version for seen in told.days.values())
        else:
            assert told.event == "BOOKMARK"
            assert (told.after, told.days) == (0, {})
            assert told.version >= self.version
        if told.event != "RESET":
            for key, seen in told.days.items():
                known = self.state.get(key)
                assert known is None or known.version <= seen.version, "a day went back"
        if not self.messages and not self._is_resumed:
            assert told.event == "SNAPSHOT"
        assert all(seen.version <= told.version for seen in told.days.values()), "a day is ahead"
        self.state |= told.days
        self.version, self.token = told.version, told.token


def watch_request(
    caller: Caller, resource_ids: Sequence[str], dates: Sequence[date], **fields: Any
) -> availability_pb2.WatchDaysRequest:
    """A request to watch."""
    return availability_pb2.WatchDaysRequest(
        organization_id=caller.organization_id,
        resource_ids=resource_ids,
        dates=[civil(day) for day in dates],
        **fields,
    )


@asynccontextmanager
async def watching(
    caller: Caller,
    resource_ids: Sequence[str],
    dates: Sequence[date],
    *,
    after: Watcher | None = None,
    token: bytes = b"",
) -> AsyncIterator[Watcher]:
    """Watches until the block ends.

    Args:
        caller: Who.
        resource_ids: Which resources.
        dates: Which UTC dates.
        after: The earlier watch that is resumed.
        token: Another token than that watch's newest.
    """
    given = token or (after.token if after else b"")
    request = watch_request(caller, resource_ids, dates, resume_token=given)
    call: Any = caller.availability.WatchDays(request)
    state, version = (after.state, after.version) if after else ({}, 0)
    try:
        yield Watcher(call, token=given, state=state, version=version)
    finally:
        call.cancel()


async def stored(caller: Caller, resource_ids: Sequence[str], dates: Sequence[date]) -> State:
    """What GetDays says of neighbouring dates."""
    request = availability_pb2.GetDaysRequest(
        organization_id=caller.organization_id,
        resource_ids=resource_ids,
        first_date=civil(min(dates)),
        last_date=civil(max(dates)),
    )
    days = _days((await caller.send("GetDays", request)).days)
    return {key: seen for key, seen in days.items() if key.day in dates}


def _read(message: availability_pb2.WatchDaysResponse) -> Told:
    days = _days(message.days)
    return Told(
        watch_pb2.WatchEvent.Name(message.event).removeprefix("WATCH_EVENT_"),
        days,
        list(days),
        message.after_version,
        message.version,
        message.resume_token,
    )


def _days(days: Any) -> dict[Key, Seen]:
    found = {
        Key(day.resource_id, read_date(day.date)): Seen(set_quanta(day.busy), day.version)
        for day in days
    }
    assert len(found) == len(days)
    return found
