"""Notices between servers: heard at once, never by the sender, and again after an outage."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from services.availability.upstream import doorbell
from services.availability.upstream.doorbell import CHANNEL, Doorbell
from shared.embedded.valkey import EmbeddedValkey
from shared.runtime.background import running
from shared.runtime.failure import StartRefused

PATIENCE = 15.0


class Ears:
    """What a server heard, in order; "?" where it may have missed something."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[str] = asyncio.Queue()

    def hear(self, organization_id: str) -> None:
        self.heard.put_nowait(organization_id)

    def doubt(self) -> None:
        self.heard.put_nowait("?")

    def so_far(self) -> list[str]:
        return [self.heard.get_nowait() for _ in range(self.heard.qsize())]

    async def next(self, count: int = 1) -> list[str]:
        async with asyncio.timeout(PATIENCE):
            return [await self.heard.get() for _ in range(count)]


@asynccontextmanager
async def hanging(url: str) -> AsyncIterator[tuple[Doorbell, Ears]]:
    """A doorbell in use by a server."""
    bell, ears = Doorbell(url), Ears()
    try:
        async with running(bell.keep_ringing(), bell.keep_listening(ears.hear, ears.doubt)):
            yield bell, ears
    finally:
        await bell.close()


async def test_others_hear_it_and_the_ringer_does_not(valkey_url: str) -> None:
    async with hanging(valkey_url) as (one, ones), hanging(valkey_url) as (other, others):
        assert await ones.next() + await others.next() == ["?", "?"]

        one.ring("org-a")
        first = await others.next()
        other.ring("org-b")
        answer = await ones.next()

    assert (first, answer) == (["org-a"], ["org-b"])
    assert ones.heard.empty()
    assert others.heard.empty()


async def test_many_rings_at_once_travel_together(valkey_url: str) -> None:
    async with hanging(valkey_url) as (one, _), hanging(valkey_url) as (_, others):
        await others.next()
        for number in range(1_000):
            one.ring(f"org-{number % 10}")

        found = await others.next(10)
        one.ring("last")
        after = await others.next()

    assert sorted(found) == [f"org-{number}" for number in range(10)]
    assert after == ["last"]


async def test_nonsense_on_the_channel_is_survived(valkey_url: str) -> None:
    async with hanging(valkey_url) as (one, _), hanging(valkey_url) as (_, others):
        await others.next()
        async with Redis.from_url(valkey_url) as stranger:
            for nonsense in (b"", b"\xff\xfe", b"alone", b"a" * 100_000, b"x \xff\0"):
                await stranger.publish(CHANNEL, nonsense)
        one.ring("org-a")

        async with asyncio.timeout(PATIENCE):
            while await others.heard.get() != "org-a":
                pass


async def test_after_a_restart_it_tells_that_notices_may_be_lost_and_works_again(
    data_folder: Path,
) -> None:
    async with AsyncExitStack() as stack:
        with EmbeddedValkey.start(data_folder / "valkey") as server:
            one, ones = await stack.enter_async_context(hanging(server.url))
            _, others = await stack.enter_async_context(hanging(server.url))
            assert await ones.next() + await others.next() == ["?", "?"]
            os.kill(server.process.pid, signal.SIGKILL)
        for number in range(20_000):
            one.ring(f"org-{number}")

        with EmbeddedValkey.start(data_folder / "valkey") as again:
            assert again.url == server.url
            assert await ones.next() + await others.next() == ["?", "?"]
            async with asyncio.timeout(PATIENCE):
                while "again" not in others.so_far():
                    one.ring("again")  # the ringer may find it later than the listener
                    await asyncio.sleep(0.02)


async def test_a_server_that_hangs_is_noticed_and_logged_once_each_way(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(doorbell, "_LISTEN_SECONDS", 0.2)
    monkeypatch.setattr(doorbell, "_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(doorbell, "_BACKOFF_SECONDS", 0.1)
    with EmbeddedValkey.start(data_folder / "valkey") as server:
        async with hanging(server.url) as (one, ones):
            assert await ones.next() == ["?"]
            os.kill(server.process.pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(PATIENCE):
                    while len(warnings_in(caplog)) < 2:
                        begun = asyncio.get_running_loop().time()
                        one.ring("org-a")
                        assert asyncio.get_running_loop().time() - begun < 0.1
                        await asyncio.sleep(0.02)
                # Some more failures, each way, of which nothing is said.
                for _ in range(20):
                    one.ring("org-a")
                    await asyncio.sleep(0.05)
                assert sorted(warnings_in(caplog)) == ["heard", "sent"]
            finally:
                os.kill(server.process.pid, signal.SIGCONT)

            assert await ones.next() == ["?"]


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(record)["way"] for record in caplog.records if record.levelno == logging.WARNING]


def test_what_is_no_address_stops_the_start() -> None:
    with pytest.raises(StartRefused, match="HOLDFAST_REDIS_URL"):
        Doorbell("http://somewhere")
