"""Many sessions at once: one wins, through whichever server they ask."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise

import pytest

from services.presence.domain.hold import holder_of
from tests.contract.presence.catalog import Catalog
from tests.contract.presence.client import START, Client, moment, new_session, quanta
from tests.contract.presence.conftest import Serve

QUARTER = timedelta(minutes=15)


@pytest.fixture
async def pair(serve: Serve) -> AsyncIterator[tuple[Client, Client]]:
    """Two servers on one store, both asked for one organization."""
    async with serve() as one, serve() as other:
        yield one, Client(other.channel, one.organization_id)


async def test_of_two_sessions_racing_for_one_span_exactly_one_wins(
    pair: tuple[Client, Client],
) -> None:
    outcomes = []
    for number in range(200):
        room = f"room-{number}"
        racers = (client.outcome(new_session(), room) for client in pair)
        outcomes.append(sorted(await asyncio.gather(*racers)))

    assert outcomes == [["SLOT_HELD", "granted"]] * 200


async def test_of_many_sessions_racing_for_one_span_exactly_one_wins(
    pair: tuple[Client, Client],
) -> None:
    racers = (pair[n % 2].outcome(new_session()) for n in range(100))

    outcomes = await asyncio.gather(*racers)

    assert Counter(outcomes) == {"SLOT_HELD": 99, "granted": 1}


async def test_spans_that_overlap_at_random_are_never_held_twice(
    pair: tuple[Client, Client],
) -> None:
    chance = random.Random(7)
    sessions = [new_session() for _ in range(8)]

    for _ in range(10):
        await asyncio.gather(
            *(
                chance.choice(pair).outcome(
                    session,
                    start=START + chance.randrange(24) * QUARTER,
                    length=chance.randint(1, 8) * QUARTER,
                )
                for session in sessions * 4
            )
        )

        shown = [(hold.start_time.seconds, hold.end_time.seconds) for hold in await pair[0].holds()]
        assert shown
        assert all(end <= start for (_, end), (start, _) in pairwise(shown)), shown


async def test_who_holds_after_a_settlement_keeps_it_however_late_the_next_copy_comes(
    pair: tuple[Client, Client],
) -> None:
    one, other = pair
    booker, follower = new_session(), new_session()
    for number in range(30):
        room = f"room-{number}"
        await one.heartbeat(booker, room)
        committed = moment((await one.check()).store_time)

        async def follow(room: str = room) -> None:
            while await other.outcome(follower, room) != "granted":
                pass

        following = asyncio.ensure_future(follow())
        copies = (one.settle(quanta(room), session=booker, commit_time=committed) for _ in range(5))
        ended = await asyncio.gather(*copies)
        await following
        late = await other.settle(quanta(room), session=booker, commit_time=committed)

        assert (sum(ended), late) == (1, 0)
        (held,) = await one.holds(room)
        assert held.holder_id == holder_of(one.organization_id, follower).holder_id


async def test_places_in_a_pool_are_given_once_through_two_servers(
    pair: tuple[Client, Client], catalog: Catalog
) -> None:
    catalog.know("bikes", pool=True)

    answers = await asyncio.gather(
        *(pair[n % 2].heartbeat(new_session(), "bikes") for n in range(100))
    )

    assert sorted(answer.units_ahead for answer in answers) == list(range(100))
