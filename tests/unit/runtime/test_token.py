from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.catalog.v1.resource_pb2 import ListResourcesRequest, UpdateResourceRequest
from shared.runtime.failure import InvalidPageToken
from shared.runtime.identity import uuid7
from shared.runtime.page import decode_token, encode_token
from shared.runtime.replay import content_hash

FILTERS = ListResourcesRequest(organization_id="demo", text="studio")


def test_token_gives_its_cursor_back() -> None:
    token = encode_token(FILTERS, ["2027-03-09", "ü"])

    assert decode_token(token, FILTERS) == ["2027-03-09", "ü"]


def test_token_ignores_page_size_and_itself() -> None:
    token = encode_token(FILTERS, ["a"])
    next_page = ListResourcesRequest(page_size=7, page_token=token)
    next_page.MergeFrom(FILTERS)

    assert decode_token(token, next_page) == ["a"]


@pytest.mark.parametrize(
    "other",
    [
        ListResourcesRequest(organization_id="demo", text="room"),
        ListResourcesRequest(organization_id="other", text="studio"),
    ],
    ids=["filter", "organization"],
)
def test_token_is_refused_for_other_filters(other: ListResourcesRequest) -> None:
    token = encode_token(FILTERS, ["a"])

    with pytest.raises(InvalidPageToken):
        decode_token(token, other)


@pytest.mark.parametrize("token", ["x", "!!!!", "AAAA", "é", "a" * 5000, "\x00"], ids=repr)
def test_forged_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidPageToken):
        decode_token(token, FILTERS)


def test_every_changed_character_of_a_token_is_noticed() -> None:
    token = encode_token(FILTERS, ["abc"])

    for index, character in enumerate(token):
        forged = token[:index] + ("A" if character != "A" else "B") + token[index + 1 :]
        with pytest.raises(InvalidPageToken):
            decode_token(forged, FILTERS)


def test_content_is_the_same_whatever_the_request_id() -> None:
    first = UpdateResourceRequest(organization_id="demo", request_id="a")
    second = UpdateResourceRequest(organization_id="demo", request_id="b")

    assert content_hash(first) == content_hash(second)


def test_content_differs_with_any_field_and_the_request_is_left_alone() -> None:
    first = UpdateResourceRequest(organization_id="demo", request_id="a")
    second = UpdateResourceRequest(organization_id="demo", request_id="a")
    second.resource.metadata["k"] = "v"

    assert content_hash(first) != content_hash(second)
    assert first.request_id == "a"


def test_content_does_not_depend_on_the_order_of_a_map() -> None:
    first, second = UpdateResourceRequest(), UpdateResourceRequest()
    for key in ("a", "b", "c"):
        first.resource.metadata[key] = "v"
    for key in ("c", "a", "b"):
        second.resource.metadata[key] = "v"

    assert content_hash(first) == content_hash(second)


def test_uuid7_sorts_by_time_and_does_not_repeat() -> None:
    begin = datetime(2027, 3, 1, tzinfo=UTC)

    ids = [uuid7(begin + timedelta(milliseconds=n)) for n in range(1000)]

    assert ids == sorted(set(ids))
    assert {uuid.UUID(value).version for value in ids} == {7}
