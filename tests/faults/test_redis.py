"""The Redis that presence keeps holds in is killed, or answers slowly: bookings do not mind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import grpc
import pytest

from holdfast.common.v1 import watch_pb2
from shared.client.address import Address
from shared.client.client import Client as Sdk
from shared.client.hold import HoldState
from tests.contract.availability.engine import MONDAY, NINE
from tests.contract.availability.world import HOUR
from tests.contract.presence.client import until
from tests.faults.redis_stage import WAITS, Stage, Store, slowed, staged

BACK_SECONDS = 6
SLOWER_SECONDS = 0.06
_ROUNDS = 3
_TURNS = 25


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that the test may hurt."""
    store = Store(tmp_path / "valkey")
    yield store
    store.valkey.stop()


async def test_redis_killed_bookings_go_on_watches_reset_and_holds_come_back(
    faults_url: str, store: Store
) -> None:
    async with staged(faults_url, store.valkey.url) as stage:
        places = {"presence": Address(stage.presence.address, "the test")}
        async with (
            Sdk(places, stage.presence.organization_id) as holder,
            holder.hold("studio-a", NINE, HOUR) as hold,
        ):
            await hold.settled()
            watch = stage.presence.watch(dates=(MONDAY,))
            await watch.told()
            token = watch.token
            watch.cancel()
            await stage.book()

            store.kill()
            for _ in range(20):
                await stage.book()
            unchecked = await stage.checks()

            store.restart()
            begin = time.monotonic()
            await until(lambda: _is_held(stage), poll_seconds=0.05)
            back = time.monotonic() - begin
            state = hold.state
            told = await _first_of_resumed(stage, token)

    assert unchecked.total() == 21
    assert unchecked.pop("answered") == 1
    assert set(unchecked) <= {"unavailable", "timeout", "paused"}
    assert back <= BACK_SECONDS
    assert state is HoldState.HELD
    assert told == watch_pb2.WATCH_EVENT_RESET


async def test_redis_slow_keeps_bookings_up_for_the_check_s_time_at_most(
    faults_url: str, tmp_path: Path
) -> None:
    found = await slowed(faults_url, tmp_path, rounds=_ROUNDS, turns=_TURNS)

    # Most often the first five wait, and those after them find that nobody is asked.
    assert found.checks["timeout"] >= _ROUNDS * WAITS
    assert found.checks["timeout"] + found.checks["paused"] == _ROUNDS * _TURNS
    # A busy machine adds to every wait and takes from none: the quickest of those that waited
    # show how long was waited. The 99th percentile is of ``make soak``.
    usual = median(found.usual)
    firsts = [found.slow[begin : begin + WAITS] for begin in range(0, len(found.slow), _TURNS)]
    assert max(sorted(waits)[1] for waits in firsts) <= usual + SLOWER_SECONDS
    assert median(found.slow) <= usual + SLOWER_SECONDS


async def _is_held(stage: Stage) -> bool:
    try:
        return await stage.presence.spans(dates=(MONDAY,)) == ["studio-a 09:00-10:00"]
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017  # else no retry
        return False


async def _first_of_resumed(stage: Stage, token: bytes) -> int:
    """Resumes a watch; returns what its first message is."""
    while True:
        watch = stage.presence.watch(dates=(MONDAY,), token=token)
        try:
            return (await watch.read()).event
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017  # else no retry
        finally:
            watch.cancel()
