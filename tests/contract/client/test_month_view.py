"""Dates as viewers see them, through a real availability on a real database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from services.availability import bootstrap as availability
from shared.client.failure import HoldfastError
from shared.client.month_view import MonthPicture, MonthView
from shared.runtime.clock import Clock
from shared.runtime.server import started
from tests.contract.availability.conftest import StillSettings
from tests.contract.availability.world import FakeCatalog, weekly
from tests.contract.client.conftest import CountingClient, House
from tests.contract.client.test_view_faults import LaggingClient, lagging
from tests.contract.client.world import DAY, HOUR, NOON, book, cancel, first

FIRST = date(2027, 3, 1)


@pytest.fixture
def house(house: House, fake_catalog: tuple[FakeCatalog, str]) -> House:
    """Its studio-a is open for one hour a day."""
    hours = weekly("UTC", {day: [(12 * 60, 13 * 60)] for day in range(1, 8)})
    fake_catalog[0].offer(house.organization_id, "studio-a", schedule=hours)
    return house


def viewed(client: CountingClient, days: int = 31) -> MonthView:
    last = FIRST + timedelta(days=days - 1)
    return client.month_view("studio-a", "session", FIRST, last, HOUR)


def is_open(picture: MonthPicture, day: date = DAY) -> bool:
    return picture.dates[day]


async def test_a_month_begins_with_every_date(ann: CountingClient) -> None:
    async with viewed(ann) as view:
        picture = await first(aiter(view), lambda p: not p.is_stale)

    assert list(picture.dates) == [FIRST + timedelta(days=n) for n in range(31)]
    assert all(picture.dates.values())
    assert picture.time_zone == "UTC"


async def test_a_booking_closes_its_date_and_a_cancellation_opens_it(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with viewed(ann) as view:
        booking_id = await book(ben, NOON)
        picture = await first(aiter(view), lambda p: not is_open(p))
        assert sum(not opened for opened in picture.dates.values()) == 1

        await cancel(ben, booking_id)
        await first(aiter(view), is_open)

    # Once at entering, then for each change, and once more for each when it must have reached
    # every server.
    assert ann.made.count("GetMonthAvailability") <= 6


async def test_the_most_dates_are_followed_from_first_to_last(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with viewed(ann, 93) as view:
        for day in (FIRST + timedelta(days=1), FIRST + timedelta(days=92)):
            await book(ben, NOON + (day - DAY))

            await first(aiter(view), lambda p, day=day: not is_open(p, day))  # type: ignore[misc]


async def test_a_server_that_lagged_does_not_leave_a_date_wrong(
    house: House, ben: CountingClient
) -> None:
    ann: LaggingClient
    async with lagging(house) as ann, viewed(ann) as view:
        await first(aiter(view), is_open)
        ann.lag = 1
        await book(ben, NOON)

        await first(aiter(view), lambda p: not is_open(p) and not p.is_stale)


@pytest.mark.parametrize(
    ("resource_id", "reason"), [("no-such-room", "NOT_FOUND"), ("studio-b", "NOT_FOUND")]
)
async def test_what_cannot_be_viewed_is_refused_at_entering(
    ann: CountingClient, resource_id: str, reason: str
) -> None:
    with pytest.raises(HoldfastError) as caught:
        async with ann.month_view(resource_id, "no-such-type", FIRST, DAY, HOUR):
            pass

    assert caught.value.reason == reason


class RunningSettings(StillSettings):
    """Availability whose clock runs, so much ahead of the host's."""

    ahead: timedelta

    def clock(self) -> Clock:
        return Clock(self.ahead)


async def test_a_date_is_closed_when_the_clock_passes_its_last_start(
    house: House, client_database: str, fake_catalog: tuple[FakeCatalog, str]
) -> None:
    ahead = NOON - timedelta(seconds=4) - datetime.now(UTC)
    settings = RunningSettings.model_validate(
        {
            "postgres_url": client_database,
            "catalog_address": fake_catalog[1],
            "throwaway_data": True,
            "drain_seconds": 0.2,
            "ahead": ahead,
        }
    )
    clock = Clock(ahead).now
    async with (
        started(settings, availability.wired) as server,
        house.client(clock=clock, places={"availability": server.address}) as ann,
        ann.month_view("studio-a", "session", DAY, DAY + timedelta(days=2), HOUR) as view,
    ):
        assert list(view.picture.dates.values()) == [True, True, True]

        passed = await first(aiter(view), lambda p: not is_open(p))

        assert clock() >= NOON
        assert list(passed.dates.values()) == [False, True, True]
        assert not passed.is_stale


async def test_a_clock_that_the_services_contradict_closes_nothing(house: House) -> None:
    async with house.client(clock=lambda: NOON + timedelta(days=9)) as ann, viewed(ann) as view:
        assert all(view.picture.dates.values())


async def test_dates_that_have_passed_are_closed(house: House) -> None:
    days = [NOON - timedelta(days=1)]
    async with (
        house.client(clock=lambda: days[0]) as ann,
        ann.month_view("studio-a", "session", DAY, DAY + timedelta(days=2), HOUR) as view,
    ):
        before = view.picture
        days[0] = NOON + timedelta(days=1)

        picture = view.picture

    assert is_open(before)
    assert not is_open(picture)
    assert is_open(picture, DAY + timedelta(days=1))
