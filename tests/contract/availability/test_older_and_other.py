"""What an older version left behind, and what another server wants at the same moment."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable

import grpc

from tests.contract.availability.conftest import Serve
from tests.contract.availability.engine import (
    MONDAY,
    NINE,
    QUARTER,
    at,
    clean,
    counters,
    items,
    move,
    size,
)
from tests.contract.availability.world import Caller, FakeCatalog, length, read_refusal


async def outcome(call: Awaitable[object]) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return read_refusal(error).reason
    return "OK"


async def test_an_id_that_two_servers_give_at_once_is_given_once(
    serve: Serve, shared_catalog: tuple[FakeCatalog, str]
) -> None:
    catalog, address = shared_catalog
    async with serve(address) as one, serve(address) as served:
        other = Caller(served.channel, one.organization_id)
        for name in ("studio-a", "studio-b"):
            catalog.offer(one.organization_id, name, slot_interval=length(QUARTER))
        found: Counter[str] = Counter()
        # In opposite orders: whoever waited for the other's id would wait for ever.
        ids = [f"id-{number}" for number in range(40)]
        found.update(
            await asyncio.gather(
                *(
                    outcome(one.book(at(n % 20, days=n // 20), booking_id=name))
                    for n, name in enumerate(ids)
                ),
                *(
                    outcome(
                        other.book(
                            at(n % 20, days=n // 20), booking_id=name, items=items("studio-b")
                        )
                    )
                    for n, name in enumerate(reversed(ids))
                ),
            )
        )
        await clean(one)

    assert found == {"OK": 40, "ID_TAKEN": 40}


async def test_what_was_booked_of_a_pool_before_there_were_counters_is_given_back(
    caller: Caller, catalog: FakeCatalog
) -> None:
    # Pools were booked like rooms: a bit of the day, and an item that says nothing of units.
    catalog.offer(caller.organization_id, "chairs", slot_interval=length(QUARTER))
    for booking_id, hour in (("old", 9), ("moved", 12)):
        await caller.book(at(hour), booking_id=booking_id, items=items("chairs"))
    catalog.offer(
        caller.organization_id,
        "chairs",
        slot_interval=length(QUARTER),
        resource={"pool": True},
    )
    await size(caller, "chairs", 3)
    await caller.book(NINE, booking_id="new", items=items(chairs=1))

    await caller.cancel("old")
    await move(caller, "moved", at(15))

    taken = (await counters(caller, "chairs"))[MONDAY]
    assert {quantum for quantum, count in enumerate(taken) if count} == {
        *range(36, 40),
        *range(60, 64),
    }
    await clean(caller)
    await caller.cancel("moved")
    await caller.cancel("new")
    assert not any((await counters(caller, "chairs"))[MONDAY])
    await clean(caller)
    await caller.book(NINE, items=items(chairs=3))
