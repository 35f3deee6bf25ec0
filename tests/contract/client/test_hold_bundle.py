"""Several resources held together through the client, on a real presence."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from holdfast.presence.v1 import presence_pb2
from shared.client.hold import HoldState, HoldStatus
from shared.client.hold_bundle import HoldItem
from tests.contract.client.conftest import CountingClient
from tests.contract.client.test_holds import live
from tests.contract.client.world import HOUR, NOON, soon, until

BOTH = ("studio-a", "studio-b")


async def test_a_bundle_is_entered_at_once_and_holds_all(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with ann.hold_all(BOTH, NOON, HOUR) as bundle:
        assert bundle.status == HoldStatus(HoldState.HOLDING)

        assert (await soon(bundle.settled())).state is HoldState.HELD

        assert [hold.state for hold in bundle.holds.values()] == [HoldState.HELD] * 2
        assert {hold.resource_id for hold in await live(ben, *BOTH)} == {*BOTH}
    assert bundle.status == HoldStatus(HoldState.LEFT)
    assert await live(ben, *BOTH) == []


async def test_the_first_refusal_releases_all_and_names_its_resource(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with ben.hold("studio-b", NOON, HOUR) as other:
        await soon(other.settled())
        async with ann.hold_all(BOTH, NOON, HOUR) as bundle:
            found = await soon(bundle.settled())

            assert (found.state, found.reason) == (HoldState.REFUSED, "SLOT_HELD")
            assert found.metadata == {
                "resource_id": "studio-b", "quanta.2027-03-09": "48,49,50,51",
            }  # fmt: skip
            await until(lambda: bundle.holds["studio-a"].state is HoldState.LEFT)
            assert await live(ben, "studio-a") == []
    assert bundle.state is HoldState.REFUSED


async def test_one_that_is_lost_later_releases_the_others(ann: CountingClient) -> None:
    session = "a-session-with-a-bundle"
    async with ann.hold_all(BOTH, NOON, HOUR, session=session) as bundle:
        await soon(bundle.settled())
        request = presence_pb2.LeaveRequest(
            organization_id=ann.organization_id, session=session, resource_id="studio-a"
        )
        await ann.call(ann.presence.Leave, request)

        found = await soon(bundle.ended())

        assert (found.state, found.reason) == (HoldState.LOST, "LEFT")
        assert found.metadata["resource_id"] == "studio-a"
        await until(lambda: bundle.holds["studio-b"].state is HoldState.LEFT)
        assert await live(ann, *BOTH) == []


async def test_of_many_bundles_of_the_same_resources_one_gets_them_all(
    ann: CountingClient,
) -> None:
    bundles = [
        ann.hold_all(BOTH[:: (-1) ** n], NOON, HOUR, session=f"the-session-of-number-{n:02d}")
        for n in range(10)
    ]
    for bundle in bundles:
        await bundle.__aenter__()
    found = [(await soon(bundle.settled())).state for bundle in bundles]
    await asyncio.gather(*(bundle.__aexit__(None, None, None) for bundle in bundles))

    assert sorted(state.name for state in found) == ["HELD"] + ["REFUSED"] * 9


async def test_a_bundle_that_is_left_before_the_answer_holds_nothing(ann: CountingClient) -> None:
    for _ in range(10):
        async with ann.hold_all(BOTH, NOON, HOUR):
            pass

        assert await live(ann, *BOTH) == []


async def test_a_bundle_leaves_what_else_the_session_holds_alone(ann: CountingClient) -> None:
    async with ann.hold("studio-a", NOON, HOUR) as hold:
        await soon(hold.settled())
        async with ann.hold_all(BOTH, NOON, HOUR) as bundle:
            assert (await soon(bundle.settled())).state is HoldState.HELD

        assert hold.state is HoldState.HELD
        assert len(await live(ann, *BOTH)) == 1


async def test_a_bundle_is_of_distinct_resources_and_entered_once(ann: CountingClient) -> None:
    twice: list[str | HoldItem] = ["studio-a", HoldItem("studio-a", 2)]
    for items in ([], twice):
        with pytest.raises(ValueError, match="each once"):
            ann.hold_all(items, NOON, HOUR)
    with pytest.raises(ValueError, match="not longer than 0"):
        ann.hold_all(BOTH, NOON, timedelta(0))
    async with ann.hold_all(BOTH, NOON, HOUR) as bundle:
        with pytest.raises(RuntimeError, match="once"):
            await bundle.__aenter__()
