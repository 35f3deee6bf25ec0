"""Follows one organization's catalog: resumes, with jitter, wherever the watch broke."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import Any, Final, Generic

import grpc

from holdfast.catalog.v1 import watch_pb2
from holdfast.common.v1.watch_pb2 import WATCH_EVENT_BOOKMARK, WATCH_EVENT_RESET
from shared.catalog.fold import CatalogFold, FoldedT

# Bookmarks come every 5 s at least: a stream silent for longer is none.
_SILENCE_SECONDS: Final = 8.0
_FIRST_WAIT_SECONDS: Final = 0.2
_LONGEST_WAIT_SECONDS: Final = 3.0
# For a catalog that does not know the call, or a stream that says what it must not.
_REFUSED_WAIT_SECONDS: Final = 30.0
_MOST_FAILURES: Final = 16
# Revisions begin anew, or nothing happened for seconds: what the mirror lacks by now was lost.
_ALL_TOLD: Final = frozenset({WATCH_EVENT_RESET, WATCH_EVENT_BOOKMARK})
_NEVER: Final = float("-inf")
_RESUMABLE: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        # How broken connections end calls, when no service spoke.
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)

logger = logging.getLogger("holdfast.catalog_watch")


def _ignore() -> None:
    """Is told, and does nothing."""


class CatalogFollower(Generic[FoldedT]):
    """A mirror and the watch that feeds it. Belongs to one event loop.

    Attributes:
        live_until: By the monotonic clock, until when the mirror is as new as the catalog,
            unless the stream breaks before.
        asked_version: The revision of what was answered by asking meanwhile. A mirror of an
            earlier one does not count yet: what was told must not be taken back.
        told_at: When the last message came, or of the question that opened the watch.
        used_at: When somebody last asked.
    """

    def __init__(
        self,
        organization_id: str,
        watch: Callable[[watch_pb2.WatchCatalogRequest], Any],
        make: Callable[[], FoldedT],
        *,
        idle_seconds: float,
        stale_seconds: float,
        monotonic: Callable[[], float],
        outdated: Callable[[], None] = _ignore,
        removed: Callable[[str, watch_pb2.CatalogRemovals], None] | None = None,
    ) -> None:
        """Knows nothing; ``run`` follows.

        Args:
            organization_id: Whose catalog.
            watch: The catalog's WatchCatalog.
            make: Makes an empty mirror.
            idle_seconds: After how long without a question it ends.
            stale_seconds: How long the mirror counts while nothing is told.
            monotonic: The clock of all this.
            outdated: Told whenever a stream that told something is over, and when revisions
                begin anew: answers from before must not follow upon the mirror's.
            removed: Told, for an organization, what the mirror hears is gone.
        """
        self.live_until = _NEVER
        self.asked_version = 0
        self.told_at = self.used_at = monotonic()
        self._request = watch_pb2.WatchCatalogRequest(organization_id=organization_id)
        self._watch = watch
        self._outdated = outdated
        self._removed = removed
        self._idle_seconds = idle_seconds
        self._stale_seconds = stale_seconds
        self._monotonic = monotonic
        self._fold = CatalogFold(make)
        self._decided = asyncio.Event()

    @property
    def mirror(self) -> FoldedT | None:
        """What was told; None until a whole state was."""
        return self._fold.state

    @property
    def is_live(self) -> bool:
        """Whether the mirror is as new as the catalog."""
        return self._monotonic() < self.live_until

    def kept(self) -> FoldedT | None:
        """Returns the mirror while it counts although nothing is told."""
        if self._monotonic() - self.told_at > self._stale_seconds:
            return None
        return self.mirror

    async def filled(self, patience_seconds: float) -> None:
        """Waits while it is open whether the stream tells something or fails."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await self._decided.wait()

    async def run(self) -> None:
        """Follows until nobody has asked for a while."""
        failures = 0
        while not self._is_idle():
            begun = self._monotonic()
            wait = _LONGEST_WAIT_SECONDS
            try:
                if await self._is_done_streaming():
                    return
            except grpc.aio.AioRpcError as error:
                wait = self._judged(error)
            except TimeoutError:
                logger.info("a watch of the catalog went silent")
            except Exception:  # and tried again: the mirror must not stay as it is
                logger.exception("a watch of the catalog cannot be followed")
                self._request.resume_token = b""
                wait = _REFUSED_WAIT_SECONDS
            finally:
                self._end_stream()
            failures = 0 if self._monotonic() - begun > wait else failures + 1
            ceiling = _FIRST_WAIT_SECONDS * 2 ** min(failures, _MOST_FAILURES)
            # From nothing up: a thousand watches of one server come back one by one.
            await asyncio.sleep(random.uniform(0, min(ceiling, wait)))  # noqa: S311  # spreads load

    def _end_stream(self) -> None:
        self._fold.break_off()
        self._decided.set()
        if self.live_until > _NEVER:
            self.live_until = _NEVER
            self._outdated()

    async def _is_done_streaming(self) -> bool:
        """Takes in one stream to its end; returns whether nobody asks any more."""
        self._decided.clear()
        call = self._watch(self._request)
        try:
            while not self._is_idle():
                async with asyncio.timeout(_SILENCE_SECONDS):
                    message = await call.read()
                if message is grpc.aio.EOF:
                    return False
                self._take(message)
            return True
        finally:
            call.cancel()

    def _take(self, told: watch_pb2.WatchCatalogResponse) -> None:
        if not self._fold.take(told):
            return
        if told.event == WATCH_EVENT_RESET:
            self._outdated()
        if told.event in _ALL_TOLD:
            self.asked_version = 0
        if self._removed is not None and told.HasField("removed"):
            self._removed(self._request.organization_id, told.removed)
        self._request.resume_token = told.resume_token
        self.told_at = self._monotonic()
        self.live_until = self.told_at + _SILENCE_SECONDS
        if told.version >= self.asked_version:
            self._decided.set()

    def _judged(self, error: grpc.aio.AioRpcError) -> float:
        """Returns how long to wait at most before another try."""
        code = error.code()
        if code in _RESUMABLE:
            return _LONGEST_WAIT_SECONDS
        # A token of another epoch of this code, perhaps; without one the state comes anew.
        self._request.resume_token = b""
        if code is grpc.StatusCode.INVALID_ARGUMENT and self.mirror is not None:
            return _LONGEST_WAIT_SECONDS
        logger.warning("the catalog cannot be followed", extra={"code": code.name})
        return _REFUSED_WAIT_SECONDS

    def _is_idle(self) -> bool:
        now = self._monotonic()
        if now - self.used_at <= self._idle_seconds:
            return False
        # While nothing is told, what is known may be all that there is to go on.
        return self.mirror is None or self.is_live or self.kept() is None
