"""Bookings while the catalog is away: by what is known of it, and not past a bound."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date

import grpc
import pytest

from tests.contract.availability.conftest import Serve
from tests.contract.availability.mirror_world import CountedCatalog, eventually, scene
from tests.contract.catalog.caller import hourly, minutes
from tests.integration.catalog.database import migrated_database
from tests.stores import PostgresServer

MONDAY = date(2027, 3, 8)
STALE_SECONDS = 2.0
# Of a busy machine.
SLACK_SECONDS = 3.0


@pytest.fixture(scope="module")
def catalog_url(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database(postgres_server) as url:
        yield url


async def test_bookings_go_on_without_the_catalog_up_to_a_bound_and_again_when_it_is_back(
    serve: Serve, catalog_url: str
) -> None:
    catalog = CountedCatalog(catalog_url)
    server = catalog.served()
    running = await server.__aenter__()
    settings = {"catalog_fresh_seconds": 0.1, "catalog_stale_seconds": STALE_SECONDS}
    async with (
        scene(catalog, running.address) as here,
        serve(running.address, **settings) as caller,
    ):
        caller.organization_id = here.organization_id
        await here.owner.resource("studio-a")
        await here.owner.event_type("session")
        await here.owner.ask("Link", resource_id="studio-a", event_type_id="session")
        first, _, second, *_ = await caller.starts(MONDAY)
        # The last that is told, so that the bound begins here.
        changed = hourly("session", slot_interval=minutes(120))
        mask = {"paths": ["slot_interval"]}
        await here.owner.ask("UpdateEventType", event_type=changed, update_mask=mask)

        async def is_told() -> bool:
            return len(await caller.starts(MONDAY)) == 4

        await eventually(is_told)
        told_at = time.monotonic()
        await server.__aexit__(None, None, None)

        await caller.book(first)
        reasons: list[str] = []

        async def is_past_the_bound() -> bool:
            refusal = await caller.refused_book(first)
            reasons.append(refusal.reason)
            return refusal.code is grpc.StatusCode.UNAVAILABLE

        await eventually(is_past_the_bound)
        assert time.monotonic() - told_at < STALE_SECONDS + SLACK_SECONDS
        # Refused as taken while the offering counts, and for good once it does not.
        assert set(reasons[:-1]) <= {"SLOT_UNAVAILABLE"}
        assert (await caller.refused_book(second)).code is grpc.StatusCode.UNAVAILABLE

        async with catalog.served(running.address):

            async def answers() -> bool:
                try:
                    return len(await caller.starts(MONDAY)) == 3
                except grpc.aio.AioRpcError:
                    return False

            await eventually(answers)
            # Nothing but the first was booked meanwhile.
            await caller.book(second)
