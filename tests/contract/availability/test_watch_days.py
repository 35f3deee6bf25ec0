"""WatchDays: what a watcher is told, in which order, and where it goes on after a break."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from functools import partial

import grpc
import pytest

from services.availability.rpc import servicer
from shared.runtime.watch import serve_watch
from tests.contract.availability.watching import Key, Seen, stored, watching
from tests.contract.availability.world import HOUR, Caller, FakeCatalog, length

MONDAY = date(2027, 3, 8)
WEEK = [MONDAY + timedelta(days=offset) for offset in range(7)]
NINE = datetime(2027, 3, 8, 9, tzinfo=UTC)
DAY = timedelta(days=1)
NINE_QUANTA = [36, 37, 38, 39]
ALL_QUANTA = list(range(96))


@pytest.fixture
def booker(caller: Caller, catalog: FakeCatalog) -> Caller:
    """Whoever may book two studios, from an hour to days."""
    offer(catalog, caller)
    return caller


def offer(catalog: FakeCatalog, caller: Caller) -> None:
    for resource_id in ("studio-a", "studio-b"):
        catalog.offer(
            caller.organization_id,
            resource_id,
            flexible_duration={
                "minimum": length(HOUR),
                "maximum": length(5 * DAY),
                "step": length(HOUR),
            },
        )


async def test_the_snapshot_has_every_asked_day_in_the_order_asked(booker: Caller) -> None:
    await booker.book(NINE)

    async with watching(booker, ["studio-b", "studio-a"], [WEEK[2], MONDAY]) as watcher:
        told = await watcher.next()

    free = Seen([], 0)
    assert told.event == "SNAPSHOT"
    assert list(told.days.items()) == [
        (Key("studio-b", MONDAY), free),
        (Key("studio-b", WEEK[2]), free),
        (Key("studio-a", MONDAY), Seen(NINE_QUANTA, 1)),
        (Key("studio-a", WEEK[2]), free),
    ]
    assert told.version == 1


async def test_a_booking_over_three_days_is_one_message_and_its_cancellation_another(
    booker: Caller,
) -> None:
    async with watching(booker, ["studio-a"], WEEK) as watcher:
        await watcher.next()
        booking = await booker.book(NINE, 2 * DAY)
        booked = await watcher.next()
        await booker.cancel(booking.booking_id)
        cancelled = await watcher.next()

    assert (booked.event, booked.after, booked.version) == ("CHANGES", 0, 1)
    assert dict(booked.days) == {
        Key("studio-a", MONDAY): Seen(ALL_QUANTA[36:], 1),
        Key("studio-a", WEEK[1]): Seen(ALL_QUANTA, 1),
        Key("studio-a", WEEK[2]): Seen(ALL_QUANTA[:36], 1),
    }
    assert (cancelled.event, cancelled.after, cancelled.version) == ("CHANGES", 1, 2)
    assert dict(cancelled.days) == {Key("studio-a", day): Seen([], 2) for day in WEEK[:3]}


async def test_days_and_resources_that_are_not_watched_are_not_told(booker: Caller) -> None:
    async with watching(booker, ["studio-a"], [MONDAY, WEEK[2]]) as watcher:
        await watcher.next()
        await booker.book(NINE + 3 * DAY)
        await booker.book(NINE, items=[{"resource_id": "studio-b"}])
        await booker.book(NINE, 2 * DAY)
        told = await watcher.next()

    # Two changes were none of the watcher's; nothing is missing all the same.
    assert (told.after, told.version) == (0, 3)
    assert list(told.days) == [Key("studio-a", MONDAY), Key("studio-a", WEEK[2])]


async def test_other_organizations_are_not_told(booker: Caller, catalog: FakeCatalog) -> None:
    stranger = booker.elsewhere()
    offer(catalog, stranger)
    async with (
        watching(booker, ["studio-a"], [MONDAY]) as watcher,
        watching(stranger, ["studio-a"], [MONDAY]) as others,
    ):
        await watcher.next()
        await others.next()
        await stranger.book(NINE + HOUR)
        told_others = await others.next()
        await booker.book(NINE)
        told = await watcher.next()

    assert told_others.days[Key("studio-a", MONDAY)].quanta == [40, 41, 42, 43]
    assert dict(told.days) == {Key("studio-a", MONDAY): Seen(NINE_QUANTA, 1)}


async def test_a_refused_booking_tells_nothing(booker: Caller) -> None:
    async with watching(booker, ["studio-a"], [MONDAY]) as watcher:
        await watcher.next()
        await booker.book(NINE)
        await booker.refused_book(NINE)
        await booker.book(NINE + HOUR)
        messages = [await watcher.next(), await watcher.next()]

    assert [told.version for told in messages] == [1, 2]


async def test_changes_come_one_by_one_in_the_order_of_commits(booker: Caller) -> None:
    async with watching(booker, ["studio-a"], [MONDAY, WEEK[1]]) as watcher:
        await watcher.next()
        await asyncio.gather(*(booker.book(NINE + hour * HOUR) for hour in range(20)))
        messages = []
        while watcher.busy("studio-a", MONDAY) != ALL_QUANTA[36:]:
            messages.append(await watcher.next())

    assert {told.event for told in messages} == {"CHANGES"}
    assert [told.version for told in messages] == list(range(1, len(messages) + 1))


async def test_an_idle_watch_gets_a_bookmark_within_five_seconds(booker: Caller) -> None:
    async with watching(booker, ["studio-a"], [MONDAY]) as watcher:
        await watcher.next()
        told = await watcher.next(5)

    assert told.event == "BOOKMARK"


@pytest.fixture
def quick_bookmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servicer, "serve_watch", partial(serve_watch, bookmark_seconds=0.05))


@pytest.mark.usefixtures("quick_bookmarks")
async def test_a_bookmark_counts_what_was_not_the_watchers(booker: Caller) -> None:
    async with watching(booker, ["studio-a"], [MONDAY]) as watcher:
        await watcher.next()
        await booker.book(NINE + DAY)
        await watcher.until(1)

    assert watcher.messages[-1].event == "BOOKMARK"
    async with watching(booker, ["studio-a"], [MONDAY], after=watcher) as resumed:
        assert (await resumed.next()).event == "BOOKMARK"


async def test_resuming_tells_first_that_nothing_changed(booker: Caller) -> None:
    await booker.book(NINE)
    async with watching(booker, ["studio-a"], [MONDAY]) as watcher:
        await watcher.next()
    await booker.book(NINE + DAY)

    async with watching(booker, ["studio-a"], [MONDAY], after=watcher) as resumed:
        first = await resumed.next()
        await booker.book(NINE + HOUR)
        second = await resumed.next()

    assert first.event == "BOOKMARK"
    assert (second.event, second.version) == ("CHANGES", 3)


async def test_resuming_tells_exactly_what_changed_meanwhile(booker: Caller) -> None:
    async with watching(booker, ["studio-a", "studio-b"], WEEK) as watcher:
        await booker.book(NINE)
        await watcher.until(1)
    booking = await booker.book(NINE + DAY)
    await booker.cancel(booking.booking_id)
    await booker.book(NINE + 2 * DAY, items=[{"resource_id": "studio-b"}])
    await booker.book(NINE + 20 * DAY)

    async with watching(booker, ["studio-a", "studio-b"], WEEK, after=watcher) as resumed:
        told = await resumed.next()

    assert (told.event, told.after, told.version) == ("CHANGES", 1, 5)
    assert dict(told.days) == {
        Key("studio-a", WEEK[1]): Seen([], 3),
        Key("studio-b", WEEK[2]): Seen(NINE_QUANTA, 4),
    }
    assert resumed.state == await stored(booker, ["studio-a", "studio-b"], WEEK)


async def test_each_messages_token_resumes_after_that_message(booker: Caller) -> None:
    async with watching(booker, ["studio-a"], WEEK) as watcher:
        await watcher.next()
        for offset in range(4):
            await booker.book(NINE + offset * DAY)
            await watcher.next()

    for told in watcher.messages[:-1]:
        async with watching(booker, ["studio-a"], WEEK, token=told.token) as resumed:
            resumed.version = told.version
            missed = await resumed.next()

        assert missed.event == "CHANGES"
        assert [key.day for key in missed.days] == WEEK[told.version : 4]


async def test_a_token_of_what_never_happened_here_is_reset(booker: Caller) -> None:
    async with watching(booker, ["studio-a"], [MONDAY]) as watcher:
        token = (await watcher.next()).token
    await booker.book(NINE)
    # Its last part is the version, the one before the store's epoch.
    later = token[:-8] + (2**40).to_bytes(8)
    elsewhere = token[:-16] + (1).to_bytes(8) + token[-8:]

    for unknown in (later, elsewhere):
        async with watching(booker, ["studio-a"], [MONDAY], token=unknown) as resumed:
            told = await resumed.next()

        assert (told.event, told.version) == ("RESET", 1)
        assert dict(told.days) == {Key("studio-a", MONDAY): Seen(NINE_QUANTA, 1)}


async def token_of(caller: Caller, resource_id: str = "studio-a", day: date = MONDAY) -> bytes:
    async with watching(caller, [resource_id], [day]) as watcher:
        return (await watcher.next()).token


async def test_a_token_of_another_watch_is_refused(booker: Caller, catalog: FakeCatalog) -> None:
    stranger = booker.elsewhere()
    offer(catalog, stranger)
    foreign = [
        await token_of(booker, "studio-b"),
        await token_of(booker, day=WEEK[1]),
        await token_of(stranger),
    ]

    for token in foreign:
        async with watching(booker, ["studio-a"], [MONDAY], token=token) as watcher:
            refusal = await watcher.refusal()

        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.reason == "INVALID_RESUME_TOKEN"


async def test_a_damaged_token_is_refused(booker: Caller) -> None:
    token = await token_of(booker)
    damaged = [token[:-1], token + b"\0", bytes([token[0] ^ 1]) + token[1:], b"\xff" * len(token)]
    damaged += [token[:-8] + b"\xff" * 8, b"x"]

    for wrong in damaged:
        async with watching(booker, ["studio-a"], [MONDAY], token=wrong) as watcher:
            assert (await watcher.refusal()).reason == "INVALID_RESUME_TOKEN"


async def test_an_unknown_resource_is_not_found(booker: Caller) -> None:
    async with watching(booker, ["studio-a", "nothing"], [MONDAY]) as watcher:
        refusal = await watcher.refusal()

    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.metadata == {"kind": "resource", "id": "nothing"}


@pytest.mark.parametrize(
    ("resource_ids", "dates", "field"),
    [
        ([], [MONDAY], "resource_ids"),
        (["studio-a", "studio-a"], [MONDAY], "resource_ids"),
        (["a b"], [MONDAY], "resource_ids[0]"),
        ([f"r{number}" for number in range(101)], [MONDAY], "resource_ids"),
        (["studio-a"], [], "dates"),
        (["studio-a"], [MONDAY, MONDAY], "dates"),
        (["studio-a"], [MONDAY + offset * DAY for offset in range(94)], "dates"),
        ([f"r{number}" for number in range(46)], WEEK, "dates"),
    ],
)
async def test_what_cannot_be_watched_is_refused_by_field(
    booker: Caller, resource_ids: list[str], dates: list[date], field: str
) -> None:
    async with watching(booker, resource_ids, dates) as watcher:
        refusal = await watcher.refusal()

    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", [field])
