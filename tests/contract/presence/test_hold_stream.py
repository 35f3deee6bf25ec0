"""HoldStream: many holds, one message at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
import pytest

from holdfast.catalog.v1.resource_pb2 import HOLD_POLICY_ADVISORY
from holdfast.presence.v1 import presence_pb2
from tests.contract.presence.catalog import Catalog
from tests.contract.presence.client import (
    HOUR,
    START,
    Client,
    moment,
    new_session,
    refusal,
    until,
)
from tests.contract.presence.conftest import Serve

QUARTER = timedelta(minutes=15)
SPAN = (START, HOUR)


async def test_a_stream_acquires_holds_and_says_how_each_fares(client: Client) -> None:
    stream = client.hold(new_session())

    found = await stream.say({"studio-a": SPAN, "studio-a/second": (START + HOUR, HOUR)})

    assert found == {"studio-a": "HELD", "studio-a/second": "HELD"}
    assert stream.answer.renew_after.ToTimedelta() == timedelta(seconds=5)
    first, second = await client.holds()
    assert first.holder_id == second.holder_id == stream.answer.holder_id
    assert moment(first.expire_time) == stream.expires_at("studio-a")
    assert second.hold_id == "second"


async def test_an_empty_message_renews_everything(client: Client) -> None:
    stream = client.hold(new_session())
    await stream.say({f"room-{number}": SPAN for number in range(100)})
    before = {f"room-{n}": stream.expires_at(f"room-{n}") for n in range(100)}

    found = await stream.say()

    assert set(found.values()) == {"HELD"}
    assert all(stream.expires_at(room) > expires for room, expires in before.items())
    assert len(await client.holds(*before)) == 100


async def test_a_message_about_one_hold_renews_the_others(client: Client) -> None:
    stream = client.hold(new_session())
    await stream.say({"studio-a": SPAN})
    before = stream.expires_at("studio-a")

    await stream.say({"studio-b": SPAN})

    assert stream.expires_at("studio-a") > before


async def test_the_session_of_a_stream_is_that_of_other_calls(client: Client) -> None:
    session = new_session()
    granted = await client.heartbeat(session)
    stream = client.hold(session)

    assert await stream.say({"studio-a": SPAN}) == {"studio-a": "HELD"}
    assert stream.answer.holder_id == granted.holder_id
    assert len(await client.holds()) == 1


async def test_a_hold_is_swapped_by_naming_it_anew(client: Client) -> None:
    stream = client.hold(new_session())
    await stream.say({"studio-a": SPAN})

    await stream.say({"studio-a": (START + HOUR, 2 * HOUR)})

    assert await client.spans() == ["studio-a 15:00-17:00"]


async def test_leaving_and_keeping_in_one_message_leaves_first(client: Client) -> None:
    stream = client.hold(new_session())
    names = {f"studio-a/{n}": (START + n * HOUR, HOUR) for n in range(4)}
    await stream.say(names)

    found = await stream.say({"studio-a/4": (START, HOUR)}, leave=("studio-a/0",))

    assert found == {f"studio-a/{n}": "HELD" for n in range(1, 5)}


async def test_what_is_left_is_kept_no_longer(client: Client) -> None:
    stream = client.hold(new_session())
    await stream.say({"studio-a": SPAN, "studio-b": SPAN})

    assert await stream.say(leave=("studio-a",)) == {"studio-b": "HELD"}
    assert await stream.say() == {"studio-b": "HELD"}
    assert await client.spans("studio-a", "studio-b") == ["studio-b 14:00-15:00"]


async def test_a_refused_hold_names_its_reason_and_harms_no_other(
    client: Client, catalog: Catalog
) -> None:
    catalog.unknown.add("studio-x")
    await client.heartbeat(new_session(), start=START + QUARTER)
    stream = client.hold(new_session())

    found = await stream.say({"studio-a": SPAN, "studio-x": SPAN, "studio-b": SPAN})

    assert found == {"studio-a": "SLOT_HELD", "studio-x": "NOT_FOUND", "studio-b": "HELD"}
    (held,) = (r for r in stream.answer.results if r.resource_id == "studio-a")
    (day,) = held.held_quanta
    assert (day.resource_id, day.date.year, day.date.month, day.date.day) == (
        "studio-a", 2027, 3, 9,
    )  # fmt: skip
    assert list(day.quanta) == [57, 58, 59]


async def test_a_refused_hold_is_not_tried_again(client: Client) -> None:
    rival = new_session()
    await client.heartbeat(rival)
    stream = client.hold(new_session())
    assert await stream.say({"studio-a": SPAN}) == {"studio-a": "SLOT_HELD"}
    await client.leave(rival)

    assert await stream.say() == {}
    assert await client.holds() == []


async def test_one_hold_too_many_is_refused_alone(client: Client) -> None:
    stream = client.hold(new_session())

    found = await stream.say({f"studio-a/{n}": (START + n * HOUR, HOUR) for n in range(5)})

    assert sorted(found.values()) == ["HELD"] * 4 + ["TOO_MANY_HOLDS"]


async def test_a_refused_swap_leaves_the_old_hold_to_expire(client: Client) -> None:
    stream = client.hold(new_session())
    await stream.say({"studio-a": SPAN})
    expires_at = stream.expires_at("studio-a")
    await client.heartbeat(new_session(), start=START + HOUR)

    assert await stream.say({"studio-a": (START, 2 * HOUR)}) == {"studio-a": "SLOT_HELD"}

    assert await stream.say() == {}
    own, _ = await client.holds()
    assert moment(own.expire_time) == expires_at


async def test_a_hold_left_by_another_call_is_not_taken_again(client: Client) -> None:
    session = new_session()
    stream = client.hold(session)
    await stream.say({"studio-a": SPAN, "studio-b": SPAN})
    await client.leave(session, "studio-a")

    found = await stream.say()

    assert found == {"studio-a": "ENDED LEFT", "studio-b": "HELD"}
    assert await stream.say() == {"studio-b": "HELD"}
    assert await client.holds("studio-a") == []


async def test_a_hold_left_by_another_call_can_be_asked_for_again(client: Client) -> None:
    session = new_session()
    stream = client.hold(session)
    await stream.say({"studio-a": SPAN})
    await client.leave(session)

    assert await stream.say({"studio-a": SPAN}) == {"studio-a": "HELD"}
    assert await stream.say() == {"studio-a": "HELD"}


async def test_a_hold_that_expired_is_acquired_again_if_it_is_free(serve: Serve) -> None:
    async with serve(hold_timeout_seconds=0.2) as client:
        stream = client.hold(new_session())
        await stream.say({"studio-a": SPAN, "studio-b": SPAN})
        await until(lambda: _nobody_holds(client, "studio-a", "studio-b"))
        await client.heartbeat(new_session(), "studio-b")

        found = await stream.say()

    assert found == {"studio-a": "HELD", "studio-b": "SLOT_HELD"}


async def test_a_stream_asks_the_catalog_once_for_each_resource_and_not_to_renew(
    serve: Serve, catalog: Catalog
) -> None:
    rooms = [f"room-{number}" for number in range(20)]
    async with serve(catalog_fresh_seconds=0) as client:
        stream = client.hold(new_session())
        await stream.say({f"{room}/{n}": SPAN for room in rooms for n in range(2)})

        for _ in range(3):
            await stream.say()

    assert sorted(catalog.asked) == sorted(rooms)


async def test_shared_resources_are_held_by_several_streams(
    client: Client, catalog: Catalog
) -> None:
    catalog.know("studio-a", hold_policy=HOLD_POLICY_ADVISORY)
    streams = [client.hold(new_session()) for _ in range(10)]

    found = await asyncio.gather(*(stream.say({"studio-a": SPAN}) for stream in streams))

    assert found == [{"studio-a": "HELD"}] * 10


async def test_later_messages_may_repeat_whose_they_are(client: Client) -> None:
    session = new_session()
    stream = client.hold(session)
    await stream.say({"studio-a": SPAN})

    found = await stream.send(
        presence_pb2.HoldStreamRequest(organization_id=client.organization_id, session=session)
    )

    assert found == {"studio-a": "HELD"}


async def test_a_stream_keeps_a_hundred_holds_and_no_more(client: Client) -> None:
    stream = client.hold(new_session())
    await stream.say({f"room-{number}": SPAN for number in range(100)})

    swapped = await stream.say(
        {"room-100": SPAN, "room-1": (START + HOUR, HOUR)}, leave=("room-0",)
    )
    refused = await refusal(stream.say({"room-101": SPAN}))

    assert set(swapped.values()) == {"HELD"}
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert refused.fields == ("keep",)


async def test_a_stream_without_a_word_ends_well(client: Client) -> None:
    call = client.stub.HoldStream()

    await call.done_writing()

    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_a_start_off_the_grid_ends_the_stream(client: Client) -> None:
    stream = client.hold(new_session())

    refused = await refusal(stream.say({"studio-a": (START + QUARTER / 3, HOUR)}))

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "OFF_GRID")


@pytest.mark.parametrize(
    ("later", "field"),
    [
        ({"organization_id": "another"}, "organization_id"),
        ({"session": "another-session-of-22-letters"}, "session"),
        ({"session": "short"}, "session"),
        ({"keep": [{"resource_id": "a b"}]}, "keep[0].resource_id"),
        ({"keep": [{"resource_id": "a"}]}, "keep[0].start_time"),
        ({"leave": [{"resource_id": "a", "hold_id": "-"}]}, "leave[0].hold_id"),
        ({"leave": [{"resource_id": f"r{n}"} for n in range(101)]}, "leave"),
    ],
    ids=str,
)
async def test_a_wrong_message_names_its_field_and_ends_the_stream(
    client: Client, later: dict[str, object], field: str
) -> None:
    stream = client.hold(new_session())
    await stream.say({"studio-a": SPAN})

    refused = await refusal(stream.send(presence_pb2.HoldStreamRequest(**later)))  # type: ignore[arg-type]  # a table of any fields

    assert refused.reason == "INVALID_FIELD"
    assert field in refused.fields
    # A mistake is no goodbye.
    assert await client.spans() == ["studio-a 14:00-15:00"]


@pytest.mark.parametrize("missing", ["organization_id", "session"])
async def test_the_first_message_says_whose_it_is(client: Client, missing: str) -> None:
    request = presence_pb2.HoldStreamRequest(
        organization_id=client.organization_id, session=new_session()
    )
    request.ClearField(missing)  # type: ignore[arg-type]  # one of its fields
    stream = client.hold(new_session())

    refused = await refusal(stream.send(request))

    assert refused.fields == (missing,)


async def test_a_hold_named_twice_in_one_message_is_refused(client: Client) -> None:
    request = presence_pb2.HoldStreamRequest(
        organization_id=client.organization_id, session=new_session()
    )
    for start in (START, START + HOUR):
        span = request.keep.add(resource_id="studio-a")
        span.start_time.FromDatetime(start)
        span.duration.FromTimedelta(HOUR)

    refused = await refusal(client.hold(new_session()).send(request))

    assert refused.fields == ("keep",)


async def test_nobody_renews_or_releases_anothers_hold(client: Client) -> None:
    owner, other = client.hold(new_session()), client.hold(new_session())
    await owner.say({"studio-a": SPAN})
    expires_at = owner.expires_at("studio-a")
    holder_id = owner.answer.holder_id

    assert await other.say({"studio-a": SPAN}, leave=("studio-a",)) == {"studio-a": "SLOT_HELD"}
    # The public name of a holder is no secret of its session.
    thief = client.hold(holder_id)
    assert await thief.say({"studio-a": SPAN}, leave=("studio-a",)) == {"studio-a": "SLOT_HELD"}
    await other.half_close()
    await thief.half_close()

    (hold,) = await client.holds()
    assert (hold.holder_id, moment(hold.expire_time)) == (holder_id, expires_at)


async def _nobody_holds(client: Client, *resource_ids: str) -> bool:
    return not await client.holds(*resource_ids)
