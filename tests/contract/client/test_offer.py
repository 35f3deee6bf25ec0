"""What views make of changes in a real catalog, beside a real availability and presence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest

from shared.client.day_view import DayView
from shared.client.month_view import MonthView
from shared.client.selection import NextStep, SelectionState
from tests.contract.availability.mirror_world import BOUND, CountedCatalog
from tests.contract.catalog.caller import Caller, hourly, minutes, room, weekly
from tests.contract.client.conftest import (
    CountingClient,
    House,
    ServeAvailability,
    ServePresence,
)
from tests.contract.client.world import DAY, HOUR, available, first, soon, until
from tests.integration.catalog.database import migrated_database
from tests.stores import PostgresServer

WEEK = timedelta(days=6)

Step = tuple[str, dict[str, Any]]


@dataclass
class Market:
    """An organization whose catalog is real."""

    catalog: CountedCatalog
    address: str
    owner: Caller
    house: House

    def client(self) -> CountingClient:
        return self.house.client(places={"catalog": self.address})

    async def change(self, step: Step) -> None:
        method, fields = step
        await self.owner.ask(method, **fields)


@pytest.fixture(scope="module")
def catalog_url(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database(postgres_server) as url:
        yield url


@asynccontextmanager
async def opened(
    catalog: CountedCatalog, address: str, presence: ServePresence, availability: ServeAvailability
) -> AsyncIterator[Market]:
    places = {"catalog_address": address}
    async with (
        presence(**places) as holds,
        availability(**places, catalog_fresh_seconds=1) as days,
        grpc.aio.insecure_channel(address) as channel,
    ):
        owner = Caller(channel)
        await owner.resource("studio-a")
        await owner.event_type("session", duration_options=[minutes(60), minutes(120)])
        await owner.ask("Link", resource_id="studio-a", event_type_id="session")
        yield Market(catalog, address, owner, House(holds, days, owner.organization_id))


@pytest.fixture
async def market(
    catalog_url: str, serve_presence: ServePresence, serve_availability: ServeAvailability
) -> AsyncIterator[Market]:
    catalog = CountedCatalog(catalog_url)
    async with (
        catalog.served() as server,
        opened(catalog, server.address, serve_presence, serve_availability) as found,
    ):
        yield found


@pytest.fixture
async def ann(market: Market) -> AsyncIterator[CountingClient]:
    async with market.client() as client:
        yield client


@asynccontextmanager
async def informed(client: CountingClient) -> AsyncIterator[CountingClient]:
    """Lets a client hear the catalog before its views ask, however long that takes.

    One that hears it later asks again, and its first picture is stale.
    """
    async with client.live.live_catalog() as catalog:
        assert catalog is not None
        await until(lambda: not catalog.is_stale and catalog.state.state is not None)
        yield client


def day_of(client: CountingClient, length: timedelta = HOUR) -> DayView:
    return client.day_view("studio-a", "session", DAY, length)


def week_of(client: CountingClient) -> MonthView:
    return client.month_view("studio-a", "session", DAY, DAY + WEEK, HOUR)


def update(kind: str, message: Any, *paths: str) -> Step:
    method = {"resource": "UpdateResource", "event_type": "UpdateEventType"}[kind]
    return method, {kind: message, "update_mask": {"paths": paths}}


def lengths(*options: int) -> Step:
    message = hourly("session", duration_options=[minutes(option) for option in options])
    return update("event_type", message, "duration_options")


LINK = {"resource_id": "studio-a", "event_type_id": "session"}
WITHDRAWALS: dict[SelectionState, tuple[Step, Step]] = {
    SelectionState.RESOURCE_DELETED: (
        ("DeleteResource", {"resource_id": "studio-a"}),
        ("UndeleteResource", {"resource_id": "studio-a"}),
    ),
    SelectionState.EVENT_TYPE_DELETED: (
        ("DeleteEventType", {"event_type_id": "session"}),
        ("UndeleteEventType", {"event_type_id": "session"}),
    ),
    SelectionState.RESOURCE_INACTIVE: (
        update("resource", room("studio-a", active=False), "active"),
        update("resource", room("studio-a", active=True), "active"),
    ),
    SelectionState.EVENT_TYPE_INACTIVE: (
        update("event_type", hourly("session", active=False), "active"),
        update("event_type", hourly("session", active=True), "active"),
    ),
    SelectionState.UNLINKED: (("Unlink", LINK), ("Link", LINK)),
    SelectionState.DURATION_GONE: (lengths(30, 120), lengths(60, 120)),
}


@pytest.mark.parametrize("state", WITHDRAWALS, ids=lambda state: state.name)
async def test_what_is_withdrawn_is_told_at_once_with_the_reason_and_goes_on_when_it_is_back(
    market: Market, ann: CountingClient, state: SelectionState
) -> None:
    withdraw, restore = WITHDRAWALS[state]
    async with day_of(ann) as day, week_of(ann) as week:
        days, weeks = aiter(day), aiter(week)
        before = await soon(anext(days))
        assert before.offer.is_offered
        assert len(before.slots) == 8

        await market.change(withdraw)
        begun = time.monotonic()
        gone = await first(days, lambda p: not p.offer.is_offered)
        closed = await first(weeks, lambda p: not p.offer.is_offered)
        assert time.monotonic() - begun < BOUND

        assert (gone.offer.state, gone.slots) == (state, ())
        assert closed.offer == gone.offer
        assert not any(closed.dates.values())
        await market.change(restore)
        begun = time.monotonic()
        back = await first(days, lambda p: p.offer.is_offered and not p.is_stale)
        opened_again = await first(weeks, lambda p: p.offer.is_offered and not p.is_stale)
        assert time.monotonic() - begun < 2 * BOUND
        assert available(back) == available(before)
        assert all(opened_again.dates.values())


async def test_a_lost_length_is_told_with_those_on_offer(
    market: Market, ann: CountingClient
) -> None:
    async with day_of(ann) as day, day_of(ann, 2 * HOUR) as other:
        await market.change(lengths(30, 120))

        gone = await first(aiter(day), lambda p: not p.offer.is_offered)

        assert gone.offer.next_step is NextStep.CHOOSE_DURATION
        assert gone.offer.durations == (HOUR / 2, 2 * HOUR)
        assert other.picture.offer.is_offered


async def test_changed_hours_and_rules_are_asked_for_at_once(
    market: Market, ann: CountingClient
) -> None:
    async with day_of(ann) as day, week_of(ann) as week:
        days, weeks = aiter(day), aiter(week)
        await soon(anext(days))

        sparse = update(
            "event_type", hourly("session", slot_interval=minutes(240)), "slot_interval"
        )
        begun = time.monotonic()
        await market.change(sparse)
        await first(days, lambda p: len(p.slots) == 2)
        assert time.monotonic() - begun < BOUND

        closed = weekly("late", windows=[], is_default=True)
        await market.owner.ask("CreateSchedule", schedule=closed)
        await first(days, lambda p: p.slots == ())
        await first(weeks, lambda p: not any(p.dates.values()))


async def test_a_change_that_touches_no_start_asks_nothing(
    market: Market, ann: CountingClient
) -> None:
    async with informed(ann), day_of(ann) as day:
        pictures = aiter(day)
        await soon(anext(pictures))
        asked = len(ann.made)

        await market.change(update("resource", room("studio-a", name="Grand"), "name"))
        await market.owner.resource("another")
        # Told in order: what came before has been taken in.
        await market.change(("Unlink", LINK))
        await first(pictures, lambda p: not p.offer.is_offered)

        assert len(ann.made) == asked


async def test_views_of_one_client_share_one_watch_of_the_catalog(
    market: Market, ann: CountingClient
) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(day_of(ann))
        opened = market.catalog.asked["WatchCatalog"]
        for view in (day_of(ann), day_of(ann, 2 * HOUR), week_of(ann)):
            await stack.enter_async_context(view)

        assert market.catalog.asked["WatchCatalog"] == opened
        assert len(ann.live._catalogs._known) == 1

    assert not ann.live._catalogs._known


async def test_views_outlive_the_catalog_and_learn_what_they_missed(
    catalog_url: str, serve_presence: ServePresence, serve_availability: ServeAvailability
) -> None:
    catalog = CountedCatalog(catalog_url)
    server = catalog.served()
    running = await server.__aenter__()
    async with (
        opened(catalog, running.address, serve_presence, serve_availability) as market,
        market.client() as client,
        informed(client) as ann,
        day_of(ann) as day,
        week_of(ann) as week,
    ):
        days, weeks = aiter(day), aiter(week)
        before = await soon(anext(days))
        await server.__aexit__(None, None, None)

        stale = await first(days, lambda p: p.is_stale)
        assert (stale.slots, stale.offer.is_offered) == (before.slots, True)
        assert any((await first(weeks, lambda p: p.is_stale)).dates.values())
        # Another place changes the same catalog, and it is back after that.
        async with (
            catalog.served() as other,
            grpc.aio.insecure_channel(other.address) as channel,
        ):
            await Caller(channel, market.owner.organization_id).ask("Unlink", **LINK)
        async with catalog.served(running.address):
            gone = await first(days, lambda p: not p.is_stale)
            closed = await first(weeks, lambda p: not p.is_stale)

    assert gone.offer.state is closed.offer.state is SelectionState.UNLINKED


async def test_a_choice_that_is_not_offered_is_refused_at_entering(
    market: Market, ann: CountingClient
) -> None:
    await market.change(("Unlink", LINK))
    await until_refused(market, ann)

    with pytest.raises(Exception, match="NOT_LINKED"):
        await week_of(ann).__aenter__()


async def until_refused(market: Market, client: CountingClient) -> None:
    """Waits until availability has heard that the link is gone."""
    async with asyncio.timeout(BOUND):
        while True:
            try:
                async with day_of(client):
                    pass
            except Exception as failure:  # noqa: BLE001  # whatever it is, it must be this one
                assert "NOT_LINKED" in str(failure)  # noqa: PT017  # tried again and again
                return


async def test_a_resource_that_becomes_advisory_reserves_nothing_any_more(
    market: Market, ann: CountingClient
) -> None:
    async with market.client() as ben, day_of(ann) as day:
        noon = day.picture.slots[3].start
        async with ben.hold("studio-a", noon, HOUR):
            pictures = aiter(day)
            held = await first(pictures, lambda p: p.holds)
            assert noon not in available(held)

            advisory = room("studio-a", hold_policy="HOLD_POLICY_ADVISORY")
            await market.change(update("resource", advisory, "hold_policy"))

            seen = await first(pictures, lambda p: noon in available(p))
            assert seen.holds == held.holds


async def test_a_start_goes_when_notice_makes_it_too_late(
    market: Market, ann: CountingClient
) -> None:
    async with day_of(ann) as day:
        pictures = aiter(day)
        await soon(anext(pictures))
        far = update(
            "event_type", hourly("session", minimum_notice=minutes(366 * 24 * 60)), "minimum_notice"
        )
        await market.change(far)

        late = await first(pictures, lambda p: p.slots == () and not p.is_stale)

        assert late.offer.is_offered


def clock_at(moment: datetime) -> Callable[[], datetime]:
    """A clock that shows a moment now and goes on."""
    began = time.monotonic()
    return lambda: moment + timedelta(seconds=time.monotonic() - began)


async def test_the_clock_takes_starts_away_as_early_as_notice_says(
    market: Market, ann: CountingClient
) -> None:
    notice = timedelta(hours=2)
    rules = hourly("session", minimum_notice=minutes(120))
    await market.change(update("event_type", rules, "minimum_notice"))
    async with day_of(ann) as day:
        start = available(day.picture)[0]
    clock = clock_at(start - notice - timedelta(seconds=1))
    async with (
        market.house.client(places={"catalog": market.address}, clock=clock) as client,
        day_of(client) as day,
    ):
        assert available(day.picture)[0] == start

        late = await first(aiter(day), lambda p: start not in available(p))

        assert clock() > start - notice
        assert late.slots[0].start == start + HOUR
        assert not late.is_stale


async def test_starts_are_asked_for_when_the_horizon_reaches_them(
    market: Market, ann: CountingClient
) -> None:
    horizon = timedelta(days=30)
    rules = hourly("session", horizon=minutes(30 * 24 * 60))
    await market.change(update("event_type", rules, "horizon"))
    async with day_of(ann) as day:
        start = available(day.picture)[0]
    # Services may be a little behind a clock: it is waited for.
    clock = clock_at(start - horizon + timedelta(seconds=1))
    async with (
        market.house.client(places={"catalog": market.address}, clock=clock) as client,
        day_of(client) as day,
    ):
        pictures = aiter(day)
        await soon(anext(pictures))
        looking = asyncio.ensure_future(anext(pictures))
        asked = len(client.made)
        await until(lambda: len(client.made) > asked)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

        assert clock() > start - horizon + timedelta(seconds=2)
