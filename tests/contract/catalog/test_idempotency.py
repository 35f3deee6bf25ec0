"""A retry gets the first answer again, whatever has happened since."""

from __future__ import annotations

import asyncio
import uuid

import grpc
import pytest

from services.catalog.rpc.servicer import WRITES
from tests.contract.catalog.caller import Caller, room, weekly
from tests.contract.catalog.example import EXAMPLES


async def test_every_change_is_answered_alike_when_all_else_is_over(catalog: Caller) -> None:
    requests = [
        (method, catalog.request(method, **fields))
        for method, fields in EXAMPLES
        if method in WRITES
    ]
    answers = [await catalog.send(method, request) for method, request in requests]
    before = await catalog.everything()

    again = [await catalog.send(method, request) for method, request in requests]

    assert again == answers
    assert {method for method, _ in requests} == WRITES
    assert await catalog.everything() == before


async def test_the_request_id_is_one_in_any_spelling(catalog: Caller) -> None:
    request = catalog.request("CreateResource", resource=room("studio-a"))
    first = await catalog.send("CreateResource", request)

    request.request_id = request.request_id.upper()

    assert await catalog.send("CreateResource", request) == first


async def test_other_content_under_a_used_request_id_is_refused(catalog: Caller) -> None:
    request = catalog.request("CreateResource", resource=room("studio-a"))
    await catalog.send("CreateResource", request)
    request.resource.name = "Other"

    refusal = await catalog.refusal_of("CreateResource", request)

    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.reason == "REQUEST_ID_REUSED"
    read = await catalog.ask("GetResource", resource_id="studio-a")
    assert read.resource.name == "Studio A"


async def test_shape_is_judged_before_a_replay(catalog: Caller) -> None:
    request = catalog.request("CreateResource", resource=room("studio-a"))
    await catalog.send("CreateResource", request)
    request.resource.name = ""

    assert (await catalog.refusal_of("CreateResource", request)).reason == "INVALID_FIELD"


async def test_a_refusal_is_decided_anew(catalog: Caller) -> None:
    request = catalog.request("CreateResource", resource=room("a", schedule_id="hours"))
    refusal = await catalog.refusal_of("CreateResource", request)
    await catalog.schedule("hours")

    answer = await catalog.send("CreateResource", request)

    assert refusal.code == grpc.StatusCode.NOT_FOUND
    assert answer.resource.schedule_id == "hours"


async def test_a_request_id_is_free_for_other_methods_and_organizations(catalog: Caller) -> None:
    request_id = str(uuid.uuid4())
    await catalog.ask("CreateResource", request_id=request_id, resource=room("a"))

    await catalog.ask("CreateSchedule", request_id=request_id, schedule=weekly("a"))
    await catalog.elsewhere().ask("CreateResource", request_id=request_id, resource=room("b"))

    assert len((await catalog.ask("ListResources")).resources) == 1


@pytest.mark.parametrize("request_id", ["", "1", "g" * 36, "0190b5c4-7d2e-7cc3-98c4", "\0" * 36])
async def test_a_request_id_that_is_no_uuid_is_refused(catalog: Caller, request_id: str) -> None:
    refusal = await catalog.refusal("CreateResource", request_id=request_id, resource=room("a"))

    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", ["request_id"])


async def test_parallel_copies_of_a_request_have_one_effect_and_equal_answers(
    catalog: Caller,
) -> None:
    requests = [catalog.request("CreateResource", resource=room("")) for _ in range(20)]

    answers = await asyncio.gather(
        *(catalog.send("CreateResource", request) for request in requests for _ in range(5))
    )

    created = (await catalog.ask("ListResources")).resources
    assert len(created) == 20
    for number in range(20):
        copies = answers[number * 5 : number * 5 + 5]
        assert all(copy == copies[0] for copy in copies)
    assert {answer.resource.resource_id for answer in answers} == {
        resource.resource_id for resource in created
    }
