"""Whose holds a booking ends where the rule is not known, and what it leaves alone."""

from __future__ import annotations

import grpc
import pytest
import redis.asyncio

from holdfast.catalog.v1.resource_pb2 import HOLD_POLICY_ADVISORY
from tests.contract.presence.catalog import Catalog
from tests.contract.presence.client import HOUR, START, Client, new_session, quanta
from tests.contract.presence.conftest import Serve


async def test_others_holds_stay_where_no_rule_is_known(serve: Serve, catalog: Catalog) -> None:
    catalog.know("bikes", pool=True)
    booker = new_session()
    async with serve() as knowing, serve() as begun:
        await knowing.heartbeat(booker, "bikes", hold_id="first")
        await knowing.heartbeat(booker, "bikes", hold_id="second")
        await knowing.heartbeat(new_session(), "bikes", hold_id="others")
        catalog.fails_with = grpc.StatusCode.UNAVAILABLE
        ignorant = Client(begun.channel, knowing.organization_id)

        assert await ignorant.settle(quanta("bikes"), session=booker) == 1
        assert await ignorant.settle(quanta("bikes")) == 0

        left = {hold.hold_id for hold in await knowing.holds("bikes")}
        assert left == {"second", "others"}


async def test_others_holds_stay_on_a_resource_that_is_gone(serve: Serve, catalog: Catalog) -> None:
    booker = new_session()
    async with serve() as knowing, serve() as begun:
        await knowing.heartbeat(booker)
        await knowing.heartbeat(new_session(), start=START + HOUR)
        catalog.unknown.add("studio-a")
        late = Client(begun.channel, knowing.organization_id)

        assert await late.settle(quanta(length=2 * HOUR), session=booker) == 1

        assert await knowing.spans() == ["studio-a 15:00-16:00"]


async def test_a_rule_that_is_remembered_is_known(serve: Serve, catalog: Catalog) -> None:
    async with serve(catalog_fresh_seconds=0) as client:
        await client.heartbeat(new_session())
        catalog.fails_with = grpc.StatusCode.UNAVAILABLE

        assert await client.settle(quanta(), session=new_session()) == 1


@pytest.mark.parametrize("facts", [{"pool": True}, {"hold_policy": HOLD_POLICY_ADVISORY}], ids=str)
async def test_without_a_session_nothing_is_done_on_a_pool_and_under_advice(
    client: Client, catalog: Catalog, store: redis.asyncio.Redis, facts: dict[str, int]
) -> None:
    catalog.know("studio-a", **facts)
    await client.heartbeat(new_session())
    commands: list[str] = []
    async with store.monitor() as monitor:
        assert await client.settle(quanta()) == 0
        assert await client.settle(quanta(), session=new_session()) == 0
        await store.echo("end")
        async for event in monitor.listen():
            if event["command"].startswith("ECHO"):
                break
            if client.organization_id in event["command"]:
                commands.append(event["command"].split()[0])

    assert commands == ["HGETALL", "HGETALL"]
