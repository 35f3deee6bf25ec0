"""What one watcher sees of the holds of its resources, as encoded messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

from holdfast.common.v1 import watch_pb2
from holdfast.presence.v1 import presence_pb2
from services.presence.app.mirror import HoldTopic, HoldUpdate
from services.presence.app.watch import Beginning, Resumption
from services.presence.domain.change import Position, told
from services.presence.domain.hold import ResourceName, touches
from services.presence.rpc.encode import resource_changes, resource_state
from shared.runtime.resume import ResumeTokens
from shared.runtime.wire import bytes_field, integer_field

Covered = Callable[[HoldTopic], Position]

_Response = presence_pb2.WatchPresenceResponse
_EVENT: Final = _Response.EVENT_FIELD_NUMBER
_RESOURCES: Final = _Response.RESOURCES_FIELD_NUMBER
_TOKEN: Final = _Response.RESUME_TOKEN_FIELD_NUMBER
_AFTER: Final = presence_pb2.ResourcePresence.AFTER_REVISION_FIELD_NUMBER

_SNAPSHOT: Final = integer_field(_EVENT, watch_pb2.WATCH_EVENT_SNAPSHOT)
_CHANGES: Final = integer_field(_EVENT, watch_pb2.WATCH_EVENT_CHANGES)
_RESET: Final = integer_field(_EVENT, watch_pb2.WATCH_EVENT_RESET)
_BOOKMARK: Final = integer_field(_EVENT, watch_pb2.WATCH_EVENT_BOOKMARK)

_NOWHERE: Final = Position(0, 0)
_COVER_SECONDS: Final = 1.0


class PresenceView:
    """The port of the watch kit. A watcher's own are its positions; the rest is shared."""

    def __init__(
        self, days: frozenset[int], tokens: ResumeTokens, beginning: Beginning, covered: Covered
    ) -> None:
        """Has told nothing yet.

        Args:
            days: What is watched, as day numbers.
            tokens: For the watch's request, a scope a resource in the order of the topics.
            beginning: Where the watch begins.
            covered: Up to where a topic has every change.
        """
        self._days = days
        self._tokens = tokens
        self._beginning = beginning
        self._topics = beginning.topics
        self._covered = covered
        # Up to where the watcher knows all that concerns it, and the revisions it has read.
        self._seen = {name: beginning.told.get(name, _NOWHERE) for name in beginning.topics}
        self._read = {name: position.revision for name, position in self._seen.items()}
        self._covered_at = 0.0

    def opening(self) -> Iterable[bytes]:
        """The state; to a watch that resumes, what changed, and the state where that is lost."""
        beginning = self._beginning
        changes = [
            body
            for name, resumption in beginning.resumed.items()
            if (body := self._resumption(name, resumption)) is not None
        ]
        if changes:
            self._cover()
            yield self._message(_CHANGES, changes)
        others = [name for name in self._topics if name not in beginning.resumed]
        if others:
            yield self.retold(others, is_reset=bool(beginning.told))
        elif not changes:
            yield self.bookmark()

    def changed(self, resource: ResourceName, update: HoldUpdate, /) -> bytes | None:
        """One change, or None where it touches no watched day or was told already."""
        seen, position = self._seen[resource], update.position
        if position.epoch != seen.epoch or position <= seen:
            return None
        self._seen[resource] = position
        body = self._encoded_update(resource, update)
        if body is None:
            return None
        after, self._read[resource] = self._read[resource], position.revision
        self._cover_now_and_then()
        # Whoever watches the same and was told the same shares the message, token included.
        shared = (self._tokens.digest, after, *self._seen.values())
        message: bytes | None = update.encoded.get(shared)
        if message is None:
            body += integer_field(_AFTER, after)
            message = update.encoded[shared] = self._message(_CHANGES, [body])
        return message

    def retold(self, resources: Collection[ResourceName], /, *, is_reset: bool) -> bytes:
        """The live holds of some resources, in the order asked."""
        bodies = []
        for name in self._topics:
            if name in resources:
                topic = self._topics[name]
                self._seen[name] = topic.position
                self._read[name] = topic.position.revision
                bodies.append(self._encoded_state(topic))
        self._cover()
        return self._message(_RESET if is_reset else _SNAPSHOT, bodies)

    def bookmark(self) -> bytes:
        """How far the watcher has been told."""
        self._cover()
        return self._message(_BOOKMARK, [])

    def _resumption(self, name: ResourceName, resumption: Resumption) -> bytes | None:
        self._seen[name] = resumption.position
        found = told(resumption.changes, self._days)
        if not (found.holds or found.ended):
            return None
        encoded = resource_changes(name.resource_id, resumption.position.revision, found)
        return self._after(name, resumption.position, encoded.SerializeToString())

    def _after(self, name: ResourceName, position: Position, body: bytes) -> bytes:
        """Puts since when a change is told behind its body."""
        after, self._read[name] = self._read[name], position.revision
        return body + integer_field(_AFTER, after)

    def _encoded_update(self, name: ResourceName, update: HoldUpdate) -> bytes | None:
        if self._days not in update.encoded:
            found = told(update.changes, self._days)
            update.encoded[self._days] = (
                resource_changes(
                    name.resource_id, update.position.revision, found
                ).SerializeToString()
                if found.holds or found.ended
                else None
            )
        body: bytes | None = update.encoded[self._days]
        return body

    def _encoded_state(self, topic: HoldTopic) -> bytes:
        if self._days not in topic.encoded:
            holds = [hold for hold in topic.holds.values() if touches(hold.span, self._days)]
            topic.encoded[self._days] = resource_state(
                topic.key.resource_id, topic.position.revision, holds
            ).SerializeToString()
        body: bytes = topic.encoded[self._days]
        return body

    def _message(self, event: bytes, resources: Iterable[bytes]) -> bytes:
        token = self._tokens.encode(self._seen.values())
        bodies = [bytes_field(_RESOURCES, resource) for resource in resources]
        return b"".join([event, *bodies, bytes_field(_TOKEN, token)])

    def _cover_now_and_then(self) -> None:
        now = time.monotonic()
        if now - self._covered_at > _COVER_SECONDS:
            self._covered_at = now
            self._cover()

    def _cover(self) -> None:
        """Moves positions past others' changes: the log forgets them, idle resources or not."""
        for name, topic in self._topics.items():
            seen = self._seen[name]
            # Else one of its own changes waits in the mailbox.
            if topic.position.epoch == seen.epoch and topic.position <= seen:
                self._seen[name] = max(seen, self._covered(topic))
