"""A pool with hundreds of holders: what bookings ask and tell stays cheap and small."""

from __future__ import annotations

import time

import pytest

from holdfast.presence.v1 import hold_check_pb2, holder_pb2
from tests.contract.presence.catalog import Catalog
from tests.contract.presence.client import (
    HOUR,
    START,
    Client,
    moment,
    new_session,
    quanta,
)

HOLDERS = 500
MOST = 256
# Many times what it takes, and a fraction of what listing every hold for every booking takes.
ENOUGH_SECONDS = 0.2
SMALL_BYTES = 100_000


@pytest.fixture
async def crowd(client: Client, catalog: Catalog) -> list[str]:
    """Sessions that hold one bike each, in their order, from four quarter hours on by turns."""
    catalog.know("bikes", pool=True)
    sessions = [new_session() for _ in range(HOLDERS)]
    for place, session in enumerate(sessions):
        await client.heartbeat(session, "bikes", start=START + place % 4 * HOUR / 4)
    return sessions


async def test_checks_are_cheap_and_small(client: Client, crowd: list[str]) -> None:
    booked = quanta("bikes", length=2 * HOUR)
    checks = [hold_check_pb2.HoldCheck(session=s, items=[booked]) for s in crowd[-MOST:]]
    await client.check(*checks)  # the rule is known

    began = time.process_time()
    answer = await client.check(*checks)
    seconds = time.process_time() - began

    assert seconds < ENOUGH_SECONDS
    assert answer.ByteSize() < SMALL_BYTES
    # Of the first who asks: a quarter of the 244 before it begin at each of four quarter hours.
    # It holds the first four; after those, everybody else who is still there counts.
    first = booked.first_quantum
    assert [
        (held.first_quantum - first, held.stop_quantum - first, held.units)
        for held in answer.results[0].holds
    ] == [(0, 1, 61), (1, 2, 122), (2, 3, 183), (3, 4, 244), (4, 5, 375), (5, 6, 250), (6, 7, 125)]


async def test_as_many_bookings_end_as_many_holds(client: Client, crowd: list[str]) -> None:
    request = hold_check_pb2.SettleHoldsRequest(organization_id=client.organization_id)
    now = moment((await client.check()).store_time)
    for session in crowd[:MOST]:
        told = request.settlements.add(
            session=session,
            items=[quanta("bikes", length=2 * HOUR)],
            reason=holder_pb2.HOLD_END_REASON_BOOKED,
        )
        told.commit_time.FromDatetime(now)

    assert (await client.stub.SettleHolds(request)).ended == MOST
    assert (await client.stub.SettleHolds(request)).ended == 0

    assert len(await client.holds("bikes")) == HOLDERS - MOST


async def test_a_crowd_beside_it_is_in_nobodys_way(client: Client, crowd: list[str]) -> None:
    later = quanta("bikes", start=START + 2 * HOUR)

    assert await client.counted(later, session=crowd[0]) == []
    assert await client.settle(later, session=crowd[0]) == 0
