"""What is decoded is what was meant; refusals name what is wrong and stay small."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from holdfast.catalog.v1.event_type_pb2 import ClosedHoursPolicy, CreateEventTypeRequest
from holdfast.catalog.v1.resource_pb2 import (
    CreateResourceRequest,
    HoldPolicy,
    Resource,
    ResourceType,
    UpdateResourceRequest,
)
from services.catalog.domain import event_type as event_types
from services.catalog.domain import resource as resources
from services.catalog.rpc.codec import event_type as event_type_codec
from services.catalog.rpc.codec import resource as resource_codec
from services.catalog.rpc.codec.check import CatalogCheck
from shared.runtime.failure import InvalidFields, Violation
from tests.contract.catalog.caller import hourly, room


def creation(resource: Resource) -> CreateResourceRequest:
    return CreateResourceRequest(
        organization_id="o", request_id=str(uuid.uuid4()), resource=resource
    )


@pytest.mark.parametrize("number", [n for n in ResourceType.values() if n])
def test_every_type_of_the_contract_has_its_own(number: ResourceType.ValueType) -> None:
    decoded = resource_codec.create(creation(room("a", type=number)))

    assert ResourceType.Name(number) == f"RESOURCE_TYPE_{decoded.type.name}"


def test_the_contract_has_every_type_and_policy_of_the_domain() -> None:
    assert len(ResourceType.values()) == len(resources.ResourceType) + 1
    assert len(HoldPolicy.values()) == len(resources.HoldPolicy) + 1
    assert len(ClosedHoursPolicy.values()) == len(event_types.ClosedHoursPolicy) + 1


def test_lengths_are_decoded_in_order_and_absent_ones_have_their_defaults() -> None:
    request = CreateEventTypeRequest(
        organization_id="o", request_id=str(uuid.uuid4()), event_type=hourly("one-hour")
    )
    request.event_type.duration_options.add(seconds=900)

    decoded = event_type_codec.create(request)

    assert decoded.duration_options == (timedelta(minutes=15), timedelta(hours=1))
    assert decoded.buffer_before == decoded.minimum_notice == timedelta()
    assert decoded.horizon is decoded.slot_interval is None
    assert decoded.closed_hours_policy is event_types.ClosedHoursPolicy.OPEN_THROUGHOUT


def test_a_mask_decides_which_fields_are_decoded() -> None:
    request = UpdateResourceRequest(
        organization_id="o",
        request_id=str(uuid.uuid4()),
        resource=room("a", name="New", time_zone="no zone", etag="r1"),
        update_mask=FieldMask(paths=["name", "active", "name"]),
    )

    assert resource_codec.update(request) == ("a", "r1", {"name": "New", "active": True})


def test_every_field_is_either_in_the_mask_or_fixed() -> None:
    changeable = {
        "name", "type", "description", "time_zone", "standalone", "hold_policy", "metadata",
        "active", "schedule_id",
    }  # fmt: skip
    for field in Resource.DESCRIPTOR.fields_by_name:
        request = UpdateResourceRequest(
            organization_id="o",
            request_id=str(uuid.uuid4()),
            resource=room("a"),
            update_mask=FieldMask(paths=[field]),
        )
        if field in changeable:
            assert set(resource_codec.update(request).fields) == {field}
        else:
            with pytest.raises(InvalidFields, match=f"{field} cannot be changed"):
                resource_codec.update(request)


def test_a_hostile_path_is_not_repeated_in_the_refusal() -> None:
    request = UpdateResourceRequest(
        organization_id="o",
        request_id=str(uuid.uuid4()),
        resource=room("a"),
        update_mask=FieldMask(paths=["x" * 10_000, "a\r\nb", "\U0001f3b9" * 64]),
    )

    with pytest.raises(InvalidFields) as refusal:
        resource_codec.update(request)

    assert len(str(refusal.value)) < 200
    assert str(refusal.value).isascii()


def test_rules_are_not_asked_about_fields_that_failed_already() -> None:
    check = CatalogCheck()
    check.fail("resource.windows[0].start", "is wrong")

    check.rules([Violation("resource.windows[0].start", "also"), Violation("resource.b", "new")])

    with pytest.raises(InvalidFields) as refusal:
        check.done()
    assert [violation.field for violation in refusal.value.violations] == [
        "resource.windows[0].start",
        "resource.b",
    ]
