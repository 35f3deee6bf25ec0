"""A watch goes on where an earlier one ended, with nothing missing, or says that it cannot."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
import redis.asyncio

from holdfast.common.v1 import watch_pb2
from services.presence.domain.hold import ResourceName
from services.presence.storage.layout import head_key, log_key, partition
from shared.embedded.valkey import EmbeddedValkey
from tests.contract.presence.client import DAY, HOUR, START, Client, new_session, refusal, until
from tests.contract.presence.conftest import Serve
from tests.contract.presence.streams import Watching, text_of

MIDNIGHT = datetime(2027, 3, 10, tzinfo=UTC)


async def resumed(client: Client, watch: Watching, *resource_ids: str) -> Watching:
    """Ends a watch and opens the next one where it ended; it has what the first one had."""
    watch.cancel()
    following = client.watch(*resource_ids, token=watch.token)
    following.follow(watch)
    return following


async def test_a_resumed_watch_is_told_what_changed_meanwhile(client: Client) -> None:
    leaving, moving, staying = new_session(), new_session(), new_session()
    for number, session in enumerate((leaving, moving, staying)):
        await client.heartbeat(session, start=START + number * HOUR)
    watch = client.watch()
    await watch.told()
    watch.cancel()
    await client.leave(leaving)
    await client.heartbeat(moving, start=START + 5 * HOUR)
    await client.heartbeat(staying, start=START + 2 * HOUR)
    passing = new_session()
    await client.heartbeat(passing)
    await client.leave(passing)

    following = await resumed(client, watch)

    assert sorted(await following.told()) == ["CHANGES", "studio-a 19:00-20:00", "studio-a LEFT"]
    assert following.texts() == sorted(await client.spans())


async def test_a_resumed_watch_goes_on_with_what_comes(client: Client) -> None:
    watch = client.watch()
    await watch.told()
    following = await resumed(client, watch)
    await following.read()

    await client.heartbeat(new_session())

    assert await following.told() == ["CHANGES", "studio-a 14:00-15:00"]


async def test_a_resumed_watch_without_changes_begins_with_a_bookmark(client: Client) -> None:
    await client.heartbeat(new_session())
    watch = client.watch()
    await watch.told()

    following = await resumed(client, watch)

    assert (await following.read()).event == watch_pb2.WATCH_EVENT_BOOKMARK
    assert following.texts() == ["studio-a 14:00-15:00"]


async def test_each_message_can_be_resumed_from(client: Client) -> None:
    session = new_session()
    watch = client.watch()
    await watch.told()
    tokens = [watch.token]
    for number in range(5):
        await client.heartbeat(session, start=START + number * HOUR)
        await watch.told()
        tokens.append(watch.token)

    *behind, last = [client.watch(token=token).call for token in tokens]

    for call in behind:
        (resource,) = (await call.read()).resources
        assert [text_of(hold) for hold in resource.holds] == ["studio-a 18:00-19:00"]
    assert (await last.read()).event == watch_pb2.WATCH_EVENT_BOOKMARK


async def test_a_hold_that_moved_off_the_watched_dates_meanwhile_is_told_as_moved(
    client: Client,
) -> None:
    session, passing = new_session(), new_session()
    await client.heartbeat(session)
    watch = client.watch()
    await watch.told()
    watch.cancel()
    # It was elsewhere all the time, as far as these dates are concerned.
    await client.heartbeat(passing, start=MIDNIGHT)
    await client.heartbeat(session, start=MIDNIGHT + HOUR)
    await client.leave(passing)

    following = await resumed(client, watch)

    assert await following.told() == ["CHANGES", "studio-a MOVED"]


async def test_only_resources_that_changed_are_told(client: Client) -> None:
    rooms = [f"room-{number}" for number in range(30)]
    watch = client.watch(*rooms)
    await watch.told()
    watch.cancel()
    session = new_session()
    for room in ("room-3", "room-4"):
        await client.heartbeat(session, room)

    following = await resumed(client, watch, *rooms)

    assert sorted(await following.told()) == [
        "CHANGES", "room-3 14:00-15:00", "room-4 14:00-15:00",
    ]  # fmt: skip


async def test_a_watch_is_resumed_on_another_server(client: Client, serve: Serve) -> None:
    session = new_session()
    async with serve() as other:
        elsewhere = Client(other.channel, client.organization_id)
        watch = elsewhere.watch()
        await watch.told()
        await client.heartbeat(session)
        assert await watch.told() == ["CHANGES", "studio-a 14:00-15:00"]

    await client.heartbeat(session, start=START + HOUR)
    following = await resumed(client, watch)

    assert await following.told() == ["CHANGES", "studio-a 15:00-16:00"]


async def test_a_server_that_is_behind_does_not_go_back(client: Client, serve: Serve) -> None:
    """One server tells a change; the other one, asked at once, may not know of it yet."""
    async with serve() as other:
        ahead, behind = Client(other.channel, client.organization_id), client
        follower = behind.watch()
        await follower.told()
        watch = ahead.watch()
        await watch.told()
        for number in range(50):
            await ahead.heartbeat(f"{number:030}", start=START + number % 8 * HOUR)
            await watch.until(*await ahead.spans())

            following = await resumed(behind, watch)

            message = await following.read()
            assert message.event == watch_pb2.WATCH_EVENT_BOOKMARK
            watch = await resumed(ahead, following)
            await ahead.leave(f"{number:030}")


async def test_a_watch_is_resumed_again_and_again_while_all_changes(client: Client) -> None:
    chance = random.Random(11)
    rooms = ("room-0", "room-1", "room-2")
    stop = asyncio.Event()

    async def change() -> None:
        sessions = [new_session() for _ in range(6)]
        while not stop.is_set():
            session = chance.choice(sessions)
            if chance.random() < 0.2:
                await client.leave(session)
            else:
                start = START + chance.randrange(-20, 20) * HOUR
                await client.outcome(session, chance.choice(rooms), start=start)

    changing = asyncio.ensure_future(change())
    watch = client.watch(*rooms)
    for _ in range(60):
        for _ in range(chance.randrange(4)):
            await watch.read()
        watch = await resumed(client, watch, *rooms) if watch.token else watch
        message = await watch.read()
        assert message.event != watch_pb2.WATCH_EVENT_RESET
    stop.set()
    await changing

    await watch.until(*await client.spans(*rooms))


async def test_a_store_restarted_without_its_data_resets_an_open_watch(
    serve: Serve, tmp_path: Path
) -> None:
    with EmbeddedValkey.start(tmp_path) as valkey:
        presence = serve(redis_url=valkey.url)
        client = await presence.__aenter__()
        watch = client.watch("studio-a", "studio-b")
        await watch.told()
        await client.heartbeat(new_session())
        await watch.told()
    with EmbeddedValkey.start(tmp_path):
        assert await watch.told() == ["RESET"]
        assert watch.texts() == []
        session = new_session()
        await until(lambda: _is_granted(client, session))
        assert await watch.told() == ["CHANGES", "studio-a 14:00-15:00"]
        await presence.__aexit__(None, None, None)


async def test_a_store_that_was_away_without_losing_anything_resets_nothing(
    client: Client, store: redis.asyncio.Redis
) -> None:
    session = new_session()
    watch = client.watch()
    await watch.told()
    await client.heartbeat(session)
    await watch.told()

    await store.client_kill_filter(_type="normal", skipme=True)
    await until(lambda: _is_granted(client, session))
    await client.heartbeat(session, start=START + HOUR)

    assert await watch.told() == ["CHANGES", "studio-a 15:00-16:00"]


async def test_a_store_emptied_under_a_watch_resets_it(
    client: Client, store: redis.asyncio.Redis
) -> None:
    watch = client.watch()
    await watch.told()
    for number in range(3):
        await client.heartbeat(new_session(), start=START + number * HOUR)
        await watch.told()

    await store.flushall()

    assert await watch.told() == ["RESET"]
    await client.heartbeat(new_session())
    assert await watch.told() == ["CHANGES", "studio-a 14:00-15:00"]


async def test_a_store_emptied_and_filled_at_once_resets_a_watch(
    client: Client, store: redis.asyncio.Redis
) -> None:
    watch = client.watch()
    await watch.told()
    for number in range(3):
        await client.heartbeat(new_session(), start=START + number * HOUR)
        await watch.told()

    await store.flushall()
    for number in range(10):
        await client.heartbeat(new_session(), start=START - number * HOUR)

    while "RESET" not in await watch.told():
        pass
    await watch.until(*await client.spans())


async def test_a_token_of_a_lost_store_resets_the_resumed_watch(
    client: Client, store: redis.asyncio.Redis
) -> None:
    await client.heartbeat(new_session())
    watch = client.watch()
    await watch.told()
    watch.cancel()
    await store.flushall()
    await client.heartbeat(new_session(), start=START + HOUR)

    following = await resumed(client, watch)

    assert await following.told() == ["RESET", "studio-a 15:00-16:00"]


async def test_a_token_that_the_log_does_not_reach_back_to_resets_what_it_names(
    serve: Serve,
) -> None:
    async with serve(hold_log_length=1) as client:
        session = new_session()
        watch = client.watch("studio-a", "studio-b")
        await watch.told()
        watch.cancel()
        # Even a log of one change is cut only where a node of it is full.
        for number in range(300):
            await client.heartbeat(session, start=START + number % 9 * HOUR)
        await client.heartbeat(session, "studio-b")

        following = await resumed(client, watch, "studio-a", "studio-b")

        first, second = await following.told(), await following.told()
        assert first == ["CHANGES", "studio-b 14:00-15:00"]
        assert second == ["RESET", "studio-a 16:00-17:00"]


async def test_a_watch_outlives_a_log_that_is_cut_faster_than_it_is_read(
    serve: Serve, store: redis.asyncio.Redis
) -> None:
    async with serve() as client:
        watch = client.watch()
        await watch.told()
        await client.heartbeat(new_session())
        await watch.told()

        # In one step, so that no server can read it before it is cut.
        number = partition(ResourceName(client.organization_id, "studio-a"))
        transaction = store.pipeline(transaction=True)
        for revision in range(2, 10):
            transaction.hincrby(head_key(number), "revision", 1)
            transaction.xadd(
                log_key(number), {"lost": ""}, f"{revision}-0", maxlen=1, approximate=False
            )
        transaction.xtrim(log_key(number), maxlen=0, approximate=False)
        await transaction.execute()
        await client.heartbeat(new_session(), start=START + HOUR)

        assert await watch.told() == ["RESET", "studio-a 14:00-15:00", "studio-a 15:00-16:00"]


async def test_a_bookmark_keeps_a_token_from_growing_old(serve: Serve) -> None:
    """The changes of others in its scope push a quiet resource's last one out of the log."""
    async with serve(hold_log_length=1) as client:
        watch = client.watch("studio-a")
        await watch.told()
        _, twin = client.neighbours("studio-a", count=2)
        for bookmark in range(2):
            for number in range(300):
                start = START + (300 * bookmark + number) * HOUR
                await client.heartbeat(new_session(), twin, start=start)
            assert (await watch.read()).event == watch_pb2.WATCH_EVENT_BOOKMARK
        await client.heartbeat(new_session())
        watch.cancel()

        following = await resumed(client, watch)

        assert await following.told() == ["CHANGES", "studio-a 14:00-15:00"]


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda token: token[:-1],
        lambda token: token + b"\0",
        lambda token: b"\0" + token[1:],
        lambda token: token[:8] + b"\xff" * (len(token) - 8),
        lambda _: b"x",
        lambda _: b"\xff" * 5_000,
    ],
    ids=["cut off", "too long", "another digest", "negative", "one byte", "nonsense"],
)
async def test_a_damaged_token_is_refused(client: Client, spoilt: object) -> None:
    assert callable(spoilt)
    watch = client.watch()
    await watch.told()

    refused = await refusal(client.watch(token=spoilt(watch.token)).read())

    assert (refused.code, refused.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_RESUME_TOKEN",
    )  # fmt: skip


async def test_a_token_of_another_watch_is_refused(client: Client) -> None:
    watch = client.watch()
    await watch.told()
    others = [
        client.watch("studio-b", token=watch.token),
        client.watch("studio-a", "studio-b", token=watch.token),
        client.watch(dates=(DAY, DAY + timedelta(days=1)), token=watch.token),
        client.elsewhere().watch(token=watch.token),
    ]

    refusals = [await refusal(other.read()) for other in others]

    assert {refused.reason for refused in refusals} == {"INVALID_RESUME_TOKEN"}


async def test_a_token_from_the_future_resets(client: Client) -> None:
    await client.heartbeat(new_session())
    watch = client.watch()
    await watch.told()
    forged = watch.token[:-8] + (2**62).to_bytes(8, "big")

    following = client.watch(token=forged)

    assert await following.told() == ["RESET", "studio-a 14:00-15:00"]


@pytest.mark.parametrize("waited", [0, 1.2], ids=["at once", "later"])
async def test_a_watch_begun_after_a_loss_begins_with_what_is_there(
    client: Client, store: redis.asyncio.Redis, waited: float
) -> None:
    await client.heartbeat(new_session())
    watch = client.watch()
    await watch.told()
    await asyncio.sleep(waited)
    await store.flushall()
    await client.heartbeat(new_session(), start=START + HOUR)

    following = client.watch()

    await following.until("studio-a 15:00-16:00")


async def _is_granted(client: Client, session: str) -> bool:
    return await client.outcome(session) == "granted"
