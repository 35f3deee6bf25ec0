"""Both streams of presence as a client sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from holdfast.common.v1 import watch_pb2
from holdfast.presence.v1 import error_reason_pb2, holder_pb2, presence_pb2

# Far more than anything takes, far less than a test may.
PATIENCE_SECONDS = 10

_Folded = dict[tuple[str, str], holder_pb2.Hold]


class Watching:
    """A watch, folded as its messages are read. Each message must fit those before it."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.holds: dict[str, _Folded] = {}
        self.revisions: dict[str, int] = {}
        self.token = b""
        self._resumed: set[str] = set()

    def follow(self, earlier: Watching) -> None:
        """Begins with what an earlier watch has, which this one resumes."""
        self.holds, self.revisions = earlier.holds, earlier.revisions
        self._resumed = set(earlier.revisions)

    async def read(self) -> presence_pb2.WatchPresenceResponse:
        """The next message, whatever it is, folded."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            message = await self.call.read()
        assert message is not grpc.aio.EOF, "the watch has ended"
        self._fold(message)
        found: presence_pb2.WatchPresenceResponse = message
        return found

    async def next(self) -> presence_pb2.WatchPresenceResponse:
        """The next message that is no bookmark."""
        while True:
            message = await self.read()
            if message.event != watch_pb2.WATCH_EVENT_BOOKMARK:
                return message

    async def told(self) -> list[str]:
        """The next message that is no bookmark, as texts.

        Its event, then for each hold "studio-a 14:00-15:00" (with "overdue"), for each that is
        gone "studio-a LEFT".
        """
        message = await self.next()
        texts = [watch_pb2.WatchEvent.Name(message.event).removeprefix("WATCH_EVENT_")]
        for resource in message.resources:
            for hold in resource.holds:
                assert hold.resource_id == resource.resource_id
                texts.append(text_of(hold))
            for ended in resource.ended:
                reason = holder_pb2.HoldEndReason.Name(ended.reason)
                texts.append(f"{resource.resource_id} {reason.removeprefix('HOLD_END_REASON_')}")
        return texts

    async def until(self, *texts: str) -> None:
        """Reads on until the folded holds are these."""
        while self.texts() != sorted(texts):
            await self.read()

    def texts(self) -> list[str]:
        """The folded holds."""
        return sorted(text_of(hold) for holds in self.holds.values() for hold in holds.values())

    def cancel(self) -> None:
        self.call.cancel()

    def _fold(self, message: presence_pb2.WatchPresenceResponse) -> None:
        assert message.resume_token
        self.token = message.resume_token
        assert len({r.resource_id for r in message.resources}) == len(message.resources)
        for resource in message.resources:
            if message.event == watch_pb2.WATCH_EVENT_CHANGES:
                self._change(resource)
            else:
                self._replace(resource)
            self._resumed.discard(resource.resource_id)
            self.revisions[resource.resource_id] = resource.revision
        assert bool(message.resources) == (message.event != watch_pb2.WATCH_EVENT_BOOKMARK)

    def _replace(self, resource: presence_pb2.ResourcePresence) -> None:
        assert (resource.after_revision, list(resource.ended)) == (0, [])
        self.holds[resource.resource_id] = {(h.holder_id, h.hold_id): h for h in resource.holds}

    def _change(self, resource: presence_pb2.ResourcePresence) -> None:
        known = self.revisions.get(resource.resource_id, 0)
        if resource.resource_id in self._resumed:
            assert resource.after_revision >= known
        else:
            assert resource.after_revision == known
        assert resource.revision > resource.after_revision
        assert resource.holds or resource.ended
        holds = self.holds.setdefault(resource.resource_id, {})
        for hold in resource.holds:
            holds[hold.holder_id, hold.hold_id] = hold
        for ended in resource.ended:
            holds.pop((ended.holder_id, ended.hold_id), None)


class Holding:
    """A stream of holds."""

    def __init__(self, call: Any, organization_id: str, session: str) -> None:
        self.call = call
        self._introduction: dict[str, Any] = {
            "organization_id": organization_id,
            "session": session,
        }
        self.answer = presence_pb2.HoldStreamResponse()

    async def say(
        self,
        keep: Mapping[str, tuple[datetime, timedelta]] | None = None,
        leave: tuple[str, ...] = (),
        **terms: Any,
    ) -> dict[str, str]:
        """Sends a message and reads its answer.

        Args:
            keep: By "resource" or "resource/hold_id", start and length.
            leave: Likewise.
            terms: Further fields of each HoldSpan.

        Returns:
            By the same names, "HELD", the reason of a refusal, or "ENDED" with why.
        """
        request = presence_pb2.HoldStreamRequest(**self._introduction)
        self._introduction = {}
        for name, (start, length) in (keep or {}).items():
            resource_id, _, hold_id = name.partition("/")
            span = request.keep.add(resource_id=resource_id, hold_id=hold_id, **terms)
            span.start_time.FromDatetime(start)
            span.duration.FromTimedelta(length)
        for name in leave:
            resource_id, _, hold_id = name.partition("/")
            request.leave.add(resource_id=resource_id, hold_id=hold_id)
        return await self.send(request)

    async def send(self, request: presence_pb2.HoldStreamRequest) -> dict[str, str]:
        """Sends a message as it is and reads its answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.call.write(request)
            return self._fared(await self.call.read())

    async def half_close(self) -> grpc.StatusCode:
        """Closes the client's side and reads to the end; returns the status."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.call.done_writing()
            assert self._fared(await self.call.read()) == {}
            assert await self.call.read() is grpc.aio.EOF
            code: grpc.StatusCode = await self.call.code()
            return code

    def expires_at(self, name: str) -> datetime:
        """When a hold of the last answer ends."""
        return self.result(name).expire_time.ToDatetime(UTC)

    def result(self, name: str) -> presence_pb2.HoldResult:
        """How a hold fares by the last answer."""
        return next(result for result in self.answer.results if _name_of(result) == name)

    def _fared(self, answer: presence_pb2.HoldStreamResponse) -> dict[str, str]:
        assert isinstance(answer, presence_pb2.HoldStreamResponse), "the stream has ended"
        self.answer = answer
        found = {_name_of(result): _state_of(result) for result in answer.results}
        assert len(found) == len(answer.results)
        return found


def text_of(hold: holder_pb2.Hold) -> str:
    """A hold as "resource HH:MM-HH:MM"."""
    start, end = (stamp.ToDatetime(UTC) for stamp in (hold.start_time, hold.end_time))
    overdue = " overdue" if hold.overdue else ""
    return f"{hold.resource_id} {start:%H:%M}-{end:%H:%M}{overdue}"


def _name_of(result: presence_pb2.HoldResult) -> str:
    return f"{result.resource_id}/{result.hold_id}" if result.hold_id else result.resource_id


def _state_of(result: presence_pb2.HoldResult) -> str:
    if result.state == presence_pb2.HOLD_STATE_REFUSED:
        return error_reason_pb2.ErrorReason.Name(result.reason).removeprefix("ERROR_REASON_")
    state = presence_pb2.HoldState.Name(result.state).removeprefix("HOLD_STATE_")
    if result.state == presence_pb2.HOLD_STATE_ENDED:
        reason = holder_pb2.HoldEndReason.Name(result.end_reason)
        return f"{state} {reason.removeprefix('HOLD_END_REASON_')}"
    return state
