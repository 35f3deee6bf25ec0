"""Watches while the store is silent, and when a server stops."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from shared.embedded.valkey import EmbeddedValkey
from tests.contract.presence.client import (
    HOUR,
    START,
    Client,
    new_session,
    refusal,
    refusal_of,
    until,
)
from tests.contract.presence.conftest import Serve
from tests.contract.presence.streams import Watching


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A store that the test may hurt."""
    with EmbeddedValkey.start(tmp_path / "valkey") as valkey:
        yield valkey


async def test_a_store_silent_for_too_long_ends_watches_and_lets_none_begin(
    serve: Serve, own_valkey: EmbeddedValkey
) -> None:
    async with serve(
        redis_url=own_valkey.url, redis_timeout_seconds=0.5, watch_patience_seconds=0.5
    ) as client:
        watches = [client.watch(), client.watch("studio-a", "studio-b")]
        for watch in watches:
            await watch.told()
        own_valkey.process.send(signal.SIGSTOP)
        try:
            ended = [await refusal(_to_the_end(watch)) for watch in watches]
            begun = await refusal(client.watch().read())
        finally:
            own_valkey.process.send(signal.SIGCONT)

        assert {r.code for r in [*ended, begun]} == {grpc.StatusCode.UNAVAILABLE}
        session = new_session()
        await until(lambda: _is_granted(client, session))

        # As its clients do: it is UNAVAILABLE until this server has heard of the store, too.
        async def is_resumed() -> bool:
            try:
                told = await client.watch(token=watches[0].token).told()
            except grpc.aio.AioRpcError as error:
                assert refusal_of(error).reason == "UNAVAILABLE"  # noqa: PT017  # else no retry
                return False
            return told == ["CHANGES", "studio-a 14:00-15:00"]

        await until(is_resumed, poll_seconds=0.05)


async def test_a_store_silent_for_a_moment_ends_no_watch(
    serve: Serve, own_valkey: EmbeddedValkey
) -> None:
    session = new_session()
    async with serve(redis_url=own_valkey.url, redis_timeout_seconds=0.5) as client:
        watch = client.watch()
        await watch.told()
        own_valkey.process.send(signal.SIGSTOP)
        try:
            assert await client.outcome(session) == "UNAVAILABLE"
        finally:
            own_valkey.process.send(signal.SIGCONT)
        await until(lambda: _is_granted(client, session))
        # Whether the one that got no answer was granted, too, is all one.
        await client.heartbeat(session, start=START + HOUR)

        await watch.until("studio-a 15:00-16:00")


async def test_an_outage_is_logged_once(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "holdfast.presence")
    with EmbeddedValkey.start(tmp_path) as valkey:
        presence = serve(
            redis_url=valkey.url, watch_patience_seconds=0.3, sweep_interval_seconds=0.02
        )
        client = await presence.__aenter__()
        watch = client.watch()
        await watch.told()
    await refusal(_to_the_end(watch))

    with EmbeddedValkey.start(tmp_path):
        session = new_session()
        await until(lambda: _is_granted(client, session))
        await presence.__aexit__(None, None, None)

    told = [r.message for r in caplog.records if r.name.startswith("holdfast.presence")]
    assert told == ["store does not answer", "store answers again"]


async def test_a_server_that_stops_tells_its_watches_to_go_elsewhere(
    client: Client, serve: Serve
) -> None:
    async with serve() as other:
        watch = Client(other.channel, client.organization_id).watch()
        await watch.told()
        reading = asyncio.ensure_future(refusal(watch.read()))

    stopped = await reading
    assert (stopped.code, stopped.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    again = client.watch(token=watch.token)
    await client.heartbeat(new_session())
    assert await again.told() == ["CHANGES", "studio-a 14:00-15:00"]


async def _to_the_end(watch: Watching) -> None:
    """Reads until the watch ends, which must be for a reason."""
    while True:
        await watch.read()


async def _is_granted(client: Client, session: str) -> bool:
    return await client.outcome(session) == "granted"
