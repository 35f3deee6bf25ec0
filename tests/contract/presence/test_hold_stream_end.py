"""How a stream of holds ends: only a client that closes its side leaves."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
import redis.asyncio

from shared.embedded.valkey import EmbeddedValkey
from tests.contract.presence.client import (
    HOUR,
    START,
    Client,
    new_session,
    refusal,
    store_now,
    until,
)
from tests.contract.presence.conftest import Serve
from tests.contract.presence.streams import PATIENCE_SECONDS

SPAN = (START, HOUR)
ROUNDS = 20

# Holds studio-a by a stream, says when, and waits to be killed.
CLIENT = """
import asyncio, sys
import grpc
from tests.contract.presence.client import HOUR, START, Client

async def main(address, organization_id, session):
    async with grpc.aio.insecure_channel(address) as channel:
        stream = Client(channel, organization_id).hold(session)
        await stream.say({"studio-a": (START, HOUR)})
        await stream.say()
        print(stream.expires_at("studio-a").timestamp(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_client_that_closes_its_side_leaves_at_once(client: Client) -> None:
    session = new_session()
    stream = client.hold(session)
    await stream.say({f"room-{n}": SPAN for n in range(50)})

    code = await stream.half_close()

    assert code is grpc.StatusCode.OK
    assert await client.holds(*(f"room-{n}" for n in range(50))) == []


async def test_a_client_that_closes_its_side_leaves_only_what_the_stream_keeps(
    client: Client,
) -> None:
    session = new_session()
    await client.heartbeat(session, "studio-b")
    stream = client.hold(session)
    await stream.say({"studio-a": SPAN})

    await stream.half_close()

    assert await client.spans("studio-a", "studio-b") == ["studio-b 14:00-15:00"]


@pytest.fixture
async def narrow(serve: Serve) -> AsyncIterator[Client]:
    """A server of one stream at a time: the next one begins when all is done of the last."""
    async with serve(max_concurrent_streams=1) as client:
        yield client


async def test_a_cancelled_call_leaves_its_holds_to_expire(narrow: Client) -> None:
    for number in range(ROUNDS):
        stream = narrow.hold(new_session())
        await stream.say({f"room-{number}": SPAN})
        stream.call.cancel()
        await until(lambda: _has_ended(narrow))

    assert len(await narrow.holds(*(f"room-{n}" for n in range(ROUNDS)))) == ROUNDS


async def test_a_closed_channel_leaves_its_holds_to_expire(narrow: Client) -> None:
    for number in range(ROUNDS):
        async with grpc.aio.insecure_channel(narrow.address) as channel:
            stream = Client(channel, narrow.organization_id).hold(new_session())
            await stream.say({f"room-{number}": SPAN})
            # A channel that is closed ends the calls that somebody waits for, and no others.
            reading = asyncio.ensure_future(stream.call.read())
            await asyncio.sleep(0)
        await asyncio.wait([reading])
        await until(lambda: _has_ended(narrow))

    assert len(await narrow.holds(*(f"room-{n}" for n in range(ROUNDS)))) == ROUNDS


async def test_a_deadline_that_passes_leaves_its_holds_to_expire(narrow: Client) -> None:
    stream = narrow.hold(new_session(), timeout=0.5)
    await stream.say({"studio-a": SPAN})

    assert await stream.call.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    await until(lambda: _has_ended(narrow))
    assert await narrow.spans() == ["studio-a 14:00-15:00"]


async def test_a_drain_leaves_its_holds_to_expire_and_another_server_goes_on(
    client: Client, serve: Serve
) -> None:
    session = new_session()
    async with serve() as other:
        stream = Client(other.channel, client.organization_id).hold(session)
        await stream.say({"studio-a": SPAN})

    assert await stream.call.code() is grpc.StatusCode.UNAVAILABLE
    assert await client.spans() == ["studio-a 14:00-15:00"]
    assert await client.hold(session).say({"studio-a": SPAN}) == {"studio-a": "HELD"}


async def test_a_lost_store_ends_the_stream(serve: Serve, tmp_path: Path) -> None:
    with EmbeddedValkey.start(tmp_path) as valkey:
        presence = serve(redis_url=valkey.url)
        client = await presence.__aenter__()
        stream = client.hold(new_session())
        await stream.say({"studio-a": SPAN})

    refused = await refusal(stream.say())
    await presence.__aexit__(None, None, None)

    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")


async def test_a_client_that_is_killed_leaves_its_holds_to_expire(
    serve: Serve, store: redis.asyncio.Redis
) -> None:
    timeout = timedelta(seconds=1)
    async with serve(hold_timeout_seconds=timeout.total_seconds()) as client:
        for _ in range(3):
            await _killed(client, store, timeout)


@pytest.mark.timeout(60)
async def test_by_default_the_holds_of_a_killed_client_are_gone_within_eleven_seconds(
    client: Client, store: redis.asyncio.Redis
) -> None:
    await _killed(client, store, timedelta(seconds=10))


async def _killed(client: Client, store: redis.asyncio.Redis, timeout: timedelta) -> None:
    """Kills a holder; its hold is there up to the timeout, and gone one second later."""
    watch = client.watch()
    await watch.told()
    async with _holder(client) as (process, expires):
        assert await watch.told() == ["CHANGES", "studio-a 14:00-15:00"]
        process.send_signal(signal.SIGKILL)
        await process.wait()

    last_seen = expires - timeout
    while await client.holds():
        last_seen = await store_now(store)
        await asyncio.sleep(0.01)
    gone = await store_now(store)
    while (await watch.told()) != ["CHANGES", "studio-a EXPIRED"]:
        pass
    told = await store_now(store)

    # Seen until shortly before its end, whatever else this machine does.
    assert last_seen > expires - timedelta(seconds=0.5)
    assert gone > expires
    assert max(gone, told) <= expires + timedelta(seconds=1)
    watch.cancel()


@asynccontextmanager
async def _holder(client: Client) -> AsyncIterator[tuple[asyncio.subprocess.Process, datetime]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, client.address, client.organization_id, new_session(),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = await process.stdout.readline()
        yield process, datetime.fromtimestamp(float(line), UTC)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _has_ended(client: Client) -> bool:
    """Tells whether a server of one stream at a time has none."""
    stream = client.hold(new_session())
    try:
        await stream.say()
    except grpc.aio.AioRpcError:
        return False  # refused, which a client that is about to write may see in several ways
    return await stream.half_close() is grpc.StatusCode.OK


async def test_clients_that_go_away_at_any_moment_are_nobodys_bug(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(5)

    async def come_and_go(number: int) -> None:
        stream = client.hold(new_session())
        saying = asyncio.ensure_future(stream.say({f"room-{number}": SPAN}))
        await asyncio.sleep(chance.uniform(0, 0.02))
        stream.call.cancel()
        await asyncio.gather(saying, return_exceptions=True)

    for _ in range(5):
        await asyncio.gather(*(come_and_go(number) for number in range(60)))

    assert await client.hold(new_session()).say({"studio-a": SPAN}) == {"studio-a": "HELD"}
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
