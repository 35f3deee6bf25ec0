"""The Redis or Valkey server: runs scripts, and says in our words when it cannot."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.presence.storage.script import ScriptCall
from shared.runtime.failure import StartRefused, StoreUnavailable
from shared.runtime.unbroken import Unbroken

OLDEST_VERSION: Final = (6, 2)

# What a server says when it is in trouble, also inside a script's error; all else is our bug.
_TROUBLE: Final = re.compile(
    r"\b(BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|OOM|READONLY|UNKILLABLE)\b"
)
_TIME: Final = "*1\r\n$4\r\nTIME\r\n"
_BUGS: Final = (exceptions.DataError, exceptions.ClusterCrossSlotError)

T = TypeVar("T")

logger = logging.getLogger("holdfast.presence.store")


class HoldServer:
    """A pool of connections; safe for concurrent use by tasks of one event loop.

    Nothing is retried here, since callers renew anyway and a retry would add to an overload.
    A connection that broke is replaced at the next call. Each method may raise
    StoreUnavailable.
    """

    def __init__(self, url: str, *, connections: int, patience: timedelta) -> None:
        """Connects to nothing yet.

        Args:
            url: redis://, rediss:// or unix://.
            connections: Most at once; further calls wait for one.
            patience: For a connection, and again for an answer.

        Raises:
            ValueError: The URL is none of these.
        """
        self._seconds = seconds = patience.total_seconds()
        self._client = Redis.from_pool(
            BlockingConnectionPool.from_url(
                url,
                max_connections=connections,
                timeout=seconds,
                socket_timeout=seconds,
                socket_connect_timeout=seconds,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        )
        self._answered = True
        self._unbroken = Unbroken()

    async def verify(self) -> None:
        """Checks that the server answers and knows what the scripts need.

        Raises:
            StartRefused: It does not.
        """
        try:
            facts = await self._asked(self._client.info("server"))
        except StoreUnavailable as error:
            raise StartRefused(f"{error}: {error.__cause__}") from error
        refuse_old(str(facts["redis_version"]))

    async def close(self) -> None:
        """Waits for the answers on their way and closes all connections."""
        await self._unbroken.finish(self._seconds)
        await self._client.aclose()

    async def run(self, call: ScriptCall) -> Any:
        """Runs a script; the first run on a server that does not know it sends its source."""
        try:
            return await self._asked(_by_digest(self._client, call))
        except exceptions.NoScriptError:
            return await self._asked(_by_source(self._client, call))

    async def run_all(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """Runs scripts in one round trip, each for itself; returns their answers in order."""
        answers = await self.run_each(calls)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def run_each(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """As ``run_all``, but what fails alone stands in place of its answer."""
        if len(calls) == 1:
            return [await self.run(calls[0])]
        pipeline = self._client.pipeline(transaction=False)
        for call in calls:
            _by_digest(pipeline, call)
        answers = await self._each(pipeline)
        unknown = [i for i, a in enumerate(answers) if isinstance(a, exceptions.NoScriptError)]
        if unknown:
            for i in unknown:
                _by_source(pipeline, calls[i])
            again = await self._each(pipeline)
            for i, answer in zip(unknown, again, strict=True):
                answers[i] = answer
        return answers

    async def members(self, keys: Sequence[str]) -> list[list[str]]:
        """Reads sorted sets in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.zrange(key, 0, -1)
        answers = await self._answers(pipeline)
        return [[member.decode() for member in answer] for answer in answers]

    async def fields(self, keys: Sequence[str], names: Sequence[str]) -> list[list[bytes | None]]:
        """Reads fields of hashes in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.hmget(key, list(names))
        return await self._answers(pipeline)

    async def hashes(self, keys: Sequence[str]) -> tuple[tuple[int, int], list[dict[bytes, bytes]]]:
        """Reads hashes in one round trip; returns what the clock said just before, too.

        Returns:
            The seconds since 1970 and the microseconds, and the hashes in order.
        """
        commands = "".join((_TIME, *map(_hgetall, keys))).encode("ascii")
        (seconds, rest), *found = await self._asked(self._raw(commands, len(keys) + 1))
        hashes = [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in found]
        return (int(seconds), int(rest)), hashes

    async def _raw(self, commands: bytes, count: int) -> list[Any]:
        """Sends commands as they travel, and returns their answers.

        For many small ones: for each of them the client's pipeline costs several times what it
        costs the server.
        """
        pool: Any = self._client.connection_pool  # its types are not told
        connection = await pool.get_connection()
        try:
            async with asyncio.timeout(self._seconds):
                await connection.send_packed_command(commands)
                return [
                    await connection.read_response(disable_decoding=True, timeout=math.inf)
                    for _ in range(count)
                ]
        except BaseException:
            # Some answers may be on their way yet: they must not be taken for others'.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)

    async def _answers(self, pipeline: Pipeline) -> list[Any]:
        answers = await self._each(pipeline)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _each(self, pipeline: Pipeline) -> list[Any]:
        answers = await self._asked(pipeline.execute(raise_on_error=False))
        for place, answer in enumerate(answers):
            if isinstance(answer, Exception) and not isinstance(answer, exceptions.NoScriptError):
                answers[place] = self._in_our_words(answer)
        return answers

    async def _asked(self, work: Awaitable[T]) -> T:
        # Shielded: a caller that goes away must not cut a connection off in mid-answer.
        try:
            answer = await self._unbroken(work)
        except (exceptions.RedisError, OSError) as error:
            if isinstance(error, exceptions.NoScriptError):
                raise
            raise self._in_our_words(error) from error
        if not self._answered:
            self._answered = True
            logger.info("store answers again")
        return answer

    def _in_our_words(self, error: Exception) -> Exception:
        if not is_outage(error):
            return error
        if self._answered:
            self._answered = False
            logger.error("store does not answer", extra={"cause": str(error)})
        failure = StoreUnavailable("the hold store cannot be reached")
        failure.__cause__ = error
        return failure


def _hgetall(key: str) -> str:
    return f"*2\r\n$7\r\nHGETALL\r\n${len(key)}\r\n{key}\r\n"


def is_outage(error: Exception) -> bool:
    """Tells trouble of the server or on the way to it from a bug of ours."""
    if isinstance(error, _BUGS):
        return False
    return type(error) is not exceptions.ResponseError or bool(_TROUBLE.search(str(error)))


def refuse_old(version: str) -> None:
    """Checks a version in Redis's numbers, which Valkey speaks too.

    Raises:
        StartRefused: The scripts need a newer one.
    """
    if tuple(map(int, version.split(".")[:2])) < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        raise StartRefused(f"the hold store has version {version}; {oldest} is the oldest")


def _by_digest(client: Redis, call: ScriptCall) -> Awaitable[Any]:
    return client.evalsha(call.script.digest, len(call.keys), *call.keys, *call.arguments)


def _by_source(client: Redis, call: ScriptCall) -> Awaitable[Any]:
    return client.eval(call.script.source, len(call.keys), *call.keys, *call.arguments)
