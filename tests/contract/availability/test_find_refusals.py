"""What FindAvailability refuses, and of whom it tells nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest

from tests.contract.availability.finding import (
    DAY,
    MINUTE,
    MONDAY,
    find,
    names,
    refused,
    request_of,
    take,
    wanted,
)
from tests.contract.availability.world import HOUR, Caller, FakeCatalog, interval, length


async def test_an_unknown_or_inactive_event_type_is_refused(
    caller: Caller, catalog: FakeCatalog
) -> None:
    catalog.offer(caller.organization_id, "a")
    catalog.offer(caller.organization_id, "a", "off", active=False)

    unknown = await refused(caller, event_type_id="nothing")
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert unknown.metadata["kind"] == "event_type"
    inactive = await refused(caller, event_type_id="off")
    assert (inactive.code, inactive.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "INACTIVE",
    )
    length_ = await refused(caller, duration=length(2 * HOUR))
    assert (length_.code, length_.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "DURATION_NOT_OFFERED",
    )
    assert length_.metadata == {"offered": "60m"}
    with_unknown = await refused(caller, with_items=[wanted("nobody")])
    assert with_unknown.code is grpc.StatusCode.NOT_FOUND
    assert with_unknown.metadata == {"kind": "resource", "id": "nobody"}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"organization_id": ""}, ["organization_id"]),
        ({"event_type_id": "no spaces"}, ["event_type_id"]),
        ({"event_type_id": ""}, ["resource_type"]),
        ({"resource_type": "SPACESHIP"}, ["resource_type"]),
        ({"resource_type": "RESOURCE_TYPE_ROOM"}, ["resource_type"]),
        ({"duration": None}, ["duration"]),
        ({"duration": length(59 * timedelta(seconds=1))}, ["duration"]),
        ({"duration": length(31 * DAY + MINUTE)}, ["duration"]),
        ({"window": interval(MONDAY, MONDAY)}, ["window"]),
        ({"window": interval(MONDAY, MONDAY - HOUR)}, ["window"]),
        ({"window": interval(MONDAY, MONDAY + 31 * DAY + MINUTE)}, ["window"]),
        ({"units": -1}, ["units"]),
        ({"units": 10_001}, ["units"]),
        ({"limit": -1}, ["limit"]),
        ({"limit": 1_001}, ["limit"]),
        ({"starts_per_resource": -1}, ["starts_per_resource"]),
        ({"starts_per_resource": 501}, ["starts_per_resource"]),
        ({"limit": 1_000, "starts_per_resource": 101}, ["starts_per_resource"]),
        ({"with_items": [wanted("a"), wanted("a")]}, ["with_items"]),
        ({"with_items": [wanted(f"r{number}") for number in range(10)]}, ["with_items"]),
        ({"with_items": [wanted("")]}, ["with_items[0]"]),
        ({"with_items": [wanted("a"), wanted("b", 10_001)]}, ["with_items[1].units"]),
    ],
)
async def test_fields_out_of_range_are_refused(
    caller: Caller, catalog: FakeCatalog, fields: dict[str, Any], wrong: list[str]
) -> None:
    catalog.offer(caller.organization_id, "a")

    refusal = await refused(caller, **fields)

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [name for name in refusal.fields if not name.startswith("window.")] == wrong


async def test_a_window_without_its_ends_is_refused(caller: Caller, catalog: FakeCatalog) -> None:
    catalog.offer(caller.organization_id, "a")
    request = request_of(caller)
    request.ClearField("window")

    refusal = await caller.refusal_of("FindAvailability", request)

    assert refusal.fields[:2] == ["window.start_time", "window.end_time"]


async def test_resources_of_another_organization_are_not_found(
    caller: Caller, catalog: FakeCatalog
) -> None:
    other = caller.elsewhere()
    catalog.offer(caller.organization_id, "a")
    catalog.offer(other.organization_id, "b")
    await take(other, "b", MONDAY)
    window = interval(MONDAY, MONDAY + HOUR)

    assert names(await find(caller, window=window)) == ["a"]
    assert names(await find(other, window=window)) == []
    assert (await refused(caller, with_items=[wanted("b")])).code is grpc.StatusCode.NOT_FOUND
