"""Lists: order, filters, pages, and tokens that are not theirs."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from holdfast.catalog.v1 import resource_pb2
from holdfast.catalog.v1.resource_pb2 import RESOURCE_TYPE_EQUIPMENT, RESOURCE_TYPE_ROOM
from shared.runtime.page import encode_token
from tests.contract.catalog.caller import Caller


async def ids(caller: Caller, **fields: Any) -> list[str]:
    answer = await caller.ask("ListResources", **fields)
    return [resource.resource_id for resource in answer.resources]


async def slugs(caller: Caller, **fields: Any) -> list[str]:
    answer = await caller.ask("ListEventTypes", **fields)
    return [event_type.slug for event_type in answer.event_types]


async def test_an_organization_without_resources_has_an_empty_page(catalog: Caller) -> None:
    answer = await catalog.ask("ListResources")

    assert not answer.resources
    assert answer.next_page_token == ""


async def test_ids_are_in_byte_order(catalog: Caller) -> None:
    for resource_id in ("b", "a-1", "a.1", "B", "a_1", "10", "9"):
        await catalog.resource(resource_id)

    assert await ids(catalog) == ["10", "9", "B", "a-1", "a.1", "a_1", "b"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
async def test_pages_together_are_the_list(catalog: Caller, size: int) -> None:
    for letter in "edcba":
        await catalog.resource(letter)

    pages, token = [], ""
    while True:
        answer = await catalog.ask("ListResources", page_size=size, page_token=token)
        pages.append([resource.resource_id for resource in answer.resources])
        token = answer.next_page_token
        if not token:
            break

    assert [one for page in pages for one in page] == list("abcde")
    assert all(len(page) == size for page in pages[:-1])
    assert len(pages) == -(-5 // size)


async def test_every_list_pages_by_id(catalog: Caller) -> None:
    for letter in "abc":
        await catalog.resource(letter)
        await catalog.schedule(letter)
        await catalog.event_type(letter)
    await catalog.ask("SetResources", event_type_id="a", resource_ids=list("abc"))
    await catalog.ask("SetEventTypes", resource_id="a", event_type_ids=list("abc"))

    for method, rows, fields in (
        ("ListSchedules", "schedules", {}),
        ("ListEventTypes", "event_types", {}),
        ("ListResourcesForEventType", "resources", {"event_type_id": "a"}),
        ("ListEventTypesForResource", "event_types", {"resource_id": "a"}),
    ):
        first = await catalog.ask(method, page_size=2, **fields)
        rest = await catalog.ask(method, page_size=2, page_token=first.next_page_token, **fields)
        assert (len(getattr(first, rows)), len(getattr(rest, rows))) == (2, 1)
        assert rest.next_page_token == ""


async def test_another_organizations_rows_are_not_listed(catalog: Caller) -> None:
    await catalog.elsewhere().resource("theirs")
    await catalog.resource("ours")

    assert await ids(catalog) == ["ours"]


async def test_filters_narrow_the_list(catalog: Caller) -> None:
    await catalog.resource("studio-a", type=RESOURCE_TYPE_ROOM)
    await catalog.resource("studio-b", type=RESOURCE_TYPE_ROOM, active=False)
    await catalog.resource("mic", type=RESOURCE_TYPE_EQUIPMENT)
    await catalog.resource("old")
    await catalog.ask("DeleteResource", resource_id="old")

    assert await ids(catalog) == ["mic", "studio-a", "studio-b"]
    assert await ids(catalog, type=RESOURCE_TYPE_EQUIPMENT) == ["mic"]
    assert await ids(catalog, active=True) == ["mic", "studio-a"]
    assert await ids(catalog, active=False) == ["studio-b"]
    assert await ids(catalog, show_deleted=True) == ["mic", "old", "studio-a", "studio-b"]
    assert await ids(catalog, type=RESOURCE_TYPE_ROOM, active=True) == ["studio-a"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("STUDIO", ["id-studio", "named"]),
        ("grün", ["green"]),
        ("GRÜN", ["green"]),
        ("100%", ["percent"]),
        ("%", ["percent"]),
        ("_", ["percent"]),
        ("\\", ["percent"]),
        ("/", ["percent"]),
        ("nothing like it", []),
    ],
)
async def test_text_is_found_in_id_name_and_description(
    catalog: Caller, text: str, found: list[str]
) -> None:
    await catalog.resource("id-studio", name="A")
    await catalog.resource("named", name="My Studio")
    await catalog.resource("green", name="B", description="alles grün hier")
    await catalog.resource("percent", name="100% _raw_ \\ and/or")

    assert await ids(catalog, text=text) == found


async def test_event_types_are_filtered_too(catalog: Caller) -> None:
    await catalog.event_type("one", slug="short", title="One hour")
    await catalog.event_type("five", slug="long", title="Five hours", active=False)
    await catalog.event_type("old", slug="gone", description="One hour, once")
    await catalog.ask("DeleteEventType", event_type_id="old")

    assert await slugs(catalog) == ["long", "short"]
    assert await slugs(catalog, active=True) == ["short"]
    assert await slugs(catalog, text="ONE") == ["short"]
    assert await slugs(catalog, text="hort") == ["short"]
    assert await slugs(catalog, text="one hour", show_deleted=True) == ["gone", "short"]


@pytest.mark.parametrize("size", [-1, 1_001, 2**31 - 1])
async def test_a_page_size_out_of_range_is_refused(catalog: Caller, size: int) -> None:
    refusal = await catalog.refusal("ListResources", page_size=size)

    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", ["page_size"])


async def test_the_page_size_may_change_between_pages(catalog: Caller) -> None:
    for letter in "abc":
        await catalog.resource(letter)
    token = (await catalog.ask("ListResources", page_size=1)).next_page_token

    assert await ids(catalog, page_size=2, page_token=token) == ["b", "c"]


async def test_a_token_is_good_for_the_filters_it_was_given_for_only(catalog: Caller) -> None:
    for letter in "abc":
        await catalog.resource(letter)
    token = (await catalog.ask("ListResources", page_size=1)).next_page_token

    refusal = await catalog.refusal("ListResources", page_token=token, active=True)

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "INVALID_PAGE_TOKEN"


async def test_a_token_of_another_organization_is_refused(catalog: Caller) -> None:
    other = catalog.elsewhere()
    for letter in "ab":
        await other.resource(letter)
    token = (await other.ask("ListResources", page_size=1)).next_page_token

    refusal = await catalog.refusal("ListResources", page_token=token)

    assert refusal.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("cursor", [[], ["a", "b"], [""], ["\0"], ["a\nb"], ["x" * 129]])
async def test_a_well_made_token_with_a_wrong_cursor_is_refused(
    catalog: Caller, cursor: list[str]
) -> None:
    request: resource_pb2.ListResourcesRequest = catalog.request("ListResources")
    request.page_token = encode_token(request, cursor)

    refusal = await catalog.refusal_of("ListResources", request)

    assert refusal.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("cursor", [["2027-02-29"], ["yesterday"], ["\0"], []])
async def test_a_well_made_token_with_a_wrong_date_is_refused(
    catalog: Caller, cursor: list[str]
) -> None:
    await catalog.schedule("hours")
    request = catalog.request("ListDateOverrides", schedule_id="hours")
    request.page_token = encode_token(request, cursor)

    refusal = await catalog.refusal_of("ListDateOverrides", request)

    assert refusal.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("token", ["x", "AAAA", "!" * 5_000, "eyJhIjoxfQ==", "ä"])
@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("ListResources", {}),
        ("ListSchedules", {}),
        ("ListEventTypes", {}),
        ("ListDateOverrides", {"schedule_id": "hours"}),
        ("ListResourcesForEventType", {"event_type_id": "e"}),
        ("ListEventTypesForResource", {"resource_id": "a"}),
    ],
)
async def test_a_forged_token_is_refused(
    catalog: Caller, method: str, fields: dict[str, str], token: str
) -> None:
    refusal = await catalog.refusal(method, page_token=token, **fields)

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "INVALID_PAGE_TOKEN"
