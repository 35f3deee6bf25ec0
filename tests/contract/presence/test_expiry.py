"""How long a hold lives, by the store's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import redis.asyncio

from tests.contract.presence.client import Client, moment, new_session, store_now, until
from tests.contract.presence.conftest import Serve

SHORT = timedelta(seconds=0.3)
LATEST = timedelta(seconds=1)
POLL_SECONDS = 0.002


@pytest.fixture
async def short(serve: Serve) -> AsyncIterator[Client]:
    async with serve(hold_timeout_seconds=SHORT.total_seconds()) as client:
        yield client


async def test_a_hold_is_shown_up_to_its_last_instant_and_not_after(
    short: Client, store: redis.asyncio.Redis
) -> None:
    expires = moment((await short.heartbeat(new_session())).expire_time)

    is_shown, seen_late = True, timedelta(0)
    while is_shown:
        before = await store_now(store)
        is_shown = bool(await short.holds())
        after = await store_now(store)

        assert is_shown or after > expires
        assert not is_shown or before <= expires
        seen_late = max(seen_late, before - expires + SHORT)
        await asyncio.sleep(POLL_SECONDS)
    # It was watched to its last tenth, so the loop above judged something.
    assert seen_late > SHORT * 0.9


async def test_a_held_span_is_free_for_others_after_the_timeout_and_not_before(
    short: Client,
) -> None:
    expires = moment((await short.heartbeat(new_session())).expire_time)

    taken = await _taken(short, new_session()) - SHORT

    assert expires < taken <= expires + LATEST


async def test_a_renewed_hold_outlives_its_first_timeout(short: Client) -> None:
    session, rival = new_session(), new_session()
    first = moment((await short.heartbeat(session)).expire_time)

    last = first
    while last < first + 2 * SHORT:
        last = moment((await short.heartbeat(session)).expire_time)
        assert await short.outcome(rival) == "SLOT_HELD"

    assert last >= first + 2 * SHORT


async def test_an_expired_hold_is_judged_anew(short: Client) -> None:
    late, rival = new_session(), new_session()
    await short.heartbeat(late)
    await _taken(short, rival)

    assert await short.outcome(late) == "SLOT_HELD"


async def test_an_expired_hold_does_not_count_as_released(short: Client) -> None:
    session = new_session()
    await short.heartbeat(session)
    await until(lambda: _nobody_holds(short))

    assert await short.leave(session) == 0


async def test_expired_holds_do_not_count_for_the_limit(serve: Serve) -> None:
    session = new_session()
    async with serve(hold_timeout_seconds=0.1, holds_per_resource=1) as client:
        await client.heartbeat(session, hold_id="first")
        await until(lambda: _nobody_holds(client))

        await client.heartbeat(session, hold_id="second")


@pytest.mark.timeout(30)
async def test_by_default_a_hold_lives_ten_seconds_and_is_gone_within_eleven(
    client: Client,
) -> None:
    session = new_session()
    expires = moment((await client.heartbeat(session)).expire_time)

    taken = await _taken(client, new_session(), poll_seconds=0.05)

    elapsed = taken - expires
    assert timedelta(seconds=10) < elapsed <= timedelta(seconds=11)


async def _taken(client: Client, session: str, *, poll_seconds: float = POLL_SECONDS) -> datetime:
    """Tries until the span is the session's; returns when that was."""

    async def is_granted() -> bool:
        return await client.outcome(session) == "granted"

    await until(is_granted, poll_seconds=poll_seconds)
    (hold,) = await client.holds()
    return moment(hold.expire_time)


async def _nobody_holds(client: Client) -> bool:
    return not await client.holds()
