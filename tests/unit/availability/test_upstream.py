"""How the catalog's answers are kept and read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from datetime import date, timedelta
from typing import Any

import pytest

from holdfast.catalog.v1 import event_type_pb2, offering_pb2, resource_pb2
from holdfast.catalog.v1.schedule_pb2 import DateOverride
from services.availability.domain.offering import OfferingName
from services.availability.upstream.catalog import Catalog
from services.availability.upstream.memory import Memory
from services.availability.upstream.offering import read_offering
from shared.runtime.failure import StoreUnavailable
from shared.slots.rule import ClosedHours, DurationRange
from shared.slots.schedule import Window
from shared.slots.zone import zone
from tests.contract.availability.world import around_the_clock, civil, length, weekly, window

NAME = OfferingName("org", "studio-a", "session")
HOUR = timedelta(hours=1)


class Source:
    """Answers a question with how often it was asked, when it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.fails = False
        self.now = 0.0
        self.memory = Memory(self.ask, fresh_seconds=1.0, most=2, monotonic=lambda: self.now)

    async def ask(self, key: str) -> int:
        self.asked.append(key)
        self.was_asked.set()
        await self.may_answer.wait()
        if self.fails:
            raise ConnectionError
        return self.asked.count(key)


@pytest.fixture
async def source() -> AsyncIterator[Source]:
    source = Source()
    yield source
    await source.memory.close()


async def test_an_answer_counts_for_a_second_and_no_longer(source: Source) -> None:
    assert await source.memory("a") == 1
    source.now = 0.999
    assert await source.memory("a") == 1
    source.now = 1.0
    assert await source.memory("a") == 2


async def test_freshness_begins_with_the_question_not_with_the_answer(source: Source) -> None:
    source.may_answer.clear()
    first = asyncio.create_task(source.memory("a"))
    await source.was_asked.wait()
    source.now = 0.8
    source.may_answer.set()
    await first
    source.now = 1.1

    assert await source.memory("a") == 2


async def test_askers_at_once_share_a_question_that_outlives_the_first_of_them(
    source: Source,
) -> None:
    source.may_answer.clear()
    askers = [asyncio.create_task(source.memory("a")) for _ in range(3)]
    await source.was_asked.wait()
    askers[0].cancel()
    source.may_answer.set()

    assert await asyncio.gather(*askers[1:]) == [1, 1]
    assert source.asked == ["a"]


async def test_a_failure_is_shared_and_not_remembered(source: Source) -> None:
    source.fails = True
    found = await asyncio.gather(*(source.memory("a") for _ in range(3)), return_exceptions=True)
    source.fails = False

    assert [type(one) for one in found] == [ConnectionError] * 3
    assert await source.memory("a") == 2


async def test_the_answer_used_longest_ago_is_forgotten_first(source: Source) -> None:
    for key in ("a", "b", "a", "c", "a", "b"):
        await source.memory(key)

    assert source.asked == ["a", "b", "c", "b"]


async def test_what_is_forgotten_is_asked_again(source: Source) -> None:
    await source.memory("a")

    source.memory.forget()

    assert await source.memory("a") == 2


async def test_one_answer_is_forgotten_alone(source: Source) -> None:
    await source.memory("a")
    await source.memory("b")

    source.memory.drop("a")
    source.memory.drop("never asked")

    assert [await source.memory("a"), await source.memory("b")] == [2, 1]


async def test_questions_in_flight_end_with_the_memory(source: Source) -> None:
    source.may_answer.clear()
    asker = asyncio.create_task(source.memory("a"))
    await source.was_asked.wait()

    await source.memory.close()

    with pytest.raises(asyncio.CancelledError):
        await asker


def answer(**changes: Any) -> offering_pb2.Offering:
    facts: dict[str, Any] = {
        "resource": resource_pb2.Resource(active=True, standalone=True, time_zone="Asia/Tokyo"),
        "event_type": event_type_pb2.EventType(
            active=True, title="Session", duration_options=[length(2 * HOUR), length(HOUR)]
        ),
        "schedule": around_the_clock("Europe/Berlin"),
        "linked": True,
        "version": 1,
    }
    return offering_pb2.Offering(**(facts | changes))


def test_facts_are_read_as_they_are() -> None:
    found = read_offering(
        NAME,
        answer(
            resource=resource_pb2.Resource(
                active=False,
                standalone=False,
                pool=True,
                type=resource_pb2.RESOURCE_TYPE_EQUIPMENT,
            ),
            event_type=event_type_pb2.EventType(
                active=False,
                requires_confirmation=True,
                title="Session",
                duration_options=[length(HOUR)],
                locations=["Room 1"],
                time_zone_lock="America/New_York",
            ),
            linked=False,
        ),
    )

    facts = (found.resource_active, found.standalone, found.event_type_active, found.linked)
    assert facts == (False,) * 4
    assert (found.pool, found.resource_type, found.needs_confirmation) == (True, "equipment", True)
    assert found.title == "Session"
    assert found.locations == ("Room 1",)
    assert found.zone_lock is zone("America/New_York")


def test_lengths_are_sorted_and_absent_rules_have_their_defaults() -> None:
    rules = read_offering(NAME, answer()).rules

    assert rules.durations == (HOUR, 2 * HOUR)
    assert (rules.flexible, rules.interval, rules.horizon) == (None, None, None)
    assert rules.buffer_before == rules.buffer_after == rules.minimum_notice == timedelta()
    assert rules.closed_hours is ClosedHours.OPEN_THROUGHOUT


def test_every_rule_is_read() -> None:
    event_type = event_type_pb2.EventType(
        flexible_duration=event_type_pb2.FlexibleDuration(
            minimum=length(HOUR), maximum=length(3 * HOUR), step=length(HOUR / 2)
        ),
        slot_interval=length(HOUR / 4),
        buffer_before=length(HOUR / 6),
        buffer_after=length(HOUR / 3),
        minimum_notice=length(24 * HOUR),
        horizon=length(48 * HOUR),
        closed_hours_policy=event_type_pb2.CLOSED_HOURS_POLICY_OPEN_AT_ENDS,
    )

    rules = read_offering(NAME, answer(event_type=event_type)).rules

    assert rules.durations == ()
    assert rules.flexible == DurationRange(HOUR, 3 * HOUR, HOUR / 2)
    assert rules.interval == HOUR / 4
    assert (rules.buffer_before, rules.buffer_after) == (HOUR / 6, HOUR / 3)
    assert (rules.minimum_notice, rules.horizon) == (24 * HOUR, 48 * HOUR)
    assert rules.closed_hours is ClosedHours.OPEN_AT_ENDS


def test_windows_and_overrides_are_read_in_order() -> None:
    found = read_offering(
        NAME,
        answer(
            schedule=weekly("Europe/Berlin", {1: [(780, 1440), (540, 720)], 7: [(0, 15)]}),
            date_overrides=[
                DateOverride(date=civil(date(2027, 3, 8)), unavailable=True),
                DateOverride(
                    date=civil(date(2027, 3, 9)), windows=[window(60, 120), window(0, 30)]
                ),
            ],
        ),
    ).schedule

    assert found.zone is zone("Europe/Berlin")
    assert dict(found.weekly) == {1: (Window(540, 720), Window(780, 1440)), 7: (Window(0, 15),)}
    assert dict(found.overrides) == {
        date(2027, 3, 8): (),
        date(2027, 3, 9): (Window(0, 30), Window(60, 120)),
    }


def test_without_a_schedule_it_is_nine_to_five_where_the_resource_is() -> None:
    bare = answer()
    bare.ClearField("schedule")

    found = read_offering(NAME, bare).schedule

    assert found.zone is zone("Asia/Tokyo")
    assert found.windows(date(2027, 3, 7)) == (Window(540, 1020),)


def test_equal_hours_and_rules_are_the_same_objects_whatever_else_changed() -> None:
    first = read_offering(NAME, answer())
    renamed = answer(version=2)
    renamed.event_type.event_type_id = "another"
    renamed.event_type.title = "Renamed"
    renamed.event_type.etag = "2"
    renamed.event_type.update_time.GetCurrentTime()
    renamed.schedule.name = "Renamed"
    renamed.schedule.etag = "2"
    renamed.resource.name = "Renamed"

    second = read_offering(NAME._replace(resource_id="studio-b"), renamed)

    assert second.title == "Renamed"
    assert second.schedule is first.schedule
    assert second.rules is first.rules


async def test_what_follows_the_catalog_is_no_part_of_its_first_caller_s_request() -> None:
    caller: ContextVar[str] = ContextVar("caller", default="nobody")
    caller.set("the first")
    seen: dict[asyncio.Task[Any] | None, str] = {}

    def monotonic() -> float:
        seen[asyncio.current_task()] = caller.get()
        return time.monotonic()

    # Nobody listens there.
    catalog = Catalog("127.0.0.1:1", fresh_seconds=1, stale_seconds=1, monotonic=monotonic)
    with pytest.raises(StoreUnavailable):
        await catalog.offering(NAME)
    await catalog.close()

    # Its questions are the first one's, too.
    assert seen[asyncio.current_task()] == "the first"
    assert list(seen.values()).count("nobody") == 1
