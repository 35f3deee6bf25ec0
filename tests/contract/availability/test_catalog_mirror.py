"""The catalog in availability's memory: as new as the catalog, and there when it is gone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import date as day
from typing import Any

import grpc
import pytest

from services.availability.domain.offering import Offering, OfferingName
from services.availability.domain.refusal import NotFound
from services.availability.upstream.catalog import Catalog
from shared.runtime.failure import StoreUnavailable
from tests.contract.availability.conftest import Serve
from tests.contract.availability.mirror_world import (
    BOUND,
    Clock,
    CountedCatalog,
    Scene,
    eventually,
    scene,
)
from tests.contract.catalog.caller import (
    Caller,
    date,
    hourly,
    minutes,
    override,
    room,
    weekly,
    window,
)
from tests.contract.catalog.walk import KEYS, Walk
from tests.integration.catalog.database import migrated_database
from tests.stores import PostgresServer

MONDAY = day(2027, 3, 8)

Step = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def catalog_url(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="module")
async def shared_catalog(catalog_url: str) -> AsyncIterator[tuple[CountedCatalog, str]]:
    catalog = CountedCatalog(catalog_url)
    async with catalog.served() as server:
        yield catalog, server.address


@pytest.fixture
async def here(shared_catalog: tuple[CountedCatalog, str]) -> AsyncIterator[Scene]:
    async with scene(*shared_catalog) as found:
        yield found


def update(kind: str, message: Any, *paths: str) -> Step:
    method = {"resource": "Resource", "event_type": "EventType", "schedule": "Schedule"}[kind]
    return f"Update{method}", {kind: message, "update_mask": {"paths": paths}}


CHANGES: dict[str, tuple[Step, Callable[[Any], bool]]] = {
    "a resource is put out of use": (
        update("resource", room("studio", active=False), "active"),
        lambda found: not found.resource_active,
    ),
    "a resource is deleted": (
        ("DeleteResource", {"resource_id": "studio"}),
        lambda found: isinstance(found, str) and "studio" in found,
    ),
    "an event type is put out of use": (
        update("event_type", hourly("hour", active=False), "active"),
        lambda found: not found.event_type_active,
    ),
    "an event type is deleted": (
        ("DeleteEventType", {"event_type_id": "hour"}),
        lambda found: isinstance(found, str) and "hour" in found,
    ),
    "an event type wants confirmation": (
        update("event_type", hourly("hour", requires_confirmation=True), "requires_confirmation"),
        lambda found: found.needs_confirmation,
    ),
    "a link ends": (
        ("Unlink", {"resource_id": "studio", "event_type_id": "hour"}),
        lambda found: not found.linked,
    ),
    "links are replaced": (
        ("SetResources", {"event_type_id": "hour", "resource_ids": []}),
        lambda found: not found.linked,
    ),
    "a default schedule appears": (
        ("CreateSchedule", {"schedule": weekly("night", is_default=True, time_zone="Asia/Tokyo")}),
        lambda found: found.schedule.zone.key == "Asia/Tokyo",
    ),
    "a schedule gets other hours": (
        update("schedule", weekly("default", windows=[]), "windows"),
        lambda found: not found.schedule.weekly,
    ),
    "a date gets hours of its own": (
        (
            "SetDateOverride",
            {"schedule_id": "default", "date_override": override(2027, 3, 9, window(0, 60))},
        ),
        lambda found: len(found.schedule.overrides) == 2,
    ),
    "a date loses them": (
        ("DeleteDateOverride", {"schedule_id": "default", "date": date(2027, 3, 8)}),
        lambda found: not found.schedule.overrides,
    ),
    "an event type gets a schedule": (
        update("event_type", hourly("hour", schedule_id="other"), "schedule_id"),
        lambda found: found.schedule.zone.key == "Asia/Tokyo",
    ),
    "a resource gets a schedule": (
        update("resource", room("studio", schedule_id="other"), "schedule_id"),
        lambda found: found.schedule.zone.key == "Asia/Tokyo",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_each_change_counts_within_a_second_and_nothing_is_asked(
    here: Scene, change: str
) -> None:
    (method, fields), is_seen = CHANGES[change]
    await here.owner.schedule("default", is_default=True)
    await here.owner.schedule("other", time_zone="Asia/Tokyo")
    closed = override(2027, 3, 8)
    await here.owner.ask("SetDateOverride", schedule_id="default", date_override=closed)
    await here.furnish()
    await here.settled()
    assert isinstance(await here.seen(), Offering)

    async def seen() -> bool:
        return is_seen(await here.seen())

    assert not await seen()
    assert await here.reaches(here.owner.ask(method, **fields), seen) < BOUND


@pytest.mark.parametrize("seed", range(2))
async def test_the_mirror_answers_what_the_catalog_would(
    shared_catalog: tuple[CountedCatalog, str], here: Scene, seed: int
) -> None:
    walk = Walk([here.owner], seed)
    asked = Catalog(shared_catalog[1], fresh_seconds=0)
    try:
        for _ in range(8):
            await walk.steps(15)
            await caught_up(here)
            here.ask_nothing()
            for question in questions(here.organization_id):
                assert await answer(question, here.view) == await answer(question, asked)
    finally:
        await asked.close()


async def caught_up(here: Scene) -> None:
    """Waits until the mirror has a change made now, and answers by it."""
    key = f"marker-{here.catalog.asked['CreateResource']}"
    await here.owner.resource(key)

    async def seen() -> bool:
        facts = await here.view.resources(here.organization_id, "")
        return key in [found.resource_id for found in facts]

    await eventually(seen)
    await here.settled()


Question = Callable[[Catalog], Awaitable[Any]]


def questions(organization_id: str) -> Iterator[Question]:
    for one in KEYS:
        for other in KEYS:
            yield asking("offering", OfferingName(organization_id, one, other))
        for kind in ("", "room", "vehicle"):
            yield asking("listed", organization_id, one, kind)
        yield asking("pools", organization_id, [one])
    for kind in ("", "room", "vehicle", "spaceship"):
        yield asking("resources", organization_id, kind)


def asking(method: str, *arguments: Any) -> Question:
    async def ask(catalog: Catalog) -> Any:
        return await getattr(catalog, method)(*arguments)

    return ask


async def answer(question: Question, catalog: Catalog) -> Any:
    try:
        found = await question(catalog)
    except NotFound as refusal:
        return str(refusal)
    return list(found) if isinstance(found, list | tuple) else found


async def test_questions_before_the_state_is_told_are_answered(here: Scene) -> None:
    await here.furnish()

    first = await here.offered()
    await here.settled()

    assert await here.offered() == first
    assert here.catalog.asked["WatchCatalog"] >= 1


async def test_offerings_that_a_change_does_not_touch_stay_the_same_objects(here: Scene) -> None:
    await here.furnish()
    await here.owner.resource("other")
    await here.settled()
    kept = await here.seen("studio")
    touched = await here.seen("other")

    async def seen() -> bool:
        return await here.seen("other") is not touched

    renamed = room("other", name="Renamed", standalone=False)
    step = update("resource", renamed, "name", "standalone")
    await here.reaches(here.owner.ask(step[0], **step[1]), seen)

    after = await here.seen("other")
    assert await here.seen("studio") is kept
    assert (after.schedule, after.rules) == (touched.schedule, touched.rules)
    assert after.schedule is touched.schedule
    assert after.rules is touched.rules
    assert after == replace(touched, standalone=False)


async def test_what_an_event_type_books_is_listed_by_type(here: Scene) -> None:
    await here.furnish()
    await here.owner.resource("van", type="RESOURCE_TYPE_VEHICLE")
    await here.owner.resource("gone", active=False)
    await here.owner.ask(
        "SetResources", event_type_id="hour", resource_ids=["van", "studio", "gone"]
    )
    await caught_up(here)

    async def listed(kind: str) -> list[str]:
        found = await here.view.listed(here.organization_id, "hour", kind)
        return [offering.name.resource_id for offering in found]

    assert await listed("") == ["studio", "van"]
    assert await listed("vehicle") == ["van"]
    assert await listed("person") == []
    with pytest.raises(NotFound):
        await here.view.listed(here.organization_id, "nothing", "")


async def test_a_catalog_that_is_gone_is_answered_for_until_the_bound(catalog_url: str) -> None:
    catalog, clock = CountedCatalog(catalog_url), Clock()
    server = catalog.served()
    running = await server.__aenter__()
    async with scene(catalog, running.address, clock, stale_seconds=900) as here:
        await here.furnish()
        await caught_up(here)
        await server.__aexit__(None, None, None)

        for ahead in (0.0, 60.0, 300.0, 890.0):
            clock.ahead = ahead
            assert (await here.offered()).linked
            assert await here.view.pools(here.organization_id, ["studio"]) == frozenset()
            assert len(await here.view.listed(here.organization_id, "hour", "")) == 1
            with pytest.raises(NotFound):
                await here.view.require_resources(here.organization_id, ["unknown"])
        clock.ahead = 901.0
        with pytest.raises(StoreUnavailable):
            await here.offered()

        async with catalog.served(running.address):
            await here.owner.ask("Unlink", resource_id="studio", event_type_id="hour")
            await eventually(lambda: is_unlinked(here))
            await here.settled()


async def is_unlinked(here: Scene) -> bool:
    try:
        return not (await here.offered()).linked
    except StoreUnavailable:
        return False


async def test_a_catalog_that_returns_is_followed_from_where_it_was(catalog_url: str) -> None:
    catalog = CountedCatalog(catalog_url)
    server = catalog.served()
    running = await server.__aenter__()
    async with scene(catalog, running.address) as here:
        await here.furnish()
        await caught_up(here)
        kept = await here.offered()
        await server.__aexit__(None, None, None)
        async with catalog.served(running.address):
            await here.settled()
            assert await here.offered() is kept


async def test_a_mirror_that_nobody_asks_is_given_up(
    shared_catalog: tuple[CountedCatalog, str],
) -> None:
    clock = Clock()
    async with scene(*shared_catalog, clock) as here:
        await here.furnish()
        await here.settled()
        clock.ahead = 61.0

        async def is_given_up() -> bool:
            return not here.view._followers

        await eventually(is_given_up)
        before = here.questions
        assert isinstance(await here.seen(), Offering)
        assert here.questions == before + 1


async def test_a_catalog_without_the_watch_is_asked(
    shared_catalog: tuple[CountedCatalog, str],
) -> None:
    """So it is with a catalog of the release before."""
    catalog, address = shared_catalog

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    async with grpc.aio.insecure_channel(address) as channel:
        forward: Any = channel.unary_unary("/holdfast.catalog.v1.CatalogService/GetOffering")

        async def get(request: bytes, context: Any) -> Any:
            return await forward(request)

        handlers: dict[str, Any] = {"GetOffering": grpc.unary_unary_rpc_method_handler(get)}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("holdfast.catalog.v1.CatalogService", handlers),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with scene(catalog, f"127.0.0.1:{port}") as here:
                here.owner = Caller(channel, here.organization_id)
                await here.furnish()
                assert (await here.offered()).linked
                assert (await here.offered()).linked
        finally:
            await server.stop(None)


async def test_slots_follow_the_catalog_and_bookings_outlive_it(
    serve: Serve, catalog_url: str
) -> None:
    catalog = CountedCatalog(catalog_url)
    server = catalog.served()
    running = await server.__aenter__()
    async with (
        scene(catalog, running.address) as here,
        serve(running.address, catalog_fresh_seconds=1) as caller,
    ):
        caller.organization_id = here.organization_id
        await here.owner.resource("studio-a")
        await here.owner.event_type("session")
        await here.owner.ask("Link", resource_id="studio-a", event_type_id="session")
        nine_to_five = await caller.starts(MONDAY)

        changed = hourly("session", slot_interval=minutes(240))
        step = update("event_type", changed, "slot_interval")

        async def seen() -> bool:
            return len(await caller.starts(MONDAY)) == 2

        async def is_watched() -> bool:
            return here.catalog.asked["WatchCatalog"] > 0

        await eventually(is_watched)
        begun = time.monotonic()
        await here.owner.ask(step[0], **step[1])
        await eventually(seen)
        assert time.monotonic() - begun < BOUND
        await server.__aexit__(None, None, None)

        assert len(nine_to_five) == 8
        assert len(await caller.starts(MONDAY)) == 2
        await caller.book(nine_to_five[0])
        assert len(await caller.starts(MONDAY)) == 1
