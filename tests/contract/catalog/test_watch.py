"""WatchCatalog: a state, then every change, through any number of servers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import grpc
import psycopg
import pytest

from services.catalog.bootstrap import wired
from services.catalog.storage.answer import CHANGES_KEPT
from shared.runtime.server import started
from tests.contract.catalog.caller import Caller, override, room, window
from tests.contract.catalog.conftest import StillSettings
from tests.contract.catalog.walk import Walk
from tests.contract.catalog.watching import stored, visible, watching


@pytest.fixture(scope="module")
async def other_channel(catalog_url: str) -> AsyncIterator[grpc.aio.Channel]:
    """To a second server on the same database."""
    settings = StillSettings(postgres_url=catalog_url, throwaway_data=True)
    async with (
        started(settings, wired) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        yield channel


@pytest.fixture
def other(catalog: Caller, other_channel: grpc.aio.Channel) -> Caller:
    """The same organization, at the other server."""
    return Caller(other_channel, catalog.organization_id)


def revision(url: str, caller: Caller) -> int:
    """The organization's revision."""
    query = "select revision from organizations where organization_id = %s"
    with psycopg.connect(url) as connection:
        row = connection.execute(query, [caller.organization_id]).fetchone()
    return int(row[0]) if row else 0


async def test_an_empty_catalog_is_told_as_such_and_its_first_entry_follows(
    catalog: Caller,
) -> None:
    async with watching(catalog) as watcher:
        first = await watcher.next()
        resource = await catalog.resource("studio-a")
        second = await watcher.news()

    assert (first.event, first.entries, first.version) == ("SNAPSHOT", {}, 0)
    assert (second.event, second.after, second.version) == ("CHANGES", 0, 1)
    assert second.entries == {
        ("resource", "studio-a"): resource.SerializeToString(deterministic=True)
    }


@pytest.mark.parametrize("seed", range(4))
async def test_a_state_folded_with_its_changes_is_what_lists_tell(
    catalog: Caller, other: Caller, catalog_url: str, seed: int
) -> None:
    walk, second = Walk([catalog, other], seed), Walk([other, catalog], seed + 100)
    await walk.steps(60)

    async with watching(catalog) as here, watching(other) as there, watching(other) as slow:
        for watcher in (here, there, slow):
            await watcher.next()
        for _ in range(4):
            await asyncio.gather(walk.steps(20), second.steps(20))
            newest = revision(catalog_url, catalog)
            await asyncio.gather(here.until(newest), there.until(newest))
            expected = await stored(catalog)
            assert visible(here.state) == visible(there.state) == expected
        await slow.until(newest)

    assert slow.state == here.state == there.state
    async with watching(other, after=slow) as resumed:
        assert (await resumed.next()).event == "BOOKMARK"


async def test_a_watch_resumes_at_either_server_after_any_message(
    catalog: Caller, other: Caller, catalog_url: str
) -> None:
    walk = Walk([catalog, other], seed=99)
    await walk.steps(60)
    async with watching(catalog) as watcher:
        await watcher.next()
    for number in range(12):
        await walk.steps(15)
        newest = revision(catalog_url, catalog)

        async with watching((catalog, other)[number % 2], after=watcher) as resumed:
            await resumed.until(newest)
            assert {told.event for told in resumed.told} <= {"CHANGES", "BOOKMARK"}
            assert visible(resumed.state) == await stored(catalog)
        watcher = resumed


async def test_what_one_call_changed_is_one_message(catalog: Caller, other: Caller) -> None:
    await catalog.schedule("old", is_default=True)
    await catalog.event_type("one-hour")
    for key in ("a", "b", "c"):
        await catalog.resource(key)

    async with watching(other) as watcher:
        await watcher.next()
        await catalog.schedule("new", is_default=True)
        default = await watcher.news()
        await catalog.ask("SetResources", event_type_id="one-hour", resource_ids=["a", "b"])
        linked = await watcher.news()
        await catalog.ask("SetResources", event_type_id="one-hour", resource_ids=["b", "c"])
        moved = await watcher.news()
        await catalog.ask("DeleteResource", resource_id="b")
        deleted = await watcher.news()
        await catalog.ask("UndeleteResource", resource_id="b")
        restored = await watcher.news()

    assert default.entries.keys() == {("schedule", "old"), ("schedule", "new")}
    assert linked.entries.keys() == {("link", "one-hour", "a"), ("link", "one-hour", "b")}
    assert moved.entries.keys() == {("link", "one-hour", "c")}
    assert moved.gone == {("link", "one-hour", "a")}
    assert not deleted.entries
    assert deleted.gone == {("resource", "b")}
    assert restored.entries.keys() == {("resource", "b")}
    assert ("link", "one-hour", "b") in watcher.state


async def test_a_schedule_removed_and_made_anew_has_none_of_its_old_overrides(
    catalog: Caller, other: Caller
) -> None:
    await catalog.schedule("hours")
    await catalog.ask(
        "SetDateOverride",
        schedule_id="hours",
        date_override=override(2027, 3, 8, window(0, 60)),
    )
    async with watching(other) as watcher:
        await watcher.next()

    await catalog.ask("DeleteSchedule", schedule_id="hours")
    await catalog.schedule("hours")
    async with watching(other, after=watcher) as resumed:
        await resumed.until(4)

    assert resumed.state.keys() == {("schedule", "hours")}


async def test_changes_through_another_server_come_within_a_second(
    catalog: Caller, other: Caller
) -> None:
    now = asyncio.get_running_loop().time
    async with watching(other) as watcher:
        await watcher.next()
        for number in range(10):
            await catalog.resource(f"studio-{number}")
            committed = now()
            await watcher.until(number + 1)
            assert now() - committed < 1


async def test_ten_thousand_resources_are_one_snapshot(catalog: Caller, catalog_url: str) -> None:
    resource = await catalog.resource("studio", description="d" * 400)
    with psycopg.connect(catalog_url) as connection:
        connection.execute(
            "insert into resources select r.organization_id, 'copy-' || n, r.name, r.type,"
            " r.description, r.time_zone, r.pool, r.standalone, r.hold_policy, r.metadata,"
            " r.active, r.schedule_id, r.create_time, r.update_time, r.revision, r.delete_time"
            " from resources r, generate_series(1, 9999) n where organization_id = %s",
            [catalog.organization_id],
        )

    async with watching(catalog) as watcher:
        told = await watcher.next()
        await catalog.ask("DeleteResource", resource_id="copy-7")
        change = await watcher.news()

    assert (told.event, len(told.entries)) == ("SNAPSHOT", 10_000)
    assert 5 < told.messages < 30
    assert told.entries["resource", "studio"] == resource.SerializeToString(deterministic=True)
    assert change.event == "CHANGES"
    assert change.gone == {("resource", "copy-7")}


async def test_a_token_older_than_the_log_is_told_the_state_anew(
    catalog: Caller, catalog_url: str, other: Caller
) -> None:
    await catalog.resource("a")
    async with watching(catalog) as watcher:
        await watcher.next()
    with psycopg.connect(catalog_url) as connection:
        connection.execute(
            "update organizations set revision = revision + %s where organization_id = %s",
            [CHANGES_KEPT, catalog.organization_id],
        )
    await catalog.resource("b")

    async with watching(other, after=watcher) as resumed:
        told = await resumed.next()

    assert told.event == "RESET"
    assert told.entries.keys() == {("resource", "a"), ("resource", "b")}
    with psycopg.connect(catalog_url) as connection:
        query = "select count(*) from changes where organization_id = %s"
        assert connection.execute(query, [catalog.organization_id]).fetchone() == (1,)


async def test_a_log_with_a_gap_makes_the_state_told_anew(
    catalog: Caller, catalog_url: str
) -> None:
    """So it is when a server of the release before, which keeps no log, makes a change."""
    await catalog.resource("a")
    async with watching(catalog) as watcher:
        await watcher.next()
        with psycopg.connect(catalog_url) as connection:
            for statement in (
                "update resources set name = 'Other' where organization_id = %s",
                "update organizations set revision = 2 where organization_id = %s",
            ):
                connection.execute(statement, [catalog.organization_id])
        told = await watcher.news()

    assert (told.event, told.version) == ("RESET", 2)
    assert b"Other" in told.entries["resource", "a"]


async def test_a_database_set_back_is_told_as_it_is(catalog: Caller, catalog_url: str) -> None:
    await catalog.resource("a")
    await catalog.resource("b")
    async with watching(catalog) as watcher:
        await watcher.next()
        with psycopg.connect(catalog_url) as connection:
            for statement in (
                "delete from resources where organization_id = %s and resource_id = 'b'",
                "update organizations set revision = 1 where organization_id = %s",
            ):
                connection.execute(statement, [catalog.organization_id])
        told = await watcher.news()

    assert (told.event, told.version) == ("RESET", 1)
    assert told.entries.keys() == {("resource", "a")}


async def test_a_token_of_another_organization_or_none_at_all_is_refused(
    catalog: Caller,
) -> None:
    async with watching(catalog) as watcher:
        await watcher.next()

    for token in (watcher.token, b"?", b"x" * 24):
        async with watching(catalog.elsewhere(), token=token) as refused:
            refusal = await refused.refusal()
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.reason == "INVALID_RESUME_TOKEN"


async def test_nothing_is_told_of_other_organizations(catalog: Caller) -> None:
    stranger = catalog.elsewhere()
    async with watching(catalog) as watcher:
        await watcher.next()
        await stranger.resource("theirs")
        await catalog.resource("ours")
        told = await watcher.news()

    assert told.entries.keys() == {("resource", "ours")}


async def test_idle_watches_are_told_so_and_of_changes_of_nothing(catalog: Caller) -> None:
    await catalog.resource("a")
    await catalog.event_type("b")
    await catalog.ask("Link", resource_id="a", event_type_id="b")
    async with watching(catalog) as watcher:
        await watcher.next()
        await catalog.ask("Link", resource_id="a", event_type_id="b")

        told = await watcher.next(5)

    assert (told.event, told.version) == ("BOOKMARK", 4)


async def test_a_drain_ends_watches_before_it_ends_calls(catalog_url: str) -> None:
    settings = StillSettings(postgres_url=catalog_url, throwaway_data=True)
    server = started(settings, wired)
    running = await server.__aenter__()
    async with grpc.aio.insecure_channel(running.address) as channel:
        caller = Caller(channel, f"org-{uuid.uuid4().hex}")
        async with watching(caller) as watcher:
            await watcher.next()
            await server.__aexit__(None, None, None)
            refusal = await watcher.refusal()

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")


async def test_watches_past_the_limit_are_refused(catalog_url: str) -> None:
    settings = StillSettings(
        postgres_url=catalog_url, throwaway_data=True, max_concurrent_streams=2
    )
    async with (
        started(settings, wired) as running,
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        caller = Caller(channel, f"org-{uuid.uuid4().hex}")
        async with watching(caller) as one, watching(caller) as two:
            await one.next()
            await two.next()
            async with watching(caller) as third:
                refusal = await third.refusal()

    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_slow_reader_is_told_the_state_instead_of_each_change(
    catalog: Caller, catalog_url: str
) -> None:
    """Its window fills after some messages; what waits past its mailbox is one state."""
    metadata = {f"key-{number}": "v" * 1_000 for number in range(60)}
    await catalog.resource("a", metadata=metadata)
    async with watching(catalog) as slow, watching(catalog) as quick:
        await slow.next()
        await quick.next()
        for number in range(160):
            await catalog.ask(
                "UpdateResource",
                resource=room("a", name=f"N{number}", metadata=metadata),
                update_mask={"paths": ["name"]},
            )
            await quick.news()
            if number % 20 == 0:
                await slow.next()  # else it would be taken for gone
        await slow.until(revision(catalog_url, catalog))

    events = [told.event for told in slow.told]
    assert events.count("SNAPSHOT") >= 2
    assert len(events) < 160
    assert slow.state == quick.state


async def test_a_change_too_long_for_a_message_is_told_as_the_state(
    catalog: Caller, other: Caller, catalog_url: str
) -> None:
    await catalog.resource("r")
    await catalog.event_type("one-hour")
    ids = [f"{'x' * 120}-{number}" for number in range(5_000)]
    with psycopg.connect(catalog_url) as connection:
        connection.execute(
            "insert into resources select r.organization_id, n, r.name, r.type,"
            " r.description, r.time_zone, r.pool, r.standalone, r.hold_policy, r.metadata,"
            " r.active, r.schedule_id, r.create_time, r.update_time, r.revision, r.delete_time"
            " from resources r, unnest(%s::text[]) n where organization_id = %s",
            [ids, catalog.organization_id],
        )
        connection.execute(
            "insert into links select %s, 'one-hour', unnest(%s::text[])",
            [catalog.organization_id, ids],
        )
    async with watching(catalog) as here, watching(other) as there:
        await here.next()
        await there.next()
        await catalog.ask("SetResources", event_type_id="one-hour", resource_ids=["r"])
        newest = revision(catalog_url, catalog)
        await here.until(newest)
        await there.until(newest)

    assert "CHANGES" not in [told.event for told in here.told]
    assert [name for name in here.state if name[0] == "link"] == [("link", "one-hour", "r")]
    assert here.state == there.state
