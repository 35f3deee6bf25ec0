"""Overrides of schedules by date."""

from __future__ import annotations

import grpc
import pytest

from services.catalog.domain import schedule as rules
from tests.contract.catalog.caller import Caller, date, override, window


@pytest.fixture
async def hours(catalog: Caller) -> Caller:
    """A caller whose organization has the schedule "hours"."""
    await catalog.schedule("hours")
    return catalog


async def listed(caller: Caller, **fields: object) -> list[tuple[int, int]]:
    answer = await caller.ask("ListDateOverrides", schedule_id="hours", **fields)
    return [(one.date.month, one.date.day) for one in answer.date_overrides]


async def test_an_override_is_answered_in_order_and_listed(hours: Caller) -> None:
    wanted = override(2027, 3, 8, window(720, 1440), window(0, 60), note="Stocktaking")

    answer = await hours.ask("SetDateOverride", schedule_id="hours", date_override=wanted)
    read = await hours.ask("ListDateOverrides", schedule_id="hours")

    assert list(answer.date_override.windows) == [window(0, 60), window(720, 1440)]
    assert answer.date_override.note == "Stocktaking"
    assert list(read.date_overrides) == [answer.date_override]


async def test_a_second_override_of_a_date_replaces_the_first(hours: Caller) -> None:
    await hours.ask("SetDateOverride", schedule_id="hours", date_override=override(2027, 3, 8))
    later = override(2027, 3, 8, window(60, 120))

    await hours.ask("SetDateOverride", schedule_id="hours", date_override=later)

    read = await hours.ask("ListDateOverrides", schedule_id="hours")
    assert list(read.date_overrides) == [later]


async def test_overrides_are_listed_by_date_within_bounds(hours: Caller) -> None:
    for day in (30, 9, 10, 8):
        one = override(2027, 3, day)
        await hours.ask("SetDateOverride", schedule_id="hours", date_override=one)

    found = await listed(hours, first_date=date(2027, 3, 9), last_date=date(2027, 3, 10))

    assert found == [(3, 9), (3, 10)]
    assert await listed(hours) == [(3, 8), (3, 9), (3, 10), (3, 30)]


async def test_overrides_page_by_date(hours: Caller) -> None:
    for day in (8, 9, 10):
        one = override(2027, 3, day)
        await hours.ask("SetDateOverride", schedule_id="hours", date_override=one)

    first = await hours.ask("ListDateOverrides", schedule_id="hours", page_size=2)
    rest = await hours.ask(
        "ListDateOverrides", schedule_id="hours", page_size=2, page_token=first.next_page_token
    )

    assert [one.date.day for one in first.date_overrides] == [8, 9]
    assert [one.date.day for one in rest.date_overrides] == [10]
    assert rest.next_page_token == ""


async def test_a_deleted_override_is_gone(hours: Caller) -> None:
    await hours.ask("SetDateOverride", schedule_id="hours", date_override=override(2027, 3, 8))

    await hours.ask("DeleteDateOverride", schedule_id="hours", date=date(2027, 3, 8))

    assert await listed(hours) == []


async def test_a_date_without_an_override_has_none_to_delete(hours: Caller) -> None:
    refusal = await hours.refusal("DeleteDateOverride", schedule_id="hours", date=date(2027, 3, 8))

    assert refusal.code == grpc.StatusCode.NOT_FOUND
    assert refusal.metadata == {"kind": "date_override", "id": "2027-03-08"}


async def test_each_change_of_an_override_changes_the_schedules_etag(hours: Caller) -> None:
    etags = [(await hours.ask("GetSchedule", schedule_id="hours")).schedule.etag]

    await hours.ask("SetDateOverride", schedule_id="hours", date_override=override(2027, 3, 8))
    etags.append((await hours.ask("GetSchedule", schedule_id="hours")).schedule.etag)
    await hours.ask("DeleteDateOverride", schedule_id="hours", date=date(2027, 3, 8))
    etags.append((await hours.ask("GetSchedule", schedule_id="hours")).schedule.etag)

    assert len(set(etags)) == 3


@pytest.mark.parametrize("method", ["SetDateOverride", "ListDateOverrides", "DeleteDateOverride"])
async def test_an_unknown_schedule_has_no_overrides(catalog: Caller, method: str) -> None:
    await catalog.elsewhere().schedule("hours")
    request = catalog.request(method, schedule_id="hours")
    if method == "SetDateOverride":
        request.date_override.CopyFrom(override(2027, 3, 8))
    if method == "DeleteDateOverride":
        request.date.CopyFrom(date(2027, 3, 8))

    refusal = await catalog.refusal_of(method, request)

    assert refusal.code == grpc.StatusCode.NOT_FOUND
    assert refusal.metadata == {"kind": "schedule", "id": "hours"}


async def test_overrides_past_the_limit_are_refused_but_not_changes_of_them(
    hours: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.catalog.app.set_date_override.MAX_OVERRIDES", 2)
    for day in (8, 9):
        one = override(2027, 3, day)
        await hours.ask("SetDateOverride", schedule_id="hours", date_override=one)

    refusal = await hours.refusal(
        "SetDateOverride", schedule_id="hours", date_override=override(2027, 3, 10)
    )
    again = override(2027, 3, 9, window(0, 60))
    await hours.ask("SetDateOverride", schedule_id="hours", date_override=again)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert refusal.has_retry_info
    assert await listed(hours) == [(3, 8), (3, 9)]


def test_the_limit_of_overrides_is_the_contracts() -> None:
    assert rules.MAX_OVERRIDES == 2_000
