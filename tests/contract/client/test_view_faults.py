"""Day views when a service restarts, lags or is not there. The services are real."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from shared.client.address import Address
from shared.client.day_view import DayPicture
from shared.client.failure import HoldfastError
from tests.contract.client.conftest import (
    CountingClient,
    House,
    ServeAvailability,
    ServePresence,
)
from tests.contract.client.proxy import proxied
from tests.contract.client.world import (
    DAY,
    HOUR,
    NOON,
    available,
    book,
    cancel,
    first,
    reserved,
    soon,
    until,
)


class LaggingClient(CountingClient):
    """Is answered by a server that does not hear of changes for some questions."""

    lag = 0
    old: Any = None

    async def call(self, method: Any, request: Any) -> Any:
        answer = await super().call(method, request)
        self.old = self.old or answer
        if self.lag:
            self.lag -= 1
            return self.old
        return answer


async def test_what_is_free_is_shown_without_presence_and_marked(
    serve_presence: ServePresence,
    serve_availability: ServeAvailability,
    organization_id: str,
    unused_tcp_port: int,
) -> None:
    place = f"127.0.0.1:{unused_tcp_port}"
    async with (
        serve_availability() as days,
        House(place, days, organization_id).client() as ann,
        ann.day_view("studio-a", "session", DAY, HOUR) as view,
    ):
        assert len(available(view.picture)) == 24
        assert view.picture.is_stale

        async with (
            serve_presence(listen=place),
            House(place, days, organization_id).client() as ben,
        ):
            await first(aiter(view), lambda p: not p.is_stale)
            async with ben.hold("studio-a", NOON, HOUR):
                await first(aiter(view), reserved)


async def test_without_availability_there_is_nothing_to_view(
    serve_presence: ServePresence, organization_id: str, unused_tcp_port: int
) -> None:
    place = f"127.0.0.1:{unused_tcp_port}"
    async with serve_presence() as holds, House(holds, place, organization_id).client() as ann:
        with pytest.raises(HoldfastError, match="UNAVAILABLE"):
            async with ann.day_view("studio-a", "session", DAY, HOUR):
                pass


async def test_a_restarted_availability_leaves_the_picture_and_brings_what_was_missed(
    serve_presence: ServePresence,
    serve_availability: ServeAvailability,
    organization_id: str,
    unused_tcp_port: int,
) -> None:
    place = f"127.0.0.1:{unused_tcp_port}"
    async with (
        serve_presence() as holds,
        serve_availability() as beside,
        House(holds, place, organization_id).client() as ann,
        House(holds, beside, organization_id).client() as ben,
    ):
        view = ann.day_view("studio-a", "session", DAY, HOUR)
        async with serve_availability(listen=place):
            await view.__aenter__()
            before = view.picture
        stale = await first(aiter(view), lambda p: p.is_stale)
        assert stale.slots == before.slots

        await book(ben, NOON)
        # Holds are followed all the while.
        async with ben.hold("studio-a", NOON + HOUR, HOUR):
            await first(aiter(view), reserved)
        async with serve_availability(listen=place):
            fresh = await first(aiter(view), lambda p: not p.is_stale)
            assert NOON not in available(fresh)
            await view.__aexit__(None, None, None)


async def test_broken_connections_lose_nothing(house: House) -> None:
    async with (
        proxied(house.presence) as holds,
        proxied(house.availability) as days,
        house.client(places={"presence": holds.address, "availability": days.address}) as ann,
        house.client() as ben,
        ann.day_view("studio-a", "session", DAY, HOUR) as view,
    ):
        for number in range(6):
            async with ben.hold("studio-a", NOON, HOUR):
                await first(aiter(view), lambda p: reserved(p) == [NOON])
                holds.cut()
                days.cut()
            start = NOON + (number + 1) * HOUR
            await book(ben, start)

            picture = await first(
                aiter(view),
                lambda p, start=start: start not in available(p) and not p.holds,  # type: ignore[misc]
            )

            assert NOON in available(picture)


async def test_a_server_that_lags_is_asked_again_with_pauses_until_it_knows(
    house: House, ben: CountingClient
) -> None:
    async with lagging(house) as ann, ann.day_view("studio-a", "session", DAY, HOUR) as view:
        pictures: list[DayPicture] = []

        async def look() -> None:
            async for picture in view:
                pictures.append(picture)  # noqa: PERF401  # read while it goes on

        looking = asyncio.create_task(look())
        booking_id = await book(ben, NOON)
        await until(lambda: len(ann.answered) == 2)
        ann.lag = 4
        begun = time.monotonic()
        await cancel(ben, booking_id)
        await until(lambda: len(ann.made) >= 6)
        booked = len(pictures)

        await until(lambda: NOON in available(pictures[-1]) and not pictures[-1].is_stale)

        assert 6 <= len(ann.made) <= 7
        # 25, 50, 100 and 200 ms at least between five questions.
        assert time.monotonic() - begun > 0.3
        assert booked
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def test_what_is_booked_is_not_offered_while_a_server_lags(
    house: House, ben: CountingClient
) -> None:
    async with lagging(house) as ann, ann.day_view("studio-a", "session", DAY, HOUR) as view:
        ann.lag = 3
        await book(ben, NOON)

        pictures = aiter(view)
        picture = await first(pictures, lambda p: NOON not in available(p))
        while picture.is_stale or len(ann.made) < 5:
            picture = await soon(anext(pictures))
            assert NOON not in available(picture)

    assert len(ann.made) == 5


async def test_a_slow_reader_gets_the_newest_picture_only(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with ann.day_view("studio-a", "session", DAY, HOUR) as view:
        pictures = aiter(view)
        await soon(anext(pictures))
        for number in range(10):
            async with ben.hold("studio-a", NOON + number * HOUR, HOUR) as hold:
                await soon(hold.settled())
                await until(lambda: reserved(view.picture))
            await until(lambda: not reserved(view.picture))
        async with ben.hold("studio-a", NOON, HOUR):
            await until(lambda: reserved(view.picture))

            assert reserved(await soon(anext(pictures))) == [NOON]


def lagging(house: House) -> LaggingClient:
    """A client that lags when it is told to."""
    addresses = {
        "presence": Address(house.presence, "the test"),
        "availability": Address(house.availability, "the test"),
    }
    return LaggingClient(addresses, house.organization_id)
