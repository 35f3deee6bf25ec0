"""Thousands of random calls against a model that anybody can read."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis.asyncio

from services.presence.domain.ending import EndReason
from services.presence.domain.hold import (
    HoldKey,
    HoldRule,
    LiveHold,
    ResourceName,
    ResourceRule,
    holder_of,
)
from services.presence.domain.refusal import HoldTooLong, TooManyHolds
from services.presence.domain.taken import SettledTime
from services.presence.domain.wish import Action, Ended, Keep, Kept, Refused, Unjudged, Verdict
from services.presence.storage.hold import RedisHolds
from shared.slots.quantum import Span
from tests.integration.presence.conftest import ADVISORY, EXCLUSIVE, POOL, MakeHolds
from tests.integration.presence.hold_model import Model

# Short enough that holds end all the time, long enough that few end during a call.
TIMEOUT = timedelta(milliseconds=100)
# The store forgets by a coarser clock than that of its holds.
SLACK = timedelta(milliseconds=2)
MICROSECOND = timedelta(microseconds=1)
LIMIT = 2
OPERATIONS = 2_000
ROOMS = ("room-a", "room-b")
SHORT_ONLY = ResourceRule(HoldRule.EXCLUSIVE, 3)


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
        self.model = Model(LIMIT, 2 * TIMEOUT)
        self.settled: SettledTime | None = None

    async def step(self) -> None:
        acts = [self.keep, self.release, self.settle, self.look]
        act = self.chance.choices(acts, [16, 2, 5, 2])[0]
        ends, lapses, before = self.model.ends(), self.model.lapses(), await self.now()
        expected, found = await act(before)
        after = await self.now()
        if (
            any(before <= end <= after for end in ends)
            or any(before - SLACK <= lapse <= after + SLACK for lapse in lapses)
            or found is None
        ):
            self.restarts += 1
            self.begin()
            return
        assert found == expected
        name = found.rstrip("0123456789 ") if act == self.keep else act.__name__
        self.seen[name] = self.seen.get(name, 0) + 1

    async def keep(self, now: datetime) -> tuple[Any, Any]:
        wish = self.some_wish()
        expected = self.model.keep(wish, now)
        (verdict,) = await self.holds.fulfil([wish])
        if isinstance(verdict, Kept):
            hold = await self.stored(wish)
            if hold is None:
                return expected, None
            self.check_order(wish, hold)
            self.model.have(wish, hold.acquired_at, verdict.expires_at)
        return expected, said(verdict)

    async def release(self, now: datetime) -> tuple[Any, Any]:
        holder = self.chance.choice(self.holders)
        room = self.chance.choice((None, *ROOMS))
        if room is None:
            return self.model.release(holder, None, None, now), await self.holds.release_all(holder)
        hold_id = self.chance.choice((None, "", "b"))
        expected = self.model.release(holder, room, hold_id, now)
        return expected, await self.holds.release(holder, room, hold_id)

    async def settle(self, now: datetime) -> tuple[Any, Any]:
        if self.settled is None or self.chance.random() < 0.6:
            self.settled = self.some_settlement(now)
        expected = self.model.settle(self.settled, now)
        return expected, await self.holds.settle([self.settled])

    async def look(self, now: datetime) -> tuple[Any, Any]:
        span = self.some_span()
        found = await self.holds.live(self.organization, ROOMS, span)
        shown = [(h.resource_id, h.holder_id, h.units, h.span, h.expires_at) for h in found]
        return self.model.shown(span, now), sorted(shown, key=str)

    async def stored(self, wish: Keep) -> LiveHold | None:
        found = await self.holds.live(self.organization, [wish.key.resource_id], wish.span)
        name = (wish.key.holder.holder_id, wish.key.hold_id)
        return next((hold for hold in found if (hold.holder_id, hold.hold_id) == name), None)

    def check_order(self, wish: Keep, hold: LiveHold) -> None:
        """A renewal keeps its place; an acquisition comes after all others."""
        held = self.model.holds.get(wish.key)
        newest = self.model.newest(wish.key.resource_id)
        is_kept = held is not None and held.acquired == hold.acquired_at
        assert is_kept or newest is None or hold.acquired_at > newest
        assert not is_kept or held is None or (held.span, held.units) == (hold.span, hold.units)

    def some_wish(self) -> Keep:
        span, units = self.some_span(), self.chance.randint(1, 3)
        holder, room = self.chance.choice(self.holders), self.chance.choice(ROOMS)
        key = HoldKey(holder, room, self.chance.choice(("", "b", "c")))
        if self.model.holds and self.chance.random() < 0.4:
            key, held = self.chance.choice(list(self.model.holds.items()))
            span, units = held.span, held.units
        elif self.model.tombstones and self.chance.random() < 0.3:
            key, tombstone = self.chance.choice(list(self.model.tombstones.items()))
            span = tombstone.span
        rules = (EXCLUSIVE, EXCLUSIVE, POOL, ADVISORY, SHORT_ONLY, None)
        action = self.chance.choice((Action.ACQUIRE, Action.ACQUIRE, Action.RENEW))
        return Keep(key, span, action, self.chance.choice(rules), units)

    def some_settlement(self, now: datetime) -> SettledTime:
        acquired = [held.acquired for held in self.model.holds.values()]
        commits = [now, *acquired, *(moment - MICROSECOND for moment in acquired)]
        settled = SettledTime(
            ResourceName(self.organization, self.chance.choice(ROOMS)),
            self.chance.choice((None, *self.holders)),
            self.some_span(),
            self.chance.randint(1, 3),
            self.chance.choice(commits),
            self.chance.choice((EndReason.BOOKED, EndReason.BLOCKED)),
            self.chance.choice(list(HoldRule)),
        )
        if self.model.holds and self.chance.random() < 0.5:
            key, held = self.chance.choice(list(self.model.holds.items()))
            return replace(
                settled, resource=key.resource, holder=key.holder, span=held.span, committed_at=now
            )
        return settled

    def some_span(self) -> Span:
        first = self.chance.randrange(12)
        return Span(first, first + self.chance.randint(1, 4))

    async def now(self) -> datetime:
        seconds, microseconds = await self.store.time()
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)


def said(verdict: Verdict) -> str:
    """A verdict in the model's words."""
    if isinstance(verdict, Kept):
        return f"kept {verdict.units_ahead}"
    if isinstance(verdict, Ended):
        return f"ended {verdict.reason.name}"
    if isinstance(verdict, Unjudged):
        return "unjudged"
    assert isinstance(verdict, Refused)
    refusal = type(verdict.refusal)
    return {HoldTooLong: "long", TooManyHolds: "full"}.get(refusal, "held")


@pytest.mark.parametrize("seed", range(3))
async def test_the_store_does_what_the_model_says(
    make_holds: MakeHolds, valkey_url: str, seed: int
) -> None:
    async with redis.asyncio.Redis.from_url(valkey_url) as store:
        walk = Walk(seed, make_holds(timeout=TIMEOUT, limit=LIMIT), store)

        while sum(walk.seen.values()) < OPERATIONS:
            await walk.step()

    ends = {f"ended {reason}" for reason in ("LEFT", "BOOKED", "BLOCKED")}
    acts = {"release", "settle", "look"}
    assert walk.seen.keys() == {"kept", "held", "full", "long", "unjudged", *ends, *acts}
