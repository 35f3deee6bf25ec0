"""Heartbeat: what is granted, what is refused, and what a refusal leaves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from holdfast.catalog.v1.resource_pb2 import HOLD_POLICY_ADVISORY, HOLD_POLICY_EXCLUSIVE
from tests.contract.presence.catalog import Catalog
from tests.contract.presence.client import (
    HOUR,
    START,
    Client,
    moment,
    new_session,
    refusal,
)

QUARTER = timedelta(minutes=15)


async def test_a_hold_is_shown_with_the_holder_it_was_granted_to(client: Client) -> None:
    granted = await client.heartbeat(new_session())

    (hold,) = await client.holds()
    assert (hold.resource_id, hold.holder_id) == ("studio-a", granted.holder_id)
    assert (moment(hold.start_time), moment(hold.end_time)) == (START, START + HOUR)
    assert hold.expire_time == granted.expire_time


async def test_renewal_is_due_after_half_the_timeout(client: Client) -> None:
    granted = await client.heartbeat(new_session())

    assert granted.renew_after.ToTimedelta() == timedelta(seconds=5)


async def test_a_renewal_moves_the_expiry(client: Client) -> None:
    session = new_session()
    first = await client.heartbeat(session)

    second = await client.heartbeat(session)

    assert moment(second.expire_time) > moment(first.expire_time)
    assert len(await client.holds()) == 1


async def test_another_sessions_hold_refuses_with_the_quanta_in_the_way(client: Client) -> None:
    await client.heartbeat(new_session(), start=START, length=HOUR)

    refused = await refusal(client.heartbeat(new_session(), start=START + 3 * QUARTER))

    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SLOT_HELD")
    assert refused.metadata == {"resource_id": "studio-a", "quanta.2027-03-09": "59"}


async def test_a_refusal_over_days_names_the_quanta_of_each(client: Client) -> None:
    midnight = datetime(2027, 3, 10, tzinfo=UTC)
    await client.heartbeat(new_session(), start=midnight - QUARTER, length=3 * QUARTER)

    refused = await refusal(client.heartbeat(new_session(), length=timedelta(days=2)))

    assert refused.metadata == {
        "resource_id": "studio-a",
        "quanta.2027-03-09": "95",
        "quanta.2027-03-10": "0,1",
    }


async def test_a_refusal_over_a_month_still_reaches_the_caller(client: Client) -> None:
    await client.heartbeat(new_session(), length=timedelta(days=31))

    refused = await refusal(client.heartbeat(new_session(), length=timedelta(days=31)))

    assert refused.reason == "SLOT_HELD"
    assert refused.metadata["quanta.2027-03-10"].startswith("0,1,2,")


async def test_a_refused_hold_takes_none_of_its_quanta(client: Client) -> None:
    await client.heartbeat(new_session(), start=START + HOUR)

    await refusal(client.heartbeat(new_session(), start=START, length=4 * HOUR))

    assert await client.spans() == ["studio-a 15:00-16:00"]


async def test_holds_that_touch_do_not_conflict(client: Client) -> None:
    await client.heartbeat(new_session(), start=START)
    await client.heartbeat(new_session(), start=START - HOUR)

    await client.heartbeat(new_session(), start=START + HOUR)

    assert len(await client.holds()) == 3


async def test_resources_and_organizations_do_not_conflict(client: Client) -> None:
    await client.heartbeat(new_session(), "studio-a")

    await client.heartbeat(new_session(), "studio-b")
    await client.elsewhere().heartbeat(new_session(), "studio-a")

    assert await client.spans("studio-a", "studio-b") == [
        "studio-a 14:00-15:00",
        "studio-b 14:00-15:00",
    ]


async def test_a_sessions_own_holds_never_conflict(client: Client) -> None:
    session = new_session()
    await client.heartbeat(session, hold_id="first")

    await client.heartbeat(session, hold_id="second", start=START + QUARTER)

    assert await client.spans() == ["studio-a 14:00-15:00", "studio-a 14:15-15:15"]


async def test_the_same_hold_with_another_span_is_swapped(client: Client) -> None:
    session = new_session()
    await client.heartbeat(session)

    await client.heartbeat(session, start=START + HOUR)

    assert await client.spans() == ["studio-a 15:00-16:00"]


async def test_a_refused_swap_leaves_the_old_hold_as_it_was(client: Client) -> None:
    session = new_session()
    granted = await client.heartbeat(session)
    await client.heartbeat(new_session(), start=START + HOUR)

    await refusal(client.heartbeat(session, length=2 * HOUR))

    own, _ = await client.holds()
    assert (moment(own.start_time), moment(own.end_time)) == (START, START + HOUR)
    assert own.expire_time == granted.expire_time


async def test_a_session_may_have_four_holds_on_one_resource(client: Client) -> None:
    session = new_session()
    for number in range(4):
        await client.heartbeat(session, hold_id=f"hold-{number}", start=START + number * HOUR)

    refused = await refusal(client.heartbeat(session, hold_id="hold-4", start=START + 4 * HOUR))

    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (refused.reason, refused.metadata) == ("TOO_MANY_HOLDS", {"limit": "4"})


@pytest.mark.parametrize("length", [HOUR, 2 * HOUR], ids=["renewal", "swap"])
async def test_at_the_limit_a_hold_is_still_kept(client: Client, length: timedelta) -> None:
    session = new_session()
    for number in range(4):
        await client.heartbeat(session, hold_id=f"hold-{number}", start=START + number * HOUR)

    await client.heartbeat(session, hold_id="hold-3", start=START + 3 * HOUR, length=length)

    assert len(await client.holds()) == 4


async def test_the_limit_is_for_each_resource(client: Client) -> None:
    session = new_session()
    for number in range(4):
        await client.heartbeat(session, hold_id=f"hold-{number}", start=START + number * HOUR)

    await client.heartbeat(session, "studio-b")

    assert len(await client.holds("studio-b")) == 1


async def test_a_length_is_rounded_up_to_a_quarter_hour(client: Client) -> None:
    await client.heartbeat(new_session(), length=timedelta(minutes=16))

    assert await client.spans() == ["studio-a 14:00-14:30"]


@pytest.mark.parametrize(
    "facts",
    [{"hold_policy": HOLD_POLICY_ADVISORY}, {"pool": True}],
    ids=["advisory", "pool"],
)
async def test_a_shared_resource_is_held_by_several(
    client: Client, catalog: Catalog, facts: dict[str, int]
) -> None:
    catalog.know("studio-a", **facts)

    await asyncio.gather(*(client.heartbeat(new_session()) for _ in range(20)))

    assert len({hold.holder_id for hold in await client.holds()}) == 20


async def test_an_unknown_resource_cannot_be_held(client: Client, catalog: Catalog) -> None:
    catalog.unknown.add("studio-x")

    refused = await refusal(client.heartbeat(new_session(), "studio-x"))

    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert refused.metadata == {"kind": "resource", "id": "studio-x"}
    assert await client.holds("studio-x") == []


async def test_a_deleted_resource_cannot_be_held(client: Client, catalog: Catalog) -> None:
    catalog.know("studio-x", hold_policy=HOLD_POLICY_EXCLUSIVE, delete_time=START)

    refused = await refusal(client.heartbeat(new_session(), "studio-x"))

    assert refused.reason == "NOT_FOUND"


@pytest.mark.parametrize(
    "start",
    [START + timedelta(minutes=5), START + timedelta(microseconds=1)],
    ids=["minutes", "a microsecond"],
)
async def test_a_start_off_the_grid_is_refused_not_rounded(client: Client, start: datetime) -> None:
    refused = await refusal(client.heartbeat(new_session(), start=start))

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "OFF_GRID")
    assert await client.holds() == []


async def test_every_wrong_field_is_named(client: Client) -> None:
    refused = await refusal(
        client.heartbeat("short", "-", hold_id="a b", length=timedelta(days=31, minutes=15))
    )

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert set(refused.fields) == {"session", "resource_id", "hold_id", "duration"}
