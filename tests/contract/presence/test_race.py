"""Many sessions at once: one wins, through whichever server they ask."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.contract.presence.client import START, Client, new_session
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
