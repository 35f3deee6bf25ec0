"""Thousands of random calls against a model that anybody can read."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis.asyncio

from services.presence.domain.hold import Holder, HoldKey, ResourceRule, holder_of
from services.presence.domain.refusal import SlotHeld, TooManyHolds
from services.presence.storage.hold import RedisHolds
from shared.slots.quantum import Span
from tests.integration.presence.conftest import ADVISORY, EXCLUSIVE, MakeHolds, keep

# Short enough that holds end all the time, long enough that few end during a call.
TIMEOUT = timedelta(milliseconds=100)
LIMIT = 2
OPERATIONS = 1_500
ROOMS = ("room-a", "room-b")


@dataclass(frozen=True)
class Held:
    span: Span
    expires: datetime


class Model:
    """Holds in a dict; ``now`` is given to each question."""

    def __init__(self) -> None:
        self.holds: dict[HoldKey, Held] = {}

    def keep(self, key: HoldKey, span: Span, rule: ResourceRule | None, now: datetime) -> str:
        live = {k: h.span for k, h in self.holds.items() if h.expires >= now}
        if live.get(key) == span:
            return "kept"
        if rule is None:
            return "unjudged"
        room = {k: s for k, s in live.items() if k.resource_id == key.resource_id}
        if rule == EXCLUSIVE and any(
            s.overlaps(span) for k, s in room.items() if k.holder != key.holder
        ):
            return "held"
        own = [k for k in room if k.holder == key.holder and k != key]
        return "full" if len(own) >= LIMIT else "kept"

    def release(self, holder: Holder, room: str | None, hold_id: str | None, now: datetime) -> int:
        leaving = [
            key
            for key in self.holds
            if key.holder == holder
            and room in {None, key.resource_id}
            and hold_id in {None, key.hold_id}
        ]
        return sum(self.holds.pop(key).expires >= now for key in leaving)

    def shown(self, span: Span, now: datetime) -> list[tuple[str, str, int, int, datetime]]:
        return sorted(
            (k.resource_id, k.holder.holder_id, h.span.first, h.span.stop, h.expires)
            for k, h in self.holds.items()
            if h.expires >= now and h.span.overlaps(span)
        )

    def ends(self) -> list[datetime]:
        return [held.expires for held in self.holds.values()]


class Walk:
    """One random walk through store and model; a call during which a hold ends starts it anew."""

    def __init__(self, seed: int, holds: RedisHolds, store: redis.asyncio.Redis) -> None:
        self.chance = random.Random(seed)
        self.holds, self.store = holds, store
        self.seen: dict[str, int] = {}
        self.restarts = 0
        self.begin()

    def begin(self) -> None:
        self.organization = f"org-{self.restarts}"
        self.holders = [holder_of(self.organization, f"session-{n}") for n in range(3)]
        self.model = Model()

    async def step(self) -> None:
        act = self.chance.choices([self.keep, self.release, self.look], [8, 1, 1])[0]
        ends, before = self.model.ends(), await self.now()
        expected, found = await act(before)
        after = await self.now()
        if any(before <= end <= after for end in ends):
            self.restarts += 1
            self.begin()
            return
        assert found == expected
        name = str(found) if act == self.keep else act.__name__
        self.seen[name] = self.seen.get(name, 0) + 1

    async def keep(self, now: datetime) -> tuple[Any, Any]:
        span = self.some_span()
        holder, room = self.chance.choice(self.holders), self.chance.choice(ROOMS)
        key = HoldKey(holder, room, self.chance.choice(("", "b", "c")))
        if self.model.holds and self.chance.random() < 0.4:
            key, held = self.chance.choice(list(self.model.holds.items()))
            span = held.span
        rule = self.chance.choice((EXCLUSIVE, EXCLUSIVE, ADVISORY, None))
        expected = self.model.keep(key, span, rule, now)
        try:
            expires = await keep(self.holds, key, span, rule)
        except SlotHeld:
            return expected, "held"
        except TooManyHolds:
            return expected, "full"
        if expires is None:
            return expected, "unjudged"
        self.model.holds[key] = Held(span, expires)
        return expected, "kept"

    async def release(self, now: datetime) -> tuple[Any, Any]:
        holder = self.chance.choice(self.holders)
        room = self.chance.choice((None, *ROOMS))
        if room is None:
            return self.model.release(holder, None, None, now), await self.holds.release_all(holder)
        hold_id = self.chance.choice((None, "", "b"))
        expected = self.model.release(holder, room, hold_id, now)
        return expected, await self.holds.release(holder, room, hold_id)

    async def look(self, now: datetime) -> tuple[Any, Any]:
        span = self.some_span()
        found = await self.holds.live(self.organization, ROOMS, span)
        shown = [
            (h.resource_id, h.holder_id, h.span.first, h.span.stop, h.expires_at) for h in found
        ]
        return self.model.shown(span, now), sorted(shown)

    def some_span(self) -> Span:
        first = self.chance.randrange(12)
        return Span(first, first + self.chance.randint(1, 4))

    async def now(self) -> datetime:
        seconds, microseconds = await self.store.time()
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)


@pytest.mark.parametrize("seed", range(3))
async def test_the_store_does_what_the_model_says(
    make_holds: MakeHolds, valkey_url: str, seed: int
) -> None:
    async with redis.asyncio.Redis.from_url(valkey_url) as store:
        walk = Walk(seed, make_holds(timeout=TIMEOUT, limit=LIMIT), store)

        while sum(walk.seen.values()) < OPERATIONS:
            await walk.step()

    assert walk.seen.keys() == {"kept", "held", "full", "unjudged", "release", "look"}
