"""What a mirror has not heard of yet is asked about before it is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import grpc
import pytest

from services.availability.domain.offering import Offering
from services.availability.domain.refusal import NotFound
from services.availability.upstream.catalog import Catalog
from shared.runtime import deadline
from tests.contract.availability.mirror_world import (
    CountedCatalog,
    Scene,
    eventually,
    scene,
)
from tests.contract.catalog.caller import hourly, room
from tests.integration.catalog.database import migrated_database
from tests.stores import PostgresServer

MANY = 40


@pytest.fixture(scope="module")
def catalog_url(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database(postgres_server) as url:
        yield url


@pytest.fixture
async def catalog(catalog_url: str) -> CountedCatalog:
    return CountedCatalog(catalog_url)


@pytest.fixture
async def here(catalog: CountedCatalog) -> AsyncIterator[Scene]:
    async with catalog.served() as server, scene(catalog, server.address) as found:
        yield found


@pytest.mark.parametrize("made", ["resource", "event type", "link"])
async def test_what_was_just_made_is_offered(here: Scene, made: str) -> None:
    steps = {
        "resource": here.owner.resource("studio"),
        "event type": here.owner.event_type("hour"),
        "link": here.owner.ask("Link", resource_id="studio", event_type_id="hour"),
    }
    names = list(steps)
    for name in names[: names.index(made)]:
        await steps.pop(name)
    await here.settled()

    async with here.untold():
        forgotten(here)
        for step in steps.values():
            await step
        found = await here.offered()

    assert found.linked
    assert found.is_active


@pytest.mark.parametrize("kind", ["resource", "event type"])
async def test_what_was_just_activated_is_offered(here: Scene, kind: str) -> None:
    await here.furnish()
    only_that: dict[str, Any] = {"update_mask": {"paths": ["active"]}}
    method, field, made = {
        "resource": ("UpdateResource", "resource", room),
        "event type": ("UpdateEventType", "event_type", hourly),
    }[kind]
    key = {"resource": "studio", "event type": "hour"}[kind]
    await here.owner.ask(method, **{field: made(key, active=False)}, **only_that)
    await here.settled()
    await mirrored(here, lambda found: not found.is_active)

    async with here.untold():
        forgotten(here)
        await here.owner.ask(method, **{field: made(key)}, **only_that)
        assert (await here.offered()).is_active


async def mirrored(here: Scene, expected: Any) -> None:
    """Waits until the mirror alone says what is expected."""

    async def is_seen() -> bool:
        follower = here.view._followers[here.organization_id]
        if follower.mirror is None:
            return False
        try:
            return bool(expected(follower.mirror.offering(here.name())))
        except NotFound:
            return False

    await eventually(is_seen)


def forgotten(here: Scene) -> None:
    """Lets no answer count that was given before."""
    here.view._asked.forget()


async def test_links_are_offered_at_once_while_the_mirror_runs(here: Scene) -> None:
    await here.owner.event_type("hour")
    await here.owner.resource("first")
    await here.settled()

    for number in range(20):
        key = f"room-{number}"
        await here.owner.resource(key)
        await here.owner.ask("Link", resource_id=key, event_type_id="hour")
        found = await here.seen(key)
        assert isinstance(found, Offering)
        assert found.linked


async def test_resources_just_made_are_known(here: Scene) -> None:
    await here.owner.resource("studio")
    await here.settled()

    async with here.untold():
        await here.owner.resource("cases", pool=True)
        pools = await here.view.pools(here.organization_id, ["cases", "studio"])
        await here.view.require_resources(here.organization_id, ["studio", "cases"])

    assert pools == {"cases"}


async def test_the_resource_that_there_is_not_is_the_one_refused(here: Scene) -> None:
    await here.owner.resource("studio")
    await here.settled()

    async with here.untold():
        await here.owner.resource("cases", pool=True)
        with pytest.raises(NotFound) as refused:
            await here.view.pools(here.organization_id, ["studio", "cases", "nothing"])

    assert refused.value.key == "nothing"


async def test_what_an_event_type_just_made_books_is_listed(here: Scene) -> None:
    await here.owner.resource("studio")
    await here.settled()

    async with here.untold():
        forgotten(here)
        await here.owner.event_type("hour")
        await here.owner.ask("Link", resource_id="studio", event_type_id="hour")
        assert await listed(here) == ["studio"]


async def test_the_first_link_of_an_event_type_is_listed(here: Scene) -> None:
    await here.owner.resource("studio")
    await here.owner.event_type("hour")
    await here.settled()
    await mirrored(here, lambda found: not found.linked)

    async with here.untold():
        forgotten(here)
        await here.owner.ask("Link", resource_id="studio", event_type_id="hour")
        assert await listed(here) == ["studio"]


async def test_an_event_type_just_activated_is_listed_so(here: Scene) -> None:
    await here.owner.resource("studio")
    await here.owner.event_type("hour", active=False)
    await here.owner.ask("Link", resource_id="studio", event_type_id="hour")
    await here.settled()
    await mirrored(here, lambda found: found.linked and not found.is_active)

    async with here.untold():
        forgotten(here)
        active = {"event_type": hourly("hour"), "update_mask": {"paths": ["active"]}}
        await here.owner.ask("UpdateEventType", **active)
        found = await here.view.listed(here.organization_id, "hour", "")

    assert [offering.is_active for offering in found] == [True]


async def listed(here: Scene) -> list[str]:
    found = await here.view.listed(here.organization_id, "hour", "")
    return [offering.name.resource_id for offering in found]


async def test_the_first_resource_is_found(here: Scene) -> None:
    await here.owner.event_type("hour")
    await here.settled()
    await mirrored_version(here, 1)

    async with here.untold():
        forgotten(here)
        await here.owner.resource("studio")
        found = await here.view.resources(here.organization_id, "room")

    assert [facts.resource_id for facts in found] == ["studio"]


async def mirrored_version(here: Scene, version: int) -> None:
    async def is_told() -> bool:
        mirror = here.view._followers[here.organization_id].mirror
        return mirror is not None and mirror.version >= version

    await eventually(is_told)


@pytest.mark.parametrize(
    "method", ["offering", "unlinked", "pools", "require_resources", "listed", "resources"]
)
async def test_a_name_that_is_refused_is_asked_about_once_a_second(
    here: Scene, method: str
) -> None:
    await here.owner.event_type("hour")
    if method == "unlinked":
        await here.owner.resource("studio")
    await here.settled()
    forgotten(here)
    before = here.questions

    await asyncio.gather(*(refused(here, method) for _ in range(50)))
    for _ in range(50):
        await refused(here, method)

    assert here.questions == before + 1


async def refused(here: Scene, method: str) -> None:
    view, organization_id = here.view, here.organization_id
    if method == "unlinked":
        assert not (await here.offered()).linked
    elif method == "resources":
        assert await view.resources(organization_id, "vehicle") == []
    else:
        arguments: dict[str, tuple[Any, ...]] = {
            "offering": (here.name(),),
            "pools": (organization_id, ["studio"]),
            "require_resources": (organization_id, ["studio"]),
            "listed": (organization_id, "nothing", ""),
        }
        with pytest.raises(NotFound):
            await getattr(view, method)(*arguments[method])


async def test_news_of_the_mirror_outdo_an_older_answer(catalog: CountedCatalog) -> None:
    async with (
        catalog.served() as server,
        scene(catalog, server.address, fresh_seconds=60) as here,
    ):
        await here.owner.resource("studio")
        await here.owner.event_type("hour")
        await here.settled()
        async with here.untold():
            forgotten(here)
            await here.owner.ask("Link", resource_id="studio", event_type_id="hour")
            await here.owner.resource("cases", pool=True)
            assert (await here.offered()).linked
            assert await here.view.pools(here.organization_id, ["cases"])

        await here.owner.ask("Unlink", resource_id="studio", event_type_id="hour")
        await here.owner.ask("DeleteResource", resource_id="cases")
        # One revision for each of the changes above.
        await mirrored_version(here, 6)

        assert not (await here.offered()).linked
        with pytest.raises(NotFound):
            await here.view.require_resources(here.organization_id, ["cases"])


async def test_a_catalog_that_cannot_be_asked_leaves_it_at_the_mirror(
    here: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.owner.resource("studio")
    await here.owner.event_type("hour")
    await here.settled()
    await mirrored(here, lambda found: not found.linked)
    forgotten(here)
    monkeypatch.setattr(here.view._asked, "_stub", Unreachable())

    assert not (await here.offered()).linked
    assert await listed(here) == []
    assert isinstance(await here.seen("unknown"), str)
    for method in ("pools", "require_resources"):
        with pytest.raises(NotFound):
            await getattr(here.view, method)(here.organization_id, ["unknown"])


class Unreachable:
    """A catalog where every question fails."""

    def __getattr__(self, name: str) -> Any:
        def ask(request: Any, **_: Any) -> Awaitable[Any]:
            raise grpc.aio.AioRpcError(
                grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()
            )

        return ask


async def test_lists_wait_for_a_mirror_that_is_being_filled(here: Scene) -> None:
    await furnish_many(here)
    async with here.untold():
        waiting = [asyncio.create_task(listed(here)), asyncio.create_task(found(here))]
        assert isinstance(await here.seen("room-01"), Offering)
        done, _ = await asyncio.wait(waiting, timeout=0.3)
        assert not done

    for names in await asyncio.gather(*waiting):
        assert len(names) == MANY
    assert here.questions == 1


async def furnish_many(here: Scene) -> None:
    names = [f"room-{number:02}" for number in range(MANY)]
    for name in names:
        await here.owner.resource(name)
    await here.owner.event_type("hour")
    await here.owner.ask("SetResources", event_type_id="hour", resource_ids=names)


async def found(here: Scene) -> list[str]:
    facts = await here.view.resources(here.organization_id, "")
    return [fact.resource_id for fact in facts]


async def test_lists_wait_no_longer_than_their_caller(here: Scene) -> None:
    await furnish_many(here)
    async with here.untold():
        begun = time.monotonic()
        deadline.begin(0.3)
        assert len(await listed(here)) == MANY
        assert time.monotonic() - begun >= 0.3

    assert here.questions > MANY


async def test_lists_are_asked_for_where_the_watch_fails(
    here: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await furnish_many(here)

    def broken(request: Any) -> Any:
        raise grpc.aio.AioRpcError(
            grpc.StatusCode.UNIMPLEMENTED, grpc.aio.Metadata(), grpc.aio.Metadata()
        )

    view: Catalog = here.view
    monkeypatch.setattr(view, "_watch", broken)
    async with asyncio.timeout(5):
        assert len(await listed(here)) == MANY
        assert len(await found(here)) == MANY
