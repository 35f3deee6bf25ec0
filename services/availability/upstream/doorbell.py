"""Tells other replicas that days changed, and is told by them: by Redis, which may lose notices.

Nothing depends on a notice: whoever misses one finds out at the next look at the store.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from typing import Any, Final

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shared.runtime.failure import StartRefused

CHANNEL: Final = "holdfast:availability:days"

_PATIENCE_SECONDS: Final = 1.0
_LISTEN_SECONDS: Final = 5.0
_BACKOFF_SECONDS: Final = 1.0
# Notices that come within this time travel together.
_PAUSE_SECONDS: Final = 0.02
_MOST_WAITING: Final = 10_000

_TROUBLE: Final = (exceptions.RedisError, OSError)

logger = logging.getLogger("holdfast.availability.doorbell")


class Doorbell:
    """Rings at other replicas and hears them; belongs to one event loop."""

    def __init__(self, url: str) -> None:
        """Connects to nothing yet.

        Raises:
            StartRefused: The URL is none.
        """
        try:
            self._client = self._connect(url, _PATIENCE_SECONDS)
            # Silence is what a listener mostly hears.
            self._listener = self._connect(url, None)
        except ValueError as error:
            raise StartRefused(f"HOLDFAST_REDIS_URL: {error}") from error
        self._own = secrets.token_hex(4)
        self._waiting: set[str] = set()
        self._wanted = asyncio.Event()
        self._sending = _Way("sent")
        self._hearing = _Way("heard")

    def ring(self, organization_id: str) -> None:
        """Tells the others soon; never waits, never fails."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.add(organization_id)
            self._wanted.set()

    async def keep_ringing(self) -> None:
        """Sends what ``ring`` was told, until it is cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            told, self._waiting = self._waiting, set()
            try:
                await self._client.publish(CHANNEL, " ".join((self._own, *sorted(told))))
            except _TROUBLE as error:
                self._sending.fails(error)
            except Exception:
                logger.exception("notices cannot be sent")
            else:
                self._sending.works()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def keep_listening(
        self, heard: Callable[[str], None], may_have_missed: Callable[[], None]
    ) -> None:
        """Listens until it is cancelled.

        Args:
            heard: Told of each organization whose days another replica changed.
            may_have_missed: Told that notices may have been lost.
        """
        while True:
            try:
                async with self._listener.pubsub() as listening:
                    await listening.subscribe(CHANNEL)
                    await self._listen(listening, heard, may_have_missed)
            except _TROUBLE as error:
                self._hearing.fails(error)
            except Exception:
                logger.exception("notices cannot be heard")
            await asyncio.sleep(random.uniform(0.1, _BACKOFF_SECONDS))  # noqa: S311  # no secret

    async def close(self) -> None:
        """Disconnects."""
        await self._client.aclose()
        await self._listener.aclose()

    async def _listen(
        self, listening: PubSub, heard: Callable[[str], None], may_have_missed: Callable[[], None]
    ) -> None:
        is_asked = False
        while True:
            message = await listening.get_message(timeout=_LISTEN_SECONDS)
            if message is None:
                if is_asked:
                    # The connection may be gone without a word; a new one will tell.
                    raise exceptions.TimeoutError("no answer to a ping")
                await listening.ping()
                is_asked = True
                continue
            is_asked = False
            if message["type"] == "subscribe":
                self._hearing.works()
                may_have_missed()
            elif message["type"] == "message":
                self._hear(message["data"], heard)

    def _hear(self, data: bytes, heard: Callable[[str], None]) -> None:
        sender, *told = data.decode("ascii", "replace").split(" ")
        if sender != self._own:
            for organization_id in told:
                heard(organization_id)

    @staticmethod
    def _connect(url: str, seconds: float | None) -> Redis:
        options: dict[str, Any] = {
            "socket_timeout": seconds,
            "socket_connect_timeout": _PATIENCE_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        return Redis.from_url(url, **options)


class _Way:
    """One way that notices go, and whether they do: an outage is logged once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._works = True

    def works(self) -> None:
        if not self._works:
            self._works = True
            logger.info("notices travel again", extra={"way": self._name})

    def fails(self, error: Exception) -> None:
        if self._works:
            self._works = False
            logger.warning(
                "no notices: looking only", extra={"way": self._name, "cause": str(error)}
            )
