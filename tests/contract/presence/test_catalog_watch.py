"""What presence learns of a real catalog by its watch, and what it goes on by without it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import grpc
import pytest

from holdfast.catalog.v1.resource_pb2 import HOLD_POLICY_ADVISORY, HOLD_POLICY_EXCLUSIVE
from services.presence.domain.hold import UNKNOWN_RULE, Buffers, HoldRule, ResourceRule
from services.presence.domain.refusal import EventTypeNotFound, ResourceNotFound
from services.presence.upstream.catalog import CatalogRules
from services.presence.upstream.question import Memory
from shared.runtime.failure import StoreUnavailable
from tests.contract.availability.mirror_world import BOUND, Clock, CountedCatalog, eventually
from tests.contract.catalog.caller import Caller, hourly, minutes, room
from tests.contract.presence.client import Client, new_session, refusal
from tests.contract.presence.conftest import Serve
from tests.integration.catalog.database import migrated_database
from tests.stores import PostgresServer

MEMORY = Memory(
    fresh=timedelta(minutes=1),
    doubtful=timedelta(seconds=1),
    patience=timedelta(seconds=10),
    entries=100,
)
# An hour, of which nothing is to be kept free.
HOUR_LONG = 4


@dataclass
class Sight:
    """An organization in a catalog, and presence's view of it."""

    catalog: CountedCatalog
    address: str
    rules: CatalogRules
    owner: Caller

    @property
    def organization_id(self) -> str:
        return self.owner.organization_id

    async def rule(self, resource_id: str = "studio") -> ResourceRule | None:
        try:
            return await self.rules.ask(self.organization_id, resource_id)
        except ResourceNotFound:
            return None

    def known(self, resource_id: str = "studio") -> ResourceRule | None:
        return self.rules.known(self.organization_id, resource_id)

    async def furnish(self, **facts: Any) -> None:
        await self.owner.resource("studio", **facts)
        await self.owner.event_type("hour")
        await self.owner.ask("Link", resource_id="studio", event_type_id="hour")

    async def followed(self) -> None:
        """Waits until the watch tells."""
        await self.rule("unheard-of")
        follower = self.rules._followers[self.organization_id]

        async def is_told() -> bool:
            return follower.is_live and follower.mirror is not None

        await eventually(is_told)

    async def update(self, kind: str, message: Any, *paths: str) -> None:
        method = {"resource": "UpdateResource", "event_type": "UpdateEventType"}[kind]
        await self.owner.ask(method, **{kind: message}, update_mask={"paths": paths})


@pytest.fixture(scope="module")
def catalog_url(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database(postgres_server) as url:
        yield url


@asynccontextmanager
async def looking(
    catalog: CountedCatalog, address: str, memory: Memory = MEMORY, clock: Clock | None = None
) -> AsyncIterator[Sight]:
    async with (
        grpc.aio.insecure_channel(address) as channel,
        grpc.aio.insecure_channel(address) as owned,
    ):
        rules = CatalogRules(channel, memory, monotonic=clock or Clock())
        try:
            yield Sight(catalog, address, rules, Caller(owned))
        finally:
            await rules.close()


@pytest.fixture(scope="module")
async def shared_catalog(catalog_url: str) -> AsyncIterator[tuple[CountedCatalog, str]]:
    catalog = CountedCatalog(catalog_url)
    async with catalog.served() as server:
        yield catalog, server.address


@pytest.fixture
async def here(shared_catalog: tuple[CountedCatalog, str]) -> AsyncIterator[Sight]:
    async with looking(*shared_catalog) as sight:
        yield sight


async def seen_within_bound(change: Awaitable[object], seen: Callable[[], bool]) -> None:
    """Makes a change, which is seen without a question, in time."""

    async def is_seen() -> bool:
        return seen()

    await change
    begun = time.monotonic()
    await eventually(is_seen)
    assert time.monotonic() - begun < BOUND


async def test_a_change_of_policy_is_known_within_a_second_and_nobody_is_asked(
    here: Sight,
) -> None:
    await here.furnish()
    await here.followed()
    before = here.catalog.asked["GetResource"]
    assert here.known() == ResourceRule(HoldRule.EXCLUSIVE, HOUR_LONG)

    advisory = room("studio", hold_policy=HOLD_POLICY_ADVISORY)
    await seen_within_bound(
        here.update("resource", advisory, "hold_policy"),
        lambda: here.known() == ResourceRule(HoldRule.ADVISORY, HOUR_LONG),
    )
    exclusive = room("studio", hold_policy=HOLD_POLICY_EXCLUSIVE)
    await seen_within_bound(
        here.update("resource", exclusive, "hold_policy"),
        lambda: here.known() == ResourceRule(HoldRule.EXCLUSIVE, HOUR_LONG),
    )

    assert here.catalog.asked["GetResource"] == before


async def test_the_first_question_of_an_organization_waits_for_the_whole_answer(
    here: Sight,
) -> None:
    await here.furnish(pool=True)

    assert await here.rule() == ResourceRule(HoldRule.POOL, HOUR_LONG)


async def test_the_longest_hold_is_the_longest_active_linked_booking_with_its_buffers(
    here: Sight,
) -> None:
    await here.furnish()
    await here.owner.event_type(
        "day", duration_options=[minutes(480)], buffer_before=minutes(20), buffer_after=minutes(5)
    )
    await here.followed()

    def is_longest(quanta: int | None) -> Callable[[], bool]:
        return lambda: here.known() == ResourceRule(HoldRule.EXCLUSIVE, quanta)

    link = {"resource_id": "studio", "event_type_id": "day"}
    await seen_within_bound(here.owner.ask("Link", **link), is_longest(2 + 32 + 1))
    off = hourly("day", active=False)
    await seen_within_bound(here.update("event_type", off, "active"), is_longest(HOUR_LONG))
    await seen_within_bound(
        here.owner.ask("DeleteEventType", event_type_id="hour"), is_longest(None)
    )


async def test_a_deleted_resource_cannot_be_held_and_a_restored_one_can(here: Sight) -> None:
    await here.furnish()
    await here.followed()

    await seen_within_bound(
        here.owner.ask("DeleteResource", resource_id="studio"), lambda: here.known() is None
    )
    assert await here.rule() is None

    await seen_within_bound(
        here.owner.ask("UndeleteResource", resource_id="studio"),
        lambda: here.known() == ResourceRule(HoldRule.EXCLUSIVE, HOUR_LONG),
    )


async def test_what_was_just_made_can_be_held_before_the_watch_tells(here: Sight) -> None:
    await here.followed()
    here.catalog.tells.clear()
    try:
        await here.furnish(pool=True)

        assert await here.rule() == ResourceRule(HoldRule.POOL, None)
        assert await here.rules.buffers(here.organization_id, "hour") == Buffers(
            timedelta(0), timedelta(0)
        )
        assert await here.rules.booked_by(here.organization_id, "hour") == ("studio",)
    finally:
        here.catalog.tells.set()


async def test_an_answer_from_before_a_deletion_does_not_outlive_it(
    shared_catalog: tuple[CountedCatalog, str],
) -> None:
    catalog, address = shared_catalog
    impatient = replace(MEMORY, patience=timedelta(seconds=0.5))
    async with looking(catalog, address, impatient) as here:
        await here.furnish()
        catalog.tells.clear()
        try:
            assert await here.rule() == ResourceRule(HoldRule.EXCLUSIVE, None)
            await here.owner.ask("DeleteResource", resource_id="studio")
        finally:
            catalog.tells.set()

        await here.followed()

        async def is_gone() -> bool:
            return await here.rule() is None

        await eventually(is_gone)


async def test_buffers_and_links_of_an_event_type_are_followed(here: Sight) -> None:
    await here.furnish()
    await here.owner.resource("other")
    await here.followed()
    organization_id, asked = here.organization_id, here.catalog.asked["GetEventType"]
    padded = hourly("hour", buffer_before=minutes(10), buffer_after=minutes(30))
    await here.update("event_type", padded, "buffer_before", "buffer_after")
    await here.owner.ask("SetResources", event_type_id="hour", resource_ids=["studio", "other"])

    async def is_seen() -> bool:
        found = await here.rules.buffers(organization_id, "hour")
        linked = await here.rules.booked_by(organization_id, "hour")
        padding = Buffers(timedelta(minutes=10), timedelta(minutes=30))
        return found == padding and linked == ("other", "studio")

    begun = time.monotonic()
    await eventually(is_seen)
    assert time.monotonic() - begun < BOUND
    assert here.catalog.asked["GetEventType"] == asked

    await here.owner.ask("DeleteEventType", event_type_id="hour")

    async def is_gone() -> bool:
        try:
            await here.rules.buffers(organization_id, "hour")
        except EventTypeNotFound:
            return True
        return False

    await eventually(is_gone)
    assert not await here.rules.booked_by(organization_id, "hour")


async def test_what_was_known_goes_on_through_an_outage_and_the_rest_is_exclusive(
    catalog_url: str,
) -> None:
    catalog, clock = CountedCatalog(catalog_url), Clock()
    server = catalog.served()
    running = await server.__aenter__()
    async with looking(catalog, running.address, clock=clock) as here:
        await here.furnish(hold_policy=HOLD_POLICY_ADVISORY)
        await here.followed()
        await server.__aexit__(None, None, None)

        for ahead in (0.0, 60.0, 3600.0):
            clock.ahead = ahead
            assert await here.rule() == ResourceRule(HoldRule.ADVISORY, HOUR_LONG)
            assert await here.rule("never-seen") == UNKNOWN_RULE
            assert await here.rules.booked_by(here.organization_id, "hour") == ("studio",)
            with pytest.raises(StoreUnavailable):
                await here.rules.buffers(here.organization_id, "unheard-of")

        async with catalog.served(running.address):
            exclusive = room("studio", hold_policy=HOLD_POLICY_EXCLUSIVE)

            async def is_changed() -> bool:
                try:
                    await here.update("resource", exclusive, "hold_policy")
                except grpc.aio.AioRpcError:  # the owner's connection is not back yet
                    return False
                return True

            await eventually(is_changed)

            async def is_followed_again() -> bool:
                return (
                    here.known() == ResourceRule(HoldRule.EXCLUSIVE, HOUR_LONG)
                    and await here.rule("never-seen") is None
                )

            await eventually(is_followed_again)


async def test_the_organization_unused_for_longest_is_followed_no_more(
    shared_catalog: tuple[CountedCatalog, str],
) -> None:
    few = replace(MEMORY, organizations=2)
    async with looking(*shared_catalog, few) as here:
        for organization_id in ("first", "second", "first", "third"):
            here.rules.known(organization_id, "studio")

        assert set(here.rules._followers) == set(here.rules._following) == {"first", "third"}


async def test_an_organization_that_nobody_uses_is_followed_no_more(
    shared_catalog: tuple[CountedCatalog, str],
) -> None:
    clock = Clock()
    async with looking(*shared_catalog, clock=clock) as here:
        await here.furnish()
        await here.followed()
        clock.ahead = 301.0
        await here.owner.resource("another")

        async def is_given_up() -> bool:
            return not here.rules._followers

        await eventually(is_given_up)
        assert await here.rule() == ResourceRule(HoldRule.EXCLUSIVE, HOUR_LONG)


async def test_a_hold_follows_the_policy_of_a_moment_ago(
    serve: Serve, shared_catalog: tuple[CountedCatalog, str]
) -> None:
    catalog, address = shared_catalog
    async with (
        looking(catalog, address) as here,
        serve(catalog_address=address) as client,
    ):
        here.owner.organization_id = client.organization_id
        await here.furnish()
        await client.heartbeat(new_session(), "studio")
        assert (await refusal(client.heartbeat(new_session(), "studio"))).reason == "SLOT_HELD"

        advisory = room("studio", hold_policy=HOLD_POLICY_ADVISORY)
        await here.update("resource", advisory, "hold_policy")
        begun = time.monotonic()
        await granted(client)
        assert time.monotonic() - begun < BOUND

        await here.owner.ask("DeleteResource", resource_id="studio")
        await refused(client)


async def test_a_hold_is_no_longer_than_the_longest_booking_with_its_buffers(
    serve: Serve, shared_catalog: tuple[CountedCatalog, str]
) -> None:
    catalog, address = shared_catalog
    async with (
        looking(catalog, address) as here,
        serve(catalog_address=address) as client,
    ):
        here.owner.organization_id = client.organization_id
        await here.furnish()

        too_long = timedelta(hours=1, minutes=1)
        refused = await refusal(client.heartbeat(new_session(), "studio", length=too_long))
        await client.heartbeat(new_session(), "studio", length=timedelta(hours=1))

        assert refused.reason == "HOLD_TOO_LONG"
        assert refused.metadata == {"limit_minutes": "60"}


async def granted(client: Client) -> None:
    async def is_granted() -> bool:
        return await client.outcome(new_session(), "studio") == "granted"

    await eventually(is_granted)


async def refused(client: Client) -> None:
    async def is_refused() -> bool:
        return await client.outcome(new_session(), "studio") == "NOT_FOUND"

    async with asyncio.timeout(BOUND):
        await eventually(is_refused)
