"""What becomes of holds, views and watches of a client that is closed while they are in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from typing import Any

import pytest

from shared.client.client import Client
from shared.client.failure import HoldfastError
from shared.client.hold import HoldState
from tests.contract.client.conftest import CountingClient, House
from tests.contract.client.test_holds import live
from tests.contract.client.world import DAY, HOUR, NOON, book, first, soon

LAST = date(2027, 3, 31)


async def _day(client: Client, begun: asyncio.Event) -> None:
    async with client.day_view("studio-a", "session", DAY, HOUR) as view:
        async for _ in view:
            begun.set()


async def _month(client: Client, begun: asyncio.Event) -> None:
    async with client.month_view("studio-a", "session", DAY, LAST, HOUR) as view:
        async for _ in view:
            begun.set()


async def _read(events: AsyncIterator[Any], begun: asyncio.Event) -> None:
    async for _ in events:
        begun.set()


async def _presence(client: Client, begun: asyncio.Event) -> None:
    await _read(client.watch_presence(["studio-a"], [DAY]), begun)


async def _days(client: Client, begun: asyncio.Event) -> None:
    await _read(client.watch_days(["studio-a"], [DAY]), begun)


async def _bookings(client: Client, begun: asyncio.Event) -> None:
    await _read(client.watch_bookings(), begun)


READERS = (_day, _month, _presence, _days, _bookings)
Reader = Callable[[Client, asyncio.Event], Awaitable[None]]


@pytest.mark.parametrize("reader", READERS)
async def test_readers_are_told_that_the_client_is_closed(house: House, reader: Reader) -> None:
    client, begun = house.client(), asyncio.Event()
    reading = asyncio.ensure_future(reader(client, begun))
    await soon(begun.wait())

    await soon(client.close())

    with pytest.raises(HoldfastError, match="the client is closed"):
        await soon(reading)


@pytest.mark.parametrize("reader", READERS)
async def test_nothing_is_begun_with_a_closed_client(house: House, reader: Reader) -> None:
    client = house.client()
    await client.close()

    with pytest.raises(HoldfastError, match="the client is closed"):
        await soon(reader(client, asyncio.Event()))


async def test_holds_of_a_closed_client_are_left(house: House, ben: CountingClient) -> None:
    client = house.client()
    async with (
        client.hold("studio-a", NOON, HOUR) as hold,
        client.hold_all(["studio-a", "studio-b"], NOON + HOUR, HOUR) as bundle,
    ):
        await soon(asyncio.gather(hold.settled(), bundle.settled()))
        waiting = asyncio.gather(hold.ended(), bundle.ended())

        await soon(client.close())

        assert [status.state for status in await soon(waiting)] == [HoldState.LEFT] * 2
        assert await soon(hold.move(NOON, HOUR)) is False
        assert await live(ben, "studio-a", "studio-b") == []


async def test_a_view_of_a_closed_client_is_stale(house: House) -> None:
    client = house.client()
    async with client.day_view("studio-a", "session", DAY, HOUR) as view:
        await soon(client.close())

        with pytest.raises(HoldfastError, match="the client is closed"):
            await first(view.__aiter__(), lambda _: False)
        assert view.picture.is_stale


async def test_a_closed_client_neither_holds_nor_calls(house: House) -> None:
    client = house.client()
    await client.live.close()  # streams that nobody uses, too
    await client.close()
    await client.close()

    with pytest.raises(HoldfastError, match="the client is closed"):
        await client.hold("studio-a", NOON, HOUR).__aenter__()
    with pytest.raises(HoldfastError, match="the client is closed"):
        await client.hold_all(["studio-a", "studio-b"], NOON, HOUR).__aenter__()
    with pytest.raises(HoldfastError, match="the client is closed"):
        await book(client, NOON)
