"""Holds when presence, its store or the network fails. Presence is real, on a real store."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest
import redis.asyncio

from holdfast.presence.v1 import error_reason_pb2, presence_pb2
from shared.client.address import Address
from shared.client.client import Client
from shared.client.hold import Hold, HoldState
from shared.client.value import from_timestamp
from tests.contract.client.conftest import ServePresence
from tests.contract.client.fault import spoken
from tests.contract.client.proxy import Proxy, proxied
from tests.contract.client.test_holds import live, starts
from tests.contract.client.world import HOUR, NOON, soon, until

# Of the store's holds here; renewed every half of it.
TIMEOUT_SECONDS = 4


@pytest.fixture
async def network(serve_presence: ServePresence) -> AsyncIterator[Proxy]:
    async with serve_presence() as address, proxied(address) as proxy:
        yield proxy


@pytest.fixture
def direct(network: Proxy, organization_id: str) -> Client:
    """Reaches presence whatever happens to the network."""
    return Client({"presence": Address(network.target, "the test")}, organization_id)


@pytest.fixture
async def client(network: Proxy, organization_id: str) -> AsyncIterator[Client]:
    places = {"presence": Address(network.address, "the test")}
    async with Client(places, organization_id, timeout=timedelta(seconds=3)) as client:
        yield client


async def renewed(hold: Hold) -> None:
    """Waits for one more answer."""
    before = hold.expires_at
    await until(lambda: hold.expires_at != before)


async def test_a_broken_connection_costs_nothing(
    client: Client, direct: Client, network: Proxy
) -> None:
    async with direct, client.hold("studio-a", NOON, HOUR) as hold:
        await soon(hold.settled())
        for _ in range(5):
            network.cut()

            await renewed(hold)

            assert hold.state is HoldState.HELD
        assert await starts(direct) == ["12:00"]


async def test_a_broken_connection_is_replaced_before_the_next_renewal_is_due(
    client: Client, network: Proxy
) -> None:
    async with client.hold("studio-a", NOON, HOUR) as hold:
        await soon(hold.settled())
        network.cut()

        async with asyncio.timeout(TIMEOUT_SECONDS / 2 * 0.75):
            await renewed(hold)


async def test_a_connection_that_carries_nothing_is_lost_when_the_hold_must_have_expired(
    client: Client, network: Proxy
) -> None:
    async with client.hold("studio-a", NOON, HOUR) as hold:
        await soon(hold.settled())
        await renewed(hold)
        renewed_at = time.monotonic()
        network.freeze()

        found = await soon(hold.ended())

        passed = time.monotonic() - renewed_at
        assert (found.state, found.reason) == (HoldState.LOST, "EXPIRED")
        assert found.metadata == {"cause": "UNREACHABLE"}
        # Twice the time between two heartbeats after the last one that was answered.
        assert TIMEOUT_SECONDS - 1 < passed < TIMEOUT_SECONDS + 1


async def test_what_its_holder_was_told_is_lost_is_not_kept_when_the_network_is_back(
    client: Client, direct: Client, network: Proxy
) -> None:
    async with direct, client.hold("studio-a", NOON, HOUR) as lost:
        await soon(lost.settled())
        network.freeze()
        await soon(lost.ended())
        network.thaw()

        async with client.hold("studio-a", NOON + HOUR, HOUR, hold_id="next") as held:
            await soon(held.settled())

            assert held.state is HoldState.HELD
            assert await starts(direct) == ["13:00"]


async def test_a_network_that_comes_back_in_time_costs_nothing(
    client: Client, direct: Client, network: Proxy
) -> None:
    async with direct, client.hold("studio-a", NOON, HOUR) as hold:
        await soon(hold.settled())
        network.shut()
        await until(lambda: network.refused >= 3)
        network.is_open = True

        await renewed(hold)

        assert hold.state is HoldState.HELD
        assert await starts(direct) == ["12:00"]


async def test_what_was_left_elsewhere_while_the_network_was_away_is_lost_and_not_taken_again(
    client: Client, direct: Client, network: Proxy
) -> None:
    session = "s" * 22
    async with direct, client.hold("studio-a", NOON, HOUR, session=session) as hold:
        await soon(hold.settled())
        network.shut()
        request = presence_pb2.LeaveRequest(organization_id=client.organization_id, session=session)
        await direct.call(direct.presence.Leave, request)
        network.is_open = True

        found = await soon(hold.ended())

        assert (found.state, found.reason) == (HoldState.LOST, "LEFT")
        assert await live(direct) == []


async def test_presence_that_is_not_there_refuses_after_a_while(organization_id: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = Address(f"127.0.0.1:{nobody.getsockname()[1]}", "the test")
        begun = time.monotonic()
        async with (
            Client({"presence": place}, organization_id, timeout=timedelta(seconds=1)) as client,
            client.hold("studio-a", NOON, HOUR) as hold,
        ):
            found = await soon(hold.settled())

    assert (found.state, found.reason) == (HoldState.REFUSED, "UNREACHABLE")
    assert 0.9 < time.monotonic() - begun < 3


async def test_leaving_without_presence_takes_a_moment_and_no_longer(
    client: Client, network: Proxy
) -> None:
    async with client.hold("studio-a", NOON, HOUR) as hold:
        await soon(hold.settled())
        network.freeze()
        begun = time.monotonic()

    assert time.monotonic() - begun < 3
    assert hold.state is HoldState.LEFT


async def test_what_could_not_be_left_at_once_is_left_when_presence_is_back(
    client: Client, direct: Client, network: Proxy
) -> None:
    async with direct:
        async with client.hold("studio-a", NOON, HOUR) as hold:
            await soon(hold.settled())
            network.shut()
        network.is_open = True

        async with asyncio.timeout(TIMEOUT_SECONDS * 0.9):
            while await live(direct):  # noqa: ASYNC110  # the store's fact, without an event
                await asyncio.sleep(0.01)


async def test_a_presence_that_restarts_finds_the_hold_renewed(
    serve_presence: ServePresence, organization_id: str, unused_tcp_port: int
) -> None:
    place = f"127.0.0.1:{unused_tcp_port}"
    async with Client({"presence": Address(place, "the test")}, organization_id) as client:
        hold = client.hold("studio-a", NOON, HOUR)
        async with serve_presence(listen=place):
            await hold.__aenter__()
            await soon(hold.settled())
        async with serve_presence(listen=place):
            await renewed(hold)

            assert hold.state is HoldState.HELD
            assert await starts(client) == ["12:00"]
            await hold.__aexit__(None, None, None)
            assert await live(client) == []


async def test_a_store_that_forgot_everything_is_told_again(
    client: Client, direct: Client, valkey_url: str
) -> None:
    async with (
        direct,
        redis.asyncio.Redis.from_url(valkey_url) as store,
        client.hold("studio-a", NOON, HOUR) as hold,
    ):
        await soon(hold.settled())
        await store.flushall()

        await renewed(hold)

        assert hold.state is HoldState.HELD
        assert await starts(direct) == ["12:00"]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_the_store_has_what_the_holders_were_told(
    client: Client, direct: Client, network: Proxy, seed: int
) -> None:
    chance = random.Random(seed)
    # The fourth of each room overlaps nobody's but its own session's: all can be held.
    names = [(room, f"{n}") for room in ("studio-a", "studio-b") for n in range(4)]
    held: dict[tuple[str, str], Hold] = {}
    moves: list[asyncio.Task[bool]] = []

    async def leave(hold: Hold) -> None:
        await hold.__aexit__(None, None, None)

    def somewhere() -> datetime:
        return NOON + chance.randrange(40) * timedelta(minutes=15)

    async with direct, asyncio.TaskGroup() as leaving:
        for step in range(200):
            name = chance.choice(names)
            hold = held.get(name)
            if hold is None:
                held[name] = client.hold(name[0], somewhere(), HOUR, hold_id=name[1])
                await held[name].__aenter__()
            elif chance.random() < 0.5:
                leaving.create_task(leave(held.pop(name)))
                await asyncio.sleep(0)  # it has begun, and another may take its name
            else:
                moves.append(leaving.create_task(hold.move(somewhere(), HOUR)))
            if step % 20 == 10:
                network.cut()
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() / 50)  # lets the network have its turn
        for hold in held.values():
            await soon(hold.settled())
        await soon(asyncio.gather(*moves))

    async with Client(direct.addresses, direct.organization_id) as reader:
        found = {
            (h.resource_id, h.hold_id): from_timestamp(h.start_time)
            for h in await live(reader, "studio-a", "studio-b")
        }
        assert {hold.state for hold in held.values()} <= {HoldState.HELD}
        assert found == {name: hold.start for name, hold in held.items()}

        await asyncio.gather(*(leave(hold) for hold in held.values()))
        assert await live(reader, "studio-a", "studio-b") == []


@pytest.mark.parametrize(
    ("code", "is_final"),
    [
        (grpc.StatusCode.UNAVAILABLE, False),
        (grpc.StatusCode.INTERNAL, False),
        (grpc.StatusCode.CANCELLED, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, False),
        (grpc.StatusCode.UNIMPLEMENTED, True),
        (grpc.StatusCode.PERMISSION_DENIED, True),
    ],
    ids=lambda value: value.name if isinstance(value, grpc.StatusCode) else "",
)
async def test_only_what_another_try_cannot_mend_ends_a_hold_at_once(
    code: grpc.StatusCode,
    is_final: bool,  # noqa: FBT001  # a table's column
) -> None:
    streams = 0

    async def failing(requests: Any, context: Any) -> None:
        nonlocal streams
        streams += 1
        await context.abort(code, "told to")

    async with (
        spoken("presence", {"HoldStream": failing}) as place,
        Client({"presence": place}, "org", timeout=timedelta(seconds=1)) as client,
        client.hold("studio-a", NOON, HOUR) as hold,
    ):
        found = await soon(hold.settled())

    assert found.state is HoldState.REFUSED
    assert (streams == 1) is is_final
    assert found.reason == (code.name if is_final else "UNREACHABLE")


async def test_what_presence_cannot_say_yet_is_asked_again() -> None:
    asked = 0

    async def unsure(requests: Any, context: Any) -> None:
        nonlocal asked
        async for request in requests:
            answer = presence_pb2.HoldStreamResponse(holder_id="ann")
            answer.renew_after.FromSeconds(5)
            for span in request.keep:
                asked += 1
                result = answer.results.add(
                    resource_id=span.resource_id, state=presence_pb2.HOLD_STATE_REFUSED
                )
                result.reason = error_reason_pb2.ERROR_REASON_UNAVAILABLE
                if asked > 1:
                    result.state = presence_pb2.HOLD_STATE_HELD
            await context.write(answer)

    async with (
        spoken("presence", {"HoldStream": unsure}) as place,
        Client({"presence": place}, "org") as client,
        client.hold("studio-a", NOON, HOUR) as hold,
    ):
        found = await soon(hold.settled())

    assert (found.state, asked) == (HoldState.HELD, 2)
