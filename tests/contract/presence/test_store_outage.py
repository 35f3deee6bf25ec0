"""The store goes, stalls and comes back; callers come and go."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
import redis

from shared.embedded.valkey import EmbeddedValkey
from shared.runtime.failure import StartRefused
from tests.contract.presence.client import Client, new_session, refusal, until
from tests.contract.presence.conftest import Serve

PATIENCE = timedelta(seconds=0.2)


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A store that the test may hurt."""
    with EmbeddedValkey.start(tmp_path / "valkey") as valkey:
        yield valkey


async def test_calls_are_unavailable_while_the_store_is_down_and_work_again_after(
    serve: Serve, tmp_path: Path
) -> None:
    session = new_session()
    with EmbeddedValkey.start(tmp_path) as valkey:
        presence = serve(redis_url=valkey.url)
        client = await presence.__aenter__()
        await client.heartbeat(session)
    calls = [client.heartbeat(session), client.leave(session), client.holds()]

    refusals = [await refusal(call) for call in calls]
    with EmbeddedValkey.start(tmp_path):
        async with asyncio.timeout(5):
            await until(lambda: _is_granted(client, session))
        left = await client.leave(session)
        await presence.__aexit__(None, None, None)

    assert {r.code for r in refusals} == {grpc.StatusCode.UNAVAILABLE}
    assert {r.reason for r in refusals} == {"UNAVAILABLE"}
    assert left == 1


async def test_a_store_that_does_not_answer_holds_no_call_up_for_long(
    serve: Serve, own_valkey: EmbeddedValkey
) -> None:
    async with serve(
        redis_url=own_valkey.url, redis_timeout_seconds=PATIENCE.total_seconds()
    ) as client:
        session = new_session()
        await client.heartbeat(session)
        own_valkey.process.send(signal.SIGSTOP)
        try:
            async with asyncio.timeout(10 * PATIENCE.total_seconds()):
                outcomes = await asyncio.gather(
                    *(client.outcome(new_session(), f"room-{n}") for n in range(100))
                )
        finally:
            own_valkey.process.send(signal.SIGCONT)

        assert set(outcomes) == {"UNAVAILABLE"}
        await until(lambda: _is_granted(client, session))


async def test_scripts_that_the_store_forgot_are_sent_again(
    client: Client, valkey_url: str
) -> None:
    session, rooms = new_session(), [f"room-{n}" for n in range(10)]
    for room in rooms:
        await client.heartbeat(session, room)

    for call in (
        lambda: client.heartbeat(session, "room-0"),
        lambda: client.holds(*rooms),
        lambda: client.leave(session),
    ):
        with redis.Redis.from_url(valkey_url) as store:
            store.script_flush()
        answer = await call()

    assert answer == len(rooms)


async def test_callers_that_go_away_leave_the_others_their_own_answers(serve: Serve) -> None:
    chance = random.Random(3)
    async with serve(redis_connections=4) as client:
        await client.heartbeat(new_session(), "room-0")
        gone = [asyncio.ensure_future(client.holds(f"room-{number % 3}")) for number in range(300)]
        for call in gone:
            await asyncio.sleep(chance.uniform(0, 0.001))
            call.cancel()
        await asyncio.gather(*gone, return_exceptions=True)

        async with asyncio.timeout(5):
            answers = await asyncio.gather(
                *(client.spans(f"room-{number % 3}") for number in range(60))
            )

    assert any(call.cancelled() for call in gone)
    assert answers == [["room-0 14:00-15:00"], [], []] * 20


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("unix:///nowhere/valkey.sock", "the hold store cannot be reached"),
        ("redis://127.0.0.1:1", "the hold store cannot be reached"),
        ("postgres://127.0.0.1", "HOLDFAST_REDIS_URL"),
    ],
)
async def test_a_start_without_a_store_is_refused(serve: Serve, url: str, reason: str) -> None:
    with pytest.raises(StartRefused, match=reason):
        async with serve(redis_url=url):
            pass


async def _is_granted(client: Client, session: str) -> bool:
    return await client.outcome(session) == "granted"
