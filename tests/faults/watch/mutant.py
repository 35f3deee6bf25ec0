"""Presences that are broken on purpose: each breaks one thing that the real one takes care of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from services.presence.app.mirror import HoldTopic, HoldUpdate
from services.presence.app.sweep import SweepHolds
from services.presence.domain.hold import ResourceName
from services.presence.rpc.view import PresenceView
from services.presence.storage import script
from services.presence.storage.log import RedisHoldLog
from shared.runtime.watch import serve_watch


def drops_changes(patch: pytest.MonkeyPatch) -> None:
    """Tells nobody of every fourth change."""
    real, told = HoldTopic.publish, [0]

    def publish(self: HoldTopic, update: HoldUpdate) -> None:
        told[0] += 1
        if told[0] % 4:
            real(self, update)

    patch.setattr(HoldTopic, "publish", publish)


def doubles_changes(patch: pytest.MonkeyPatch) -> None:
    """Tells every change twice, and forgets what was told."""
    real = HoldTopic.publish

    def publish(self: HoldTopic, update: HoldUpdate) -> None:
        real(self, update)
        real(self, update)

    patch.setattr(HoldTopic, "publish", publish)
    _forget_what_was_told(patch)


def reorders_changes(patch: pytest.MonkeyPatch) -> None:
    """Tells every second change before the one that came before it."""
    real = HoldTopic.publish
    kept: dict[ResourceName, HoldUpdate] = {}

    def publish(self: HoldTopic, update: HoldUpdate) -> None:
        earlier = kept.pop(self.key, None)
        if earlier is None:
            kept[self.key] = update
            return
        real(self, update)
        real(self, earlier)

    patch.setattr(HoldTopic, "publish", publish)
    _forget_what_was_told(patch)


def splits_batches(patch: pytest.MonkeyPatch) -> None:
    """Tells what one call changed one hold after the other."""
    real = HoldTopic.publish

    def publish(self: HoldTopic, update: HoldUpdate) -> None:
        for change in update.changes:
            real(self, replace(update, changes=[change], encoded={}))

    patch.setattr(HoldTopic, "publish", publish)
    _forget_what_was_told(patch)


def _forget_what_was_told(patch: pytest.MonkeyPatch) -> None:
    real = PresenceView.changed

    def changed(self: PresenceView, resource: ResourceName, update: HoldUpdate, /) -> bytes | None:
        seen = self._seen[resource]
        self._seen[resource] = seen._replace(
            revision=min(seen.revision, update.position.revision - 1)
        )
        return real(self, resource, update)

    patch.setattr(PresenceView, "changed", changed)


def resumes_too_far_on(patch: pytest.MonkeyPatch) -> None:
    """Skips the first change after a token."""
    real = RedisHoldLog.since

    async def since(self: RedisHoldLog, revisions: Mapping[ResourceName, int]) -> Any:
        found = await real(self, revisions)
        return {
            name: replace(history, changes=history.changes and list(history.changes)[1:])
            for name, history in found.items()
        }

    patch.setattr(RedisHoldLog, "since", since)


def loses_silently(patch: pytest.MonkeyPatch) -> None:
    """Tells the state after a loss as if a slow reader had missed something."""
    real = PresenceView.retold

    def retold(self: PresenceView, resources: Any, /, *, is_reset: bool) -> bytes:
        del is_reset
        return real(self, resources, is_reset=False)

    patch.setattr(PresenceView, "retold", retold)


def sends_no_bookmarks(patch: pytest.MonkeyPatch) -> None:
    """Is silent for as long as nothing changes."""
    defaults = serve_watch.__kwdefaults__
    assert defaults is not None
    patch.setitem(defaults, "bookmark_seconds", 60.0)


def grants_to_everybody(patch: pytest.MonkeyPatch) -> None:
    """Asks for no other's hold."""
    _rewrite(patch, "keep", "rule == 'exclusive'", "rule == 'nobody'")


def sweeps_too_early(patch: pytest.MonkeyPatch) -> None:
    """Ends what would live a quarter of a second longer."""
    _rewrite(patch, "sweep", "if expiry < now then", "if expiry - 250000 < now then")


def sweeps_nothing(patch: pytest.MonkeyPatch) -> None:
    """Leaves what expired to whoever meets it."""

    async def nothing(self: SweepHolds) -> None:
        del self

    patch.setattr(SweepHolds, "__call__", nothing)


def ends_twice(patch: pytest.MonkeyPatch) -> None:
    """Announces an end, and leaves the hold where it was: the next sweep finds it, too."""
    ended = (
        "  redis.call('HDEL', holds_of(name), field)\n"
        "  redis.call('ZREM', due, name .. '\\n' .. field)\n"
    )
    _rewrite(patch, "sweep", ended, "")


def settles_what_came_later(patch: pytest.MonkeyPatch) -> None:
    """Ends holds that were taken after the commit."""
    _rewrite(patch, "settle", "tonumber(committed)", "math.huge")


def _rewrite(patch: pytest.MonkeyPatch, name: str, old: str, new: str) -> None:
    """Has one script run with another text."""
    real = script.Script.load.__func__  # type: ignore[attr-defined]  # a class method's own

    def load(cls: type[script.Script], asked: str) -> script.Script:
        if asked != name:
            found: script.Script = real(cls, asked)
            return found
        return _changed(real(cls, asked), old, new)

    patch.setattr(script.Script, "load", classmethod(load))


def _changed(found: script.Script, old: str, new: str) -> script.Script:
    assert old in found.source
    source = found.source.replace(old, new)
    return script.Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
