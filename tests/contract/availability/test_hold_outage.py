"""Presence may be away, silent or not there at all: bookings go on, and a metric counts them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from holdfast.presence.v1.hold_check_pb2 import CheckHoldsResponse, HoldCheckResult
from tests.contract.availability.conftest import Serve
from tests.contract.availability.engine import NINE, QUARTER
from tests.contract.availability.holding import (
    babbling_presence,
    counts,
    free_port,
    presence_of,
    running_presence,
    silent_presence,
)
from tests.contract.availability.world import HOUR, Caller, FakeCatalog, length
from tests.contract.presence.catalog import running_catalog
from tests.contract.presence.client import Client, new_session
from tests.stores import ValkeyServer

CHECKS = "holdfast_hold_checks"


class Desk:
    """Somebody who books one free hour after the other."""

    def __init__(self, caller: Caller, catalog: FakeCatalog, metrics_port: int) -> None:
        self.caller = caller
        self._catalog = catalog
        self._metrics_port = metrics_port
        self._made = 0
        catalog.offer(caller.organization_id, slot_interval=length(QUARTER))

    def elsewhere(self) -> Desk:
        """The same server, and another organization."""
        return Desk(self.caller.elsewhere(), self._catalog, self._metrics_port)

    async def book(self) -> None:
        await self.caller.book(NINE + self._made * HOUR)
        self._made += 1

    async def checks(self) -> dict[str, float]:
        return await counts(self._metrics_port, CHECKS)


@pytest.fixture
def open_desk(serve: Serve, shared_catalog: tuple[FakeCatalog, str]) -> Any:
    """``open_desk(presence_address, **settings)``: beside an availability of its own."""

    @asynccontextmanager
    async def opened(presence_address: str, **changes: Any) -> AsyncIterator[Desk]:
        port = free_port()
        settings = {
            "presence_address": presence_address,
            "metrics_listen": f"127.0.0.1:{port}",
        } | changes
        async with serve(shared_catalog[1], **settings) as caller:
            yield Desk(caller, shared_catalog[0], port)

    return opened


async def test_without_a_presence_nothing_is_checked_and_the_log_says_so(
    open_desk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "holdfast.availability.holds"):
        async with open_desk("") as desk:
            await desk.book()
            found = await desk.checks()

    assert found == {"off": 1}
    assert "no presence is named: bookings are not checked against holds" in caplog.messages


async def test_while_presence_is_down_bookings_go_on(
    open_desk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "holdfast.availability.holds"):
        async with open_desk(f"127.0.0.1:{free_port()}", hold_check_milliseconds=1000) as desk:
            await desk.book()
            await desk.book()
            found = await desk.checks()

    assert found == {"unavailable": 2}
    assert caplog.messages.count("holds are not checked") == 1


async def test_once_presence_is_there_bookings_are_checked(
    open_desk: Any, valkey_server: ValkeyServer
) -> None:
    port = free_port()
    async with (
        open_desk(f"127.0.0.1:{port}", hold_check_milliseconds=1000) as desk,
        running_presence(valkey_server.url) as (other, catalog),
        running_catalog(catalog) as address,
    ):
        await desk.book()
        holder = Client(other.channel, desk.caller.organization_id)
        await holder.heartbeat(new_session(), start=NINE + 200 * HOUR)
        async with presence_of(valkey_server.url, address, listen=f"127.0.0.1:{port}"):
            async with asyncio.timeout(10):
                while "answered" not in await desk.checks():
                    await desk.book()

            refusal = await desk.caller.refused_book(NINE + 200 * HOUR)

    assert refusal.reason == "SLOT_HELD"


async def test_a_silent_presence_is_waited_for_and_after_five_times_left_alone(
    open_desk: Any,
) -> None:
    asked: asyncio.Queue[int] = asyncio.Queue()
    async with silent_presence(asked) as address, open_desk(address) as desk:
        loop = asyncio.get_running_loop()
        for _ in range(5):
            began = loop.time()
            await desk.book()
            assert loop.time() - began >= 0.045
        before = asked.qsize()
        await desk.book()
        during = asked.qsize()
        paused = await desk.checks()
        # The pause is over after a second; then one question without an answer begins the next.
        async with asyncio.timeout(10):
            while asked.qsize() == during:
                await desk.book()
        again = await desk.checks()
        await desk.book()
        last = await desk.checks()

    assert (before, during) == (5, 5)
    assert paused == {"timeout": 5, "paused": 1}
    assert again["timeout"] == 6
    assert last["timeout"] == 6
    assert last["paused"] == again["paused"] + 1


async def test_a_pause_is_of_one_organization(open_desk: Any) -> None:
    asked: asyncio.Queue[int] = asyncio.Queue()
    async with silent_presence(asked) as address, open_desk(address) as desk:
        for _ in range(5):
            await desk.book()
        other = desk.elsewhere()
        await other.book()
        found = await desk.checks()

    assert found == {"timeout": 6}


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (
            CheckHoldsResponse(
                results=[HoldCheckResult()], store_time=Timestamp(seconds=2**62)
            ).SerializeToString(),
            "ValueError",
        ),
        (b"\xff\xff\xff\xff", "not every check was answered"),
        (b"", "not every check was answered"),
    ],
)
async def test_what_is_no_answer_is_counted_and_lets_bookings_past(
    open_desk: Any, caplog: pytest.LogCaptureFixture, answer: bytes, cause: str
) -> None:
    # Each booking asks once for holds, and its settlement for the time.
    with caplog.at_level(logging.WARNING, "holdfast.availability.holds"):
        async with (
            babbling_presence(*[answer] * 20) as address,
            open_desk(address, hold_check_milliseconds=1000) as desk,
        ):
            await desk.book()
            await desk.book()
            found = await desk.checks()

    told = [vars(r)["cause"] for r in caplog.records if r.message == "holds are not checked"]
    assert found == {"refused": 2}
    assert told == [cause]


async def test_bookings_at_once_wait_together(open_desk: Any) -> None:
    asked: asyncio.Queue[int] = asyncio.Queue()
    async with silent_presence(asked) as address, open_desk(address) as desk:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(desk.caller.book(NINE + n * HOUR) for n in range(20)))
        took = loop.time() - began
        found = await desk.checks()

    assert sum(found.values()) == 20
    assert took < 20 * 0.05
