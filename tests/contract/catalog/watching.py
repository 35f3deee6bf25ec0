"""A reader of WatchCatalog that holds every message against what the contract says of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import grpc

from holdfast.catalog.v1 import watch_pb2 as pb
from holdfast.common.v1 import watch_pb2
from tests.contract.catalog.caller import Caller, Refusal, read_refusal

# What a test waits at most for what must come.
PATIENCE = 15.0
MEBIBYTE = 1024 * 1024

Name = tuple[str, ...]
State = Mapping[Name, bytes]


@dataclass(frozen=True)
class Told:
    """One message, or all the messages of one state."""

    event: str
    entries: State
    gone: frozenset[Name]
    after: int
    version: int
    token: bytes
    messages: int


class Watcher:
    """One stream, folded. Messages that break a rule of the contract end the test."""

    def __init__(self, call: Any, *, token: bytes, state: State, version: int) -> None:
        self._call = call
        self._is_resumed = bool(token)
        self.token = token
        self.state = dict(state)
        self.version = version
        self.told: list[Told] = []

    async def next(self, seconds: float = PATIENCE) -> Told:
        """The next message, which is folded in; a state is read to its end."""
        entries: dict[Name, bytes] = {}
        count = 0
        async with asyncio.timeout(seconds):
            while True:
                message = await self._call.read()
                assert message is not grpc.aio.EOF, "the stream ended"
                assert message.ByteSize() < MEBIBYTE
                count += 1
                found = entries_of(message)
                assert not entries.keys() & found.keys(), "an entry is told twice"
                entries |= found
                if not message.more:
                    break
                assert not message.resume_token
        told = Told(
            watch_pb2.WatchEvent.Name(message.event).removeprefix("WATCH_EVENT_"),
            entries,
            _gone(message.removed),
            message.after_version,
            message.version,
            message.resume_token,
            count,
        )
        self._fold(told)
        self.told.append(told)
        return told

    async def news(self) -> Told:
        """The next message that is no bookmark: one may come before, where time goes slowly."""
        while True:
            told = await self.next()
            if told.event != "BOOKMARK":
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

    def _fold(self, told: Told) -> None:
        assert told.token
        assert told.messages == 1 or told.event in {"SNAPSHOT", "RESET"}
        if not self.told and not self._is_resumed:
            assert told.event == "SNAPSHOT"
        if told.event in {"SNAPSHOT", "RESET"}:
            assert (told.after, told.gone) == (0, frozenset())
            assert told.event == "RESET" or told.version >= self.version
            self.state = dict(told.entries)
        elif told.event == "CHANGES":
            assert told.after == self.version, "a range is missing, or told twice"
            assert told.version > told.after
            assert told.entries or told.gone
            assert not told.entries.keys() & told.gone
            self.state |= told.entries
            for name in told.gone:
                self.state.pop(name, None)
        else:
            assert told.event == "BOOKMARK"
            assert (told.after, told.entries, told.gone) == (0, {}, frozenset())
            assert told.version >= self.version
        self.version, self.token = told.version, told.token


@asynccontextmanager
async def watching(
    caller: Caller, *, after: Watcher | None = None, token: bytes = b""
) -> AsyncIterator[Watcher]:
    """Watches until the block ends.

    Args:
        caller: Who.
        after: The earlier watch that is resumed.
        token: Another token than that watch's newest.
    """
    given = token or (after.token if after else b"")
    call = caller.watch(given)
    state, version = (after.state, after.version) if after else ({}, 0)
    try:
        yield Watcher(call, token=given, state=state, version=version)
    finally:
        call.cancel()


async def stored(caller: Caller) -> State:
    """What Get* and List* tell, in the form of a watch; links only of what is not deleted."""
    message = pb.WatchCatalogResponse()
    message.resources.extend(await _all(caller, "ListResources", "resources"))
    message.event_types.extend(await _all(caller, "ListEventTypes", "event_types"))
    message.schedules.extend(await _all(caller, "ListSchedules", "schedules"))
    for schedule in message.schedules:
        for override in await _all(
            caller, "ListDateOverrides", "date_overrides", schedule_id=schedule.schedule_id
        ):
            message.date_overrides.add(schedule_id=schedule.schedule_id, date_override=override)
    for event_type in message.event_types:
        key = event_type.event_type_id
        for resource in await _all(
            caller, "ListResourcesForEventType", "resources", event_type_id=key
        ):
            message.links.add(event_type_id=key, resource_id=resource.resource_id)
    return entries_of(message)


async def _all(caller: Caller, method: str, field: str, **fields: Any) -> list[Any]:
    found: list[Any] = []
    token = ""
    while True:
        answer = await caller.ask(method, page_size=1_000, page_token=token, **fields)
        found += getattr(answer, field)
        token = answer.next_page_token
        if not token:
            return found


def visible(state: State) -> State:
    """A watch's state, without the links of what is deleted."""
    return {
        name: entry
        for name, entry in state.items()
        if name[0] != "link"
        or (("event_type", name[1]) in state and ("resource", name[2]) in state)
    }


def entries_of(message: pb.WatchCatalogResponse) -> dict[Name, bytes]:
    """What a message holds, by name."""
    found: list[tuple[Name, Any]] = [
        *((("resource", one.resource_id), one) for one in message.resources),
        *((("event_type", one.event_type_id), one) for one in message.event_types),
        *((("schedule", one.schedule_id), one) for one in message.schedules),
        *((_override(one.schedule_id, one.date_override), one) for one in message.date_overrides),
        *((("link", one.event_type_id, one.resource_id), one) for one in message.links),
    ]
    by_name = {name: one.SerializeToString(deterministic=True) for name, one in found}
    assert len(by_name) == len(found), "an entry is told twice"
    return by_name


def _gone(removed: pb.CatalogRemovals) -> frozenset[Name]:
    return frozenset(
        [
            *(("resource", key) for key in removed.resource_ids),
            *(("event_type", key) for key in removed.event_type_ids),
            *(("schedule", key) for key in removed.schedule_ids),
            *(_override(one.schedule_id, one) for one in removed.dates),
            *(("link", one.event_type_id, one.resource_id) for one in removed.links),
        ]
    )


def _override(schedule_id: str, dated: Any) -> Name:
    day = dated.date
    return "date_override", schedule_id, date(day.year, day.month, day.day).isoformat()
