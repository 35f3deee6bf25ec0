"""A day as viewers see it, through real services on real stores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta

import pytest

from shared.client.day_view import DayPicture, DayView
from shared.client.days_fold import DayKey
from shared.client.failure import HoldfastError
from shared.client.selection import SelectionState
from shared.slots.bitmap import mask
from tests.contract.availability.world import FakeCatalog, length
from tests.contract.client.conftest import (
    CountingClient,
    House,
    ServeAvailability,
    ServePresence,
)
from tests.contract.client.world import (
    DAY,
    HOUR,
    NOON,
    available,
    book,
    cancel,
    first,
    open_streams,
    reserved,
    soon,
    until,
)

MIDNIGHT = datetime(2027, 3, 9, tzinfo=UTC)


def viewed(
    client: CountingClient, duration: timedelta = HOUR, resource_id: str = "studio-a"
) -> DayView:
    return client.day_view(resource_id, "session", DAY, duration)


async def test_a_day_begins_with_every_start_by_time(ann: CountingClient) -> None:
    async with viewed(ann) as view:
        picture = view.picture

    assert available(picture) == [MIDNIGHT + n * HOUR for n in range(24)]
    assert not picture.is_stale
    assert picture.holds == ()
    assert picture.time_zone == "UTC"
    assert ann.made == ["GetDaySlots"]


async def test_anothers_hold_reserves_what_needs_its_time_without_a_question(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with viewed(ann, 5 * HOUR) as view, ben.hold("studio-a", NOON, HOUR) as hold:
        picture = await first(aiter(view), reserved)
        await soon(hold.settled())

        assert reserved(picture) == [NOON + n * HOUR for n in range(-4, 1)]
        # In one list, by time.
        starts = [slot.start for slot in picture.slots]
        assert starts == sorted(starts)
        assert len(starts) == 24
        assert [held.holder_id for held in picture.holds] == [hold.holder_id]
        assert {slot.held_until for slot in picture.slots} == {None}

        await hold.__aexit__(None, None, None)
        await first(aiter(view), lambda p: not reserved(p))

    assert ann.made == ["GetDaySlots"]


async def test_ones_own_hold_reserves_nothing_from_its_first_moment(ann: CountingClient) -> None:
    pictures: list[DayPicture] = []

    async def look(view: DayView) -> None:
        async for picture in view:
            pictures.append(picture)  # noqa: PERF401  # read while it goes on

    async with viewed(ann) as view:
        looking = asyncio.create_task(look(view))
        for number in range(10):
            async with ann.hold("studio-a", NOON + number * HOUR, HOUR) as hold:
                await soon(hold.settled())
                await until(lambda: pictures and pictures[-1].holds)
            await until(lambda: not pictures[-1].holds)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    assert len(pictures) >= 20
    assert not any(reserved(picture) for picture in pictures)
    assert {held.holder_id for picture in pictures for held in picture.holds} == {hold.holder_id}


async def test_a_session_that_holds_elsewhere_is_known_as_ones_own(
    house: House, ben: CountingClient
) -> None:
    session = "a-session-of-two-programs"
    async with (
        ben.hold("studio-a", NOON, HOUR, session=session) as hold,
        house.client() as client,
        client.day_view("studio-a", "session", DAY, HOUR, session=session) as view,
    ):
        await soon(hold.settled())

        picture = await first(aiter(view), lambda p: p.holder_id and p.holds)

        assert picture.holder_id == hold.holder_id
        assert reserved(picture) == []


async def test_renewals_ask_nothing_and_show_nothing(
    ann: CountingClient, ben: CountingClient
) -> None:
    pictures: list[DayPicture] = []

    async def look(view: DayView) -> None:
        async for picture in view:
            pictures.append(picture)  # noqa: PERF401  # read while it goes on

    async with ben.hold("studio-a", NOON, HOUR) as hold:
        expires_at = (await soon(hold.settled())).expires_at
        assert expires_at is not None
        async with viewed(ann) as view:
            looking = asyncio.create_task(look(view))
            await until(
                lambda: hold.expires_at and hold.expires_at > expires_at + timedelta(seconds=5)
            )
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    assert len(pictures) == 1
    assert ann.made == ["GetDaySlots"]


async def test_a_booking_takes_its_starts_away_and_a_cancellation_brings_them_back(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with viewed(ann) as view:
        booking_id = await book(ben, NOON)
        picture = await first(aiter(view), lambda p: NOON not in available(p))
        assert len(picture.slots) == 23
        assert picture.days[DayKey("studio-a", DAY)].busy == mask(48, 52)
        # A question under way might be answered with the cancellation, before the watch tells it.
        await until(lambda: ann.answered == ["GetDaySlots"] * 2)

        await cancel(ben, booking_id)
        picture = await first(aiter(view), lambda p: NOON in available(p))
        assert len(picture.slots) == 24
        assert picture.days[DayKey("studio-a", DAY)].busy == 0

    assert ann.made == ["GetDaySlots"] * 3


async def test_many_bookings_at_once_cause_few_questions(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with viewed(ann) as view:
        await asyncio.gather(*(book(ben, MIDNIGHT + n * HOUR) for n in range(20)))

        await first(aiter(view), lambda p: len(p.slots) == 4)

        assert 2 <= len(ann.made) <= 21


async def test_another_resource_and_another_day_concern_nobody(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with viewed(ann) as view, viewed(ann, resource_id="studio-b") as other:
        before = other.picture
        await book(ben, NOON)
        await book(ben, NOON + timedelta(days=20))
        async with ben.hold("studio-a", NOON + HOUR, HOUR):
            await first(aiter(view), lambda p: reserved(p) and len(p.slots) == 23)
            await until(lambda: len(ann.answered) == 3)

        assert other.picture == before

    assert ann.made == ["GetDaySlots"] * 3


async def test_ten_viewers_share_three_questions_and_two_streams(
    serve_presence: ServePresence,
    serve_availability: ServeAvailability,
    organization_id: str,
    unused_tcp_port_factory: Callable[[], int],
) -> None:
    told = {name: unused_tcp_port_factory() for name in ("presence", "availability")}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        holds = await enter(serve_presence(metrics_listen=f"127.0.0.1:{told['presence']}"))
        days = await enter(serve_availability(metrics_listen=f"127.0.0.1:{told['availability']}"))
        house = House(holds, days, organization_id)
        ann, ben = await enter(house.client()), await enter(house.client())
        views = [await enter(viewed(ann, hours * HOUR)) for hours in (1, 2, 5, 1, 2, 5, 1, 2, 5, 1)]
        async with ben.hold("studio-a", NOON, HOUR):
            pictures = await asyncio.gather(*(first(aiter(view), reserved) for view in views))
        assert [len(reserved(picture)) for picture in pictures[:3]] == [1, 2, 5]
        assert ann.made == ["GetDaySlots"] * 3
        assert await open_streams(told["presence"], "WatchPresence") == 1
        assert await open_streams(told["availability"], "WatchDays") == 1

        await book(ben, NOON)
        await asyncio.gather(
            *(first(aiter(view), lambda p: NOON not in available(p)) for view in views)
        )
        await until(lambda: len(ann.made) == 6)


async def test_who_stays_is_told_after_another_viewer_of_the_same_has_gone(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with viewed(ann) as staying:
        async with viewed(ann):
            pass
        booking_id = await book(ben, NOON)
        await first(aiter(staying), lambda p: NOON not in available(p))

        await cancel(ben, booking_id)
        await first(aiter(staying), lambda p: NOON in available(p))

        async with ben.hold("studio-a", NOON, HOUR):
            await first(aiter(staying), reserved)


async def test_a_client_without_viewers_has_no_streams(ann: CountingClient) -> None:
    async with viewed(ann), viewed(ann, 2 * HOUR):
        assert len(ann.live._presence._known) == 1

    assert not ann.live._presence._known
    assert not ann.live._days._known
    assert not ann.live._slots._known


@pytest.mark.parametrize(
    ("resource_id", "event_type_id", "duration", "reason"),
    [
        ("no-such-room", "session", HOUR, "NOT_FOUND"),
        ("studio-a", "no-such-type", HOUR, "NOT_FOUND"),
        ("studio-a", "session", 3 * HOUR, "DURATION_NOT_OFFERED"),
    ],
)
async def test_what_cannot_be_viewed_is_refused_at_entering(
    ann: CountingClient, resource_id: str, event_type_id: str, duration: timedelta, reason: str
) -> None:
    with pytest.raises(HoldfastError) as caught:
        async with ann.day_view(resource_id, event_type_id, DAY, duration):
            pass

    assert caught.value.reason == reason
    assert not ann.live._slots._known


async def test_without_a_catalog_a_refusal_tells_that_the_choice_is_withdrawn(
    ann: CountingClient, fake_catalog: tuple[FakeCatalog, str]
) -> None:
    offerings = fake_catalog[0].offerings
    name = (ann.organization_id, "studio-a", "session")
    async with viewed(ann) as view:
        pictures = aiter(view)
        before = await soon(anext(pictures))
        withdrawn = offerings.pop(name)

        view.refresh()
        gone = await first(pictures, lambda p: not p.offer.is_offered)

        assert gone.slots == ()
        assert gone.offer.state in {
            SelectionState.RESOURCE_DELETED,
            SelectionState.EVENT_TYPE_DELETED,
        }
        offerings[name] = withdrawn
        assert (await first(pictures, lambda p: p.offer.is_offered)).slots == before.slots


async def test_a_local_date_is_shown_on_the_utc_dates_it_touches(
    ann: CountingClient, ben: CountingClient
) -> None:
    async with ann.day_view(
        "studio-a", "session", DAY, HOUR, time_zone="America/Los_Angeles"
    ) as view:
        assert [key.date for key in view.picture.days] == [DAY, date(2027, 3, 10)]
        # 23:00 there.
        late = datetime(2027, 3, 10, 7, tzinfo=UTC)
        assert available(view.picture)[-1] == late
        async with ben.hold("studio-a", late, HOUR):
            assert reserved(await first(aiter(view), reserved)) == [late]
        async with ben.hold("studio-a", MIDNIGHT - HOUR, HOUR) as other:
            await soon(other.settled())
            assert view.picture.holds == ()


async def test_starts_that_reach_far_are_followed_to_their_end(
    ann: CountingClient,
    ben: CountingClient,
    fake_catalog: tuple[FakeCatalog, str],
) -> None:
    days = timedelta(days=31)
    fake_catalog[0].offer(
        ann.organization_id,
        "studio-a",
        "rental",
        duration_options=[length(days)],
        buffer_after=length(timedelta(hours=24)),
    )
    async with ann.day_view("studio-a", "rental", DAY, days) as view:
        before = available(view.picture)
        assert before
        async with ben.hold("studio-a", NOON + timedelta(days=31), HOUR):
            picture = await first(aiter(view), reserved)
        assert reserved(picture)

        await book(ben, NOON + timedelta(days=20))
        await first(aiter(view), lambda p: not p.slots)
