"""Which event types book which resources."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from tests.contract.catalog.caller import Caller


@pytest.fixture
async def linked(catalog: Caller) -> Caller:
    """A caller with resources a, b, c and event types x, y, none of them linked."""
    for resource_id in "abc":
        await catalog.resource(resource_id)
    for event_type_id in "xy":
        await catalog.event_type(event_type_id)
    return catalog


async def resources_of(caller: Caller, event_type_id: str) -> list[str]:
    answer = await caller.ask("ListResourcesForEventType", event_type_id=event_type_id)
    return [resource.resource_id for resource in answer.resources]


async def event_types_of(caller: Caller, resource_id: str) -> list[str]:
    answer = await caller.ask("ListEventTypesForResource", resource_id=resource_id)
    return [event_type.event_type_id for event_type in answer.event_types]


async def test_a_link_is_listed_from_both_ends(linked: Caller) -> None:
    await linked.ask("Link", resource_id="a", event_type_id="x")

    assert await resources_of(linked, "x") == ["a"]
    assert await event_types_of(linked, "a") == ["x"]
    assert await event_types_of(linked, "b") == []


async def test_linking_twice_is_linking_once(linked: Caller) -> None:
    await linked.ask("Link", resource_id="a", event_type_id="x")
    await linked.ask("Link", resource_id="a", event_type_id="x")

    assert await resources_of(linked, "x") == ["a"]


async def test_unlink_ends_one_link_and_is_no_error_without_one(linked: Caller) -> None:
    for resource_id in "ab":
        await linked.ask("Link", resource_id=resource_id, event_type_id="x")

    await linked.ask("Unlink", resource_id="a", event_type_id="x")
    await linked.ask("Unlink", resource_id="a", event_type_id="x")

    assert await resources_of(linked, "x") == ["b"]


async def test_set_resources_replaces_all_of_an_event_types(linked: Caller) -> None:
    await linked.ask("SetEventTypes", resource_id="a", event_type_ids=["x", "y"])

    answer = await linked.ask("SetResources", event_type_id="x", resource_ids=["c", "b"])

    assert list(answer.resource_ids) == ["b", "c"]
    assert await resources_of(linked, "x") == ["b", "c"]
    assert await resources_of(linked, "y") == ["a"]


async def test_set_event_types_replaces_all_of_a_resources(linked: Caller) -> None:
    await linked.ask("SetResources", event_type_id="x", resource_ids=["a", "b"])

    answer = await linked.ask("SetEventTypes", resource_id="a", event_type_ids=["y"])

    assert list(answer.event_type_ids) == ["y"]
    assert await event_types_of(linked, "a") == ["y"]
    assert await resources_of(linked, "x") == ["b"]


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("Unlink", {"resource_id": "a", "event_type_id": "x"}),
        ("SetResources", {"event_type_id": "x", "resource_ids": ["b"]}),
        ("SetEventTypes", {"resource_id": "a", "event_type_ids": ["y"]}),
    ],
)
async def test_another_organizations_links_of_the_same_ids_are_its_own(
    linked: Caller, method: str, fields: dict[str, Any]
) -> None:
    other = linked.elsewhere()
    await other.resource("a")
    await other.event_type("x")
    await other.ask("Link", resource_id="a", event_type_id="x")
    seen_before = await resources_of(linked, "x"), await event_types_of(linked, "a")

    await linked.ask(method, **fields)

    assert seen_before == ([], [])
    assert await resources_of(other, "x") == ["a"]


async def test_an_empty_set_ends_all_links(linked: Caller) -> None:
    await linked.ask("SetResources", event_type_id="x", resource_ids=["a", "b"])

    await linked.ask("SetResources", event_type_id="x")

    assert await resources_of(linked, "x") == []


async def test_a_thousand_links_are_set_at_once(linked: Caller) -> None:
    unknown = [f"r{number}" for number in range(1_000)]

    refusal = await linked.refusal("SetResources", event_type_id="x", resource_ids=unknown)

    assert refusal.metadata == {"kind": "resource", "id": "r0"}


async def test_what_is_deleted_is_not_listed_but_comes_back_linked(linked: Caller) -> None:
    await linked.ask("SetResources", event_type_id="x", resource_ids=["a", "b"])

    await linked.ask("DeleteResource", resource_id="a")
    while_deleted = await resources_of(linked, "x")
    await linked.ask("UndeleteResource", resource_id="a")

    assert while_deleted == ["b"]
    assert await resources_of(linked, "x") == ["a", "b"]


async def test_a_deleted_event_type_is_not_listed_but_comes_back_linked(linked: Caller) -> None:
    await linked.ask("SetEventTypes", resource_id="a", event_type_ids=["x", "y"])

    await linked.ask("DeleteEventType", event_type_id="y")
    while_deleted = await event_types_of(linked, "a")
    await linked.ask("UndeleteEventType", event_type_id="y")

    assert while_deleted == ["x"]
    assert await event_types_of(linked, "a") == ["x", "y"]


@pytest.mark.parametrize(
    ("method", "fields", "missing"),
    [
        ("Link", {"resource_id": "none", "event_type_id": "x"}, "none"),
        ("Link", {"resource_id": "a", "event_type_id": "none"}, "none"),
        ("Link", {"resource_id": "deleted", "event_type_id": "x"}, "deleted"),
        ("Unlink", {"resource_id": "none", "event_type_id": "x"}, "none"),
        ("Unlink", {"resource_id": "a", "event_type_id": "none"}, "none"),
        ("SetResources", {"event_type_id": "none"}, "none"),
        ("SetResources", {"event_type_id": "x", "resource_ids": ["a", "none"]}, "none"),
        ("SetResources", {"event_type_id": "x", "resource_ids": ["deleted"]}, "deleted"),
        ("SetEventTypes", {"resource_id": "none"}, "none"),
        ("SetEventTypes", {"resource_id": "a", "event_type_ids": ["none", "x"]}, "none"),
        ("ListEventTypesForResource", {"resource_id": "none"}, "none"),
        ("ListEventTypesForResource", {"resource_id": "deleted"}, "deleted"),
        ("ListResourcesForEventType", {"event_type_id": "none"}, "none"),
    ],
)
async def test_what_does_not_exist_is_not_linked(
    linked: Caller, method: str, fields: dict[str, Any], missing: str
) -> None:
    await linked.elsewhere().resource("none")
    await linked.ask("SetResources", event_type_id="x", resource_ids=["b"])
    await linked.resource("deleted")
    await linked.ask("DeleteResource", resource_id="deleted")

    refusal = await linked.refusal(method, **fields)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert refusal.metadata["id"] == missing
    assert await resources_of(linked, "x") == ["b"]


@pytest.mark.parametrize(
    ("method", "fields", "wrong"),
    [
        ("SetResources", {"event_type_id": "x", "resource_ids": ["a", "a"]}, "resource_ids"),
        ("SetResources", {"event_type_id": "x", "resource_ids": ["a", ""]}, "resource_ids[1]"),
        (
            "SetResources",
            {"event_type_id": "x", "resource_ids": [f"r{i}" for i in range(1_001)]},
            "resource_ids",
        ),
        ("SetEventTypes", {"resource_id": "a", "event_type_ids": ["x", "x"]}, "event_type_ids"),
        ("Link", {"resource_id": "a"}, "event_type_id"),
        ("Unlink", {"event_type_id": "x"}, "resource_id"),
    ],
)
async def test_wrong_fields_are_refused_by_name(
    linked: Caller, method: str, fields: dict[str, Any], wrong: str
) -> None:
    refusal = await linked.refusal(method, **fields)

    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", [wrong])


async def test_a_thousand_wrong_ids_still_make_a_readable_refusal(linked: Caller) -> None:
    wrong = [f"no good {number}" for number in range(1_000)]

    refusal = await linked.refusal("SetResources", event_type_id="x", resource_ids=wrong)

    assert refusal.reason == "INVALID_FIELD"
    assert "resource_ids[0]" in refusal.fields
