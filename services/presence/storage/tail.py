"""Reads the logs of partitions as they grow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.presence.domain.change import LogEntry
from services.presence.storage.layout import log_key, named_resource
from services.presence.storage.packed import hold_changes
from services.presence.storage.server import is_outage
from shared.runtime.failure import StoreUnavailable

_MOST_AT_ONCE: Final = 1_000


class RedisLogTail:
    """The port ``HoldTail``, over one connection of its own, since it waits on the server."""

    def __init__(self, url: str, *, patience: timedelta, wait: timedelta) -> None:
        """Connects to nothing yet.

        Args:
            url: redis://, rediss:// or unix://.
            patience: For a connection, and for an answer when its time has come.
            wait: How long the server waits for a change before it answers with none.

        Raises:
            ValueError: The URL is none of these.
        """
        seconds = patience.total_seconds()
        self._wait_milliseconds = max(1, round(wait.total_seconds() * 1000))
        self._client = Redis.from_url(
            url,
            single_connection_client=True,
            socket_timeout=seconds + wait.total_seconds(),
            socket_connect_timeout=seconds,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )

    async def read(self, revisions: Mapping[int, int]) -> list[tuple[int, LogEntry]]:
        """Returns what came after a revision of each scope, with its scope, in its order.

        Waits a moment for something to come.

        Raises:
            StoreUnavailable: The server cannot be reached.
        """
        scopes = {log_key(scope).encode(): scope for scope in revisions}
        after: dict[Any, Any] = {log_key(s): f"{revision}-0" for s, revision in revisions.items()}
        try:
            answer: Any = await self._client.xread(after, _MOST_AT_ONCE, self._wait_milliseconds)
        except (exceptions.RedisError, OSError) as error:
            if not is_outage(error):
                raise
            raise StoreUnavailable("the hold store cannot be reached") from error
        return [
            (scopes[key], _entry(number, fields))
            for key, entries in answer
            for number, fields in entries
        ]

    async def close(self) -> None:
        """Closes the connection."""
        await self._client.aclose()


def _entry(number: bytes, fields: Mapping[bytes, bytes]) -> LogEntry:
    resource = named_resource(fields[b"name"].decode())
    return LogEntry(
        int(fields[b"epoch"]),
        int(number.partition(b"-")[0]),
        resource,
        list(hold_changes(resource.resource_id, fields[b"changes"], fields.get(b"beside", b""))),
    )
