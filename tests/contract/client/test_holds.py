"""Holding time through the client, on a real presence."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from holdfast.presence.v1 import holder_pb2, presence_pb2
from shared.client.client import Client
from shared.client.hold import Hold, HoldState
from shared.client.value import from_timestamp, to_date
from shared.slots.quantum import OffGrid
from tests.contract.client.conftest import CountingClient, House
from tests.contract.client.world import DAY, HOUR, NOON, first, soon, until


async def live(client: Client, *resource_ids: str) -> list[holder_pb2.Hold]:
    request = presence_pb2.GetDatePresenceRequest(
        organization_id=client.organization_id,
        resource_ids=resource_ids or ["studio-a"],
        dates=[to_date(DAY)],
    )
    return list((await client.call(client.presence.GetDatePresence, request)).holds)


async def starts(client: Client) -> list[str]:
    return [f"{from_timestamp(hold.start_time):%H:%M}" for hold in await live(client)]


async def test_a_hold_is_entered_at_once_and_held_soon(ann: CountingClient) -> None:
    async with ann.hold("studio-a", NOON, HOUR) as hold:
        assert hold.state is HoldState.HOLDING
        assert hold.expires_at is None

        assert (await soon(hold.settled())).state is HoldState.HELD

        (found,) = await live(ann)
        assert hold.expires_at == from_timestamp(found.expire_time)
        assert hold.holder_id == found.holder_id


async def test_leaving_the_block_releases_at_once(ann: CountingClient) -> None:
    async with ann.hold("studio-a", NOON, HOUR) as hold:
        await soon(hold.settled())

    assert hold.state is HoldState.LEFT
    assert await live(ann) == []


async def test_a_block_that_is_left_before_the_answer_holds_nothing(ann: CountingClient) -> None:
    for _ in range(20):
        async with ann.hold("studio-a", NOON, HOUR):
            pass

        assert await live(ann) == []


async def test_an_error_in_the_block_releases_and_passes(ann: CountingClient) -> None:
    async def failing() -> None:
        async with ann.hold("studio-a", NOON, HOUR) as hold:
            await soon(hold.settled())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()

    assert await live(ann) == []


async def test_a_cancelled_holder_releases(ann: CountingClient) -> None:
    held = asyncio.Event()

    async def holding() -> None:
        async with ann.hold("studio-a", NOON, HOUR) as hold:
            await hold.settled()
            held.set()
            await hold.ended()

    task = asyncio.create_task(holding())
    await soon(held.wait())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()
    assert await live(ann) == []


async def test_a_closed_client_leaves_everything(house: House, ben: CountingClient) -> None:
    async with house.client() as client:
        holds = [client.hold(name, NOON, HOUR) for name in ("studio-a", "studio-b")]
        for hold in holds:
            await hold.__aenter__()
            await soon(hold.settled())
        assert len(await live(ben, "studio-a", "studio-b")) == 2

    assert await live(ben, "studio-a", "studio-b") == []


async def test_a_hold_outlives_its_timeout_for_as_long_as_the_block_runs(
    ann: CountingClient,
) -> None:
    async with ann.hold("studio-a", NOON, HOUR) as hold:
        expires_at = (await soon(hold.settled())).expires_at
        assert expires_at is not None

        await until(lambda: hold.expires_at and hold.expires_at > expires_at + timedelta(seconds=4))

        assert hold.state is HoldState.HELD
        assert len(await live(ann)) == 1


async def test_held_time_is_refused_with_the_quanta_in_the_way(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with ann.hold("studio-a", NOON, HOUR) as mine:
        await soon(mine.settled())
        async with ben.hold("studio-a", NOON + HOUR / 2, HOUR) as other:
            found = await soon(other.settled())

        assert found.state is HoldState.REFUSED
        assert found.reason == "SLOT_HELD"
        assert found.metadata == {"quanta.2027-03-09": "50,51"}


async def test_a_refused_hold_costs_the_others_of_the_session_nothing(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with ann.hold("studio-a", NOON, HOUR) as taken:
        await soon(taken.settled())
        async with (
            ben.hold("studio-a", NOON, HOUR, hold_id="first") as refused,
            ben.hold("studio-a", NOON + HOUR, HOUR, hold_id="second") as held,
        ):
            assert (await soon(refused.settled())).state is HoldState.REFUSED
            assert (await soon(held.settled())).state is HoldState.HELD


@pytest.mark.parametrize("resource_id", ["no-such-room", "a b", ""], ids=["unknown", "blank", "no"])
async def test_a_bad_resource_costs_the_others_of_the_session_nothing(
    ann: CountingClient, resource_id: str
) -> None:
    async with (
        ann.hold("studio-a", NOON, HOUR) as good,
        ann.hold("studio-b", NOON, HOUR) as other,
        ann.hold(resource_id, NOON, HOUR) as bad,
    ):
        assert (await soon(bad.settled())).state is HoldState.REFUSED
        assert bad.reason in {"NOT_FOUND", "INVALID_FIELD"}
        assert (await soon(good.settled())).state is HoldState.HELD
        assert (await soon(other.settled())).state is HoldState.HELD
        assert len(await live(ann, "studio-a", "studio-b")) == 2


async def test_time_that_nobody_could_hold_is_a_mistake_at_once(ann: CountingClient) -> None:
    with pytest.raises(OffGrid):
        ann.hold("studio-a", NOON + timedelta(minutes=5), HOUR)
    for length in (timedelta(0), -HOUR, timedelta(days=32)):
        with pytest.raises(ValueError, match="not longer than 0"):
            ann.hold("studio-a", NOON, length)
    with pytest.raises(ValueError, match="no time zone"):
        ann.hold("studio-a", NOON.replace(tzinfo=None), HOUR)


async def test_one_name_is_held_once_in_a_session(ann: CountingClient) -> None:
    async with ann.hold("studio-a", NOON, HOUR) as hold:
        with pytest.raises(ValueError, match="already"):
            async with ann.hold("studio-a", NOON + HOUR, HOUR):
                pass

        assert (await soon(hold.settled())).state is HoldState.HELD


async def test_more_holds_than_a_stream_keeps_are_refused_and_the_others_kept(
    house: House,
) -> None:
    async with house.client() as client:
        holds = [client.hold(f"room-{n}", NOON, HOUR) for n in range(101)]
        for hold in holds:
            await hold.__aenter__()

        assert holds[100].state is HoldState.REFUSED
        assert holds[100].reason == "TOO_MANY_HOLDS"
        # No such rooms are known: every one is answered for itself.
        assert {(await soon(hold.settled())).reason for hold in holds[:100]} == {"NOT_FOUND"}


async def test_a_fifth_hold_on_one_resource_is_refused(ann: CountingClient) -> None:
    holds = [ann.hold("studio-a", NOON + n * HOUR, HOUR, hold_id=str(n)) for n in range(5)]
    for hold in holds:
        await hold.__aenter__()

    found = [(await soon(hold.settled())).state for hold in holds]

    assert sorted(state.name for state in found) == ["HELD"] * 4 + ["REFUSED"]
    for hold in holds:
        await hold.__aexit__(None, None, None)


async def test_a_move_takes_the_new_time_and_frees_the_old(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with ann.hold("studio-a", NOON, HOUR) as hold:
        await soon(hold.settled())

        assert await soon(hold.move(NOON + HOUR, HOUR))

        assert hold.state is HoldState.HELD
        assert (hold.start, hold.length) == (NOON + HOUR, HOUR)
        assert await starts(ben) == ["13:00"]


async def test_a_refused_move_keeps_the_old_time(ann: CountingClient, ben: CountingClient) -> None:
    async with (
        ben.hold("studio-a", NOON + HOUR, HOUR) as other,
        ann.hold("studio-a", NOON, HOUR) as hold,
    ):
        await soon(other.settled())
        expires_at = (await soon(hold.settled())).expires_at
        assert expires_at is not None

        assert not await soon(hold.move(NOON + HOUR, HOUR))

        assert hold.state is HoldState.HELD
        assert hold.reason == "SLOT_HELD"
        assert (hold.start, hold.length) == (NOON, HOUR)
        # And it goes on being renewed.
        await until(lambda: hold.expires_at and hold.expires_at > expires_at + timedelta(seconds=4))
        assert await starts(ben) == ["12:00", "13:00"]


async def test_moves_at_once_happen_one_after_the_other(ann: CountingClient) -> None:
    async with ann.hold("studio-a", NOON, HOUR) as hold:
        moved = await soon(asyncio.gather(*(hold.move(NOON + n * HOUR, HOUR) for n in (1, 2, 3))))

        assert moved == [True, True, True]
        assert await starts(ann) == ["15:00"]


async def test_a_hold_that_another_call_of_the_session_left_is_lost(house: House) -> None:
    session = "s" * 22
    async with house.client() as client:
        async with client.hold("studio-a", NOON, HOUR, session=session) as hold:
            await soon(hold.settled())
            request = presence_pb2.LeaveRequest(
                organization_id=client.organization_id, session=session
            )
            await client.call(client.presence.Leave, request)

            found = await soon(hold.ended())

        assert (found.state, found.reason) == (HoldState.LOST, "LEFT")
        assert hold.state is HoldState.LOST
        assert await live(client) == []


async def test_states_are_told_in_their_order_and_end(ann: CountingClient) -> None:
    hold: Hold = ann.hold("studio-a", NOON, HOUR)

    async def told() -> list[str]:
        return [status.state.name async for status in hold.states()]

    telling = asyncio.create_task(told())
    async with hold:
        await first(hold.states(), lambda status: status.state is HoldState.HELD)

    assert await soon(telling) == ["HOLDING", "HELD", "LEFT"]


async def test_a_hold_is_entered_once(ann: CountingClient) -> None:
    hold = ann.hold("studio-a", NOON, HOUR)
    async with hold:
        await soon(hold.settled())

    with pytest.raises(RuntimeError, match="once"):
        async with hold:
            pass


async def test_the_session_is_nowhere_to_be_read(house: House) -> None:
    session = "the-secret-of-a-session"
    async with (
        house.client() as client,
        client.hold("studio-a", NOON, HOUR, session=session) as hold,
    ):
        await soon(hold.settled())

        assert session not in repr(hold)
        assert session not in repr(client)
        assert session not in repr(hold.status)
        assert session not in hold.holder_id


async def test_two_sessions_of_one_client_are_two_holders(ann: CountingClient) -> None:
    async with (
        ann.hold("studio-a", NOON, HOUR) as mine,
        ann.hold("studio-a", NOON, HOUR, session="another-session-of-it-x") as other,
    ):
        found = {(await soon(hold.settled())).state for hold in (mine, other)}

    assert found == {HoldState.HELD, HoldState.REFUSED}


async def test_sessions_that_ended_leave_nothing_in_the_client(ann: CountingClient) -> None:
    for number in range(5):
        session = f"the-session-of-number-{number}"
        async with ann.hold("studio-a", NOON, HOUR, session=session) as hold:
            await soon(hold.settled())

    await until(lambda: not ann.live._keepers)
    assert not ann.live._viewers


async def test_the_name_of_a_session_is_known_while_somebody_views_with_it(
    ann: CountingClient,
) -> None:
    session = "the-session-of-a-viewer"
    async with ann.day_view("studio-a", "session", DAY, HOUR, session=session) as view:
        async with ann.hold("studio-a", NOON, HOUR, session=session) as hold:
            await soon(hold.settled())
        name = view.picture.holder_id

        assert name == hold.holder_id
        async with ann.hold("studio-a", NOON, HOUR, session=session) as again:
            await soon(again.settled())
            assert again.holder_id == name
    await until(lambda: not ann.live._keepers)


async def test_a_number_of_units_that_nobody_could_hold_is_a_mistake_at_once(
    ann: CountingClient,
) -> None:
    for units in (0, -1, 10_001):
        with pytest.raises(ValueError, match="units are not 1 to"):
            ann.hold("studio-a", NOON, HOUR, units=units)
