"""Leave: which holds it ends, and whose."""

from __future__ import annotations

import grpc
import pytest

from tests.contract.presence.client import HOUR, START, Client, new_session, refusal


@pytest.fixture
async def session(client: Client) -> str:
    """Has two holds on studio-a, one on each of forty other resources."""
    session = new_session()
    await client.heartbeat(session, "studio-a")
    await client.heartbeat(session, "studio-a", hold_id="second", start=START + HOUR)
    for number in range(40):
        await client.heartbeat(session, f"room-{number}")
    return session


async def test_leaving_releases_all_holds_of_the_session(client: Client, session: str) -> None:
    released = await client.leave(session)

    assert released == 42
    assert await client.holds("studio-a", *(f"room-{number}" for number in range(40))) == []


async def test_leaving_a_resource_releases_the_holds_on_it(client: Client, session: str) -> None:
    released = await client.leave(session, "studio-a")

    assert released == 2
    assert await client.spans("studio-a", "room-7") == ["room-7 14:00-15:00"]


@pytest.mark.parametrize(
    ("hold_id", "left"),
    [("second", "studio-a 14:00-15:00"), ("", "studio-a 15:00-16:00")],
    ids=["named", "nameless"],
)
async def test_leaving_one_hold_keeps_the_others(
    client: Client, session: str, hold_id: str, left: str
) -> None:
    released = await client.leave(session, "studio-a", hold_id)

    assert released == 1
    assert await client.spans("studio-a") == [left]


async def test_what_was_left_can_be_held_by_another_at_once(client: Client, session: str) -> None:
    await client.leave(session, "studio-a", "")

    await client.heartbeat(new_session(), "studio-a")

    assert len(await client.holds("studio-a")) == 2


async def test_what_was_left_can_be_left_again(client: Client, session: str) -> None:
    await client.leave(session)

    assert await client.leave(session) == 0
    assert await client.leave(session, "studio-a") == 0
    assert await client.leave(session, "studio-a", "second") == 0


async def test_a_hold_taken_after_leaving_everything_can_be_left(
    client: Client, session: str
) -> None:
    await client.leave(session)
    await client.heartbeat(session, "studio-b")

    assert await client.leave(session) == 1


async def test_another_session_releases_nothing(client: Client, session: str) -> None:
    (other, holder) = (new_session(), (await client.holds("room-0"))[0].holder_id)

    released = [
        await client.leave(who, *what)
        for who in (other, holder)
        for what in ((), ("studio-a",), ("studio-a", "second"))
    ]

    assert released == [0] * 6
    assert len(await client.holds("studio-a", "room-0")) == 3


async def test_the_same_session_in_another_organization_releases_nothing(
    client: Client, session: str
) -> None:
    assert await client.elsewhere().leave(session) == 0
    assert len(await client.holds("studio-a")) == 2


async def test_a_hold_without_its_resource_cannot_be_named(client: Client) -> None:
    refused = await refusal(client.leave(new_session(), "", "second"))

    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.fields == ("hold_id",)
