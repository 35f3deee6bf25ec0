"""Resources from creation to restoration."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from holdfast.catalog.v1.resource_pb2 import (
    HOLD_POLICY_ADVISORY,
    HOLD_POLICY_EXCLUSIVE,
    RESOURCE_TYPE_EQUIPMENT,
    RESOURCE_TYPE_ROOM,
    Resource,
)
from tests.contract.catalog.caller import Caller, room, weekly
from tests.contract.catalog.conftest import NOW


async def test_a_created_resource_is_read_as_it_was_answered(catalog: Caller) -> None:
    created = await catalog.resource("studio-a", metadata={"floor": "2", "Lärm": "x\ny"})

    read = await catalog.ask("GetResource", resource_id="studio-a")

    assert read.resource == created
    assert dict(read.resource.metadata) == {"floor": "2", "Lärm": "x\ny"}


async def test_creation_fills_what_was_left_out(catalog: Caller) -> None:
    created = await catalog.resource("studio-a")

    assert created.active
    assert created.standalone
    assert not created.pool
    assert created.hold_policy == HOLD_POLICY_EXCLUSIVE
    assert created.organization_id == catalog.organization_id
    assert created.create_time.ToDatetime(NOW.tzinfo) == NOW
    assert created.update_time == created.create_time
    assert not created.HasField("delete_time")
    assert created.etag


async def test_creation_keeps_what_differs_from_the_defaults(catalog: Caller) -> None:
    await catalog.schedule("hours")

    created = await catalog.resource(
        "mic",
        type=RESOURCE_TYPE_EQUIPMENT,
        pool=True,
        standalone=False,
        active=False,
        hold_policy=HOLD_POLICY_ADVISORY,
        schedule_id="hours",
        description="Shure SM7b\nwith stand",
    )

    assert created.type == RESOURCE_TYPE_EQUIPMENT
    assert created.pool
    assert not created.standalone
    assert not created.active
    assert created.hold_policy == HOLD_POLICY_ADVISORY
    assert created.schedule_id == "hours"
    assert created.description == "Shure SM7b\nwith stand"


async def test_a_resource_without_an_id_gets_one(catalog: Caller) -> None:
    first, second = await catalog.resource(""), await catalog.resource("")

    assert len(first.resource_id) == 36
    assert first.resource_id != second.resource_id


async def test_what_the_server_sets_cannot_be_created(catalog: Caller) -> None:
    created = await catalog.resource("studio-a", etag="mine", organization_id="other")

    assert created.organization_id == catalog.organization_id
    assert created.etag != "mine"


async def test_a_taken_id_is_refused(catalog: Caller) -> None:
    await catalog.resource("studio-a")

    refusal = await catalog.refusal("CreateResource", resource=room("studio-a", name="Other"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ID_TAKEN")
    assert refusal.metadata == {"kind": "resource", "id": "studio-a"}


async def test_the_id_of_a_deleted_resource_stays_taken(catalog: Caller) -> None:
    await catalog.resource("studio-a")
    await catalog.ask("DeleteResource", resource_id="studio-a")

    refusal = await catalog.refusal("CreateResource", resource=room("studio-a"))

    assert refusal.reason == "ID_TAKEN"


async def test_an_unknown_schedule_is_refused(catalog: Caller) -> None:
    refusal = await catalog.refusal("CreateResource", resource=room("a", schedule_id="none"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert refusal.metadata == {"kind": "schedule", "id": "none"}


async def test_the_same_id_is_free_in_another_organization(catalog: Caller) -> None:
    await catalog.resource("studio-a", name="Ours")
    other = catalog.elsewhere()
    await other.resource("studio-a", name="Theirs")

    read = await catalog.ask("GetResource", resource_id="studio-a")

    assert read.resource.name == "Ours"


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("GetResource", {"resource_id": "studio-a"}),
        ("DeleteResource", {"resource_id": "studio-a"}),
        ("UndeleteResource", {"resource_id": "studio-a"}),
        (
            "UpdateResource",
            {"resource": room("studio-a"), "update_mask": {"paths": ["name"]}},
        ),
    ],
)
async def test_another_organizations_resource_is_not_found(
    catalog: Caller, method: str, fields: dict[str, Any]
) -> None:
    await catalog.elsewhere().resource("studio-a")

    refusal = await catalog.refusal(method, **fields)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert refusal.metadata == {"kind": "resource", "id": "studio-a"}


async def test_an_update_changes_what_its_mask_names_and_nothing_else(catalog: Caller) -> None:
    created = await catalog.resource("studio-a", description="quiet", metadata={"floor": "2"})

    updated = await catalog.ask(
        "UpdateResource",
        resource=Resource(
            resource_id="studio-a", name="Studio B", time_zone="no zone", metadata={"a": "b"}
        ),
        update_mask={"paths": ["name", "metadata"]},
    )

    expected = Resource()
    expected.CopyFrom(created)
    expected.name = "Studio B"
    expected.ClearField("metadata")
    expected.metadata["a"] = "b"
    expected.etag = updated.resource.etag
    assert updated.resource == expected
    assert updated.resource.etag != created.etag


async def test_an_update_of_everything_gives_absent_fields_their_defaults(
    catalog: Caller,
) -> None:
    await catalog.resource("studio-a", active=False, description="quiet", metadata={"a": "b"})

    updated = await catalog.ask(
        "UpdateResource", resource=room("studio-a", name="New"), update_mask={"paths": ["*"]}
    )

    assert updated.resource.name == "New"
    assert updated.resource.active
    assert updated.resource.description == ""
    assert not updated.resource.metadata


async def test_an_update_of_everything_leaves_what_is_fixed(catalog: Caller) -> None:
    await catalog.resource("mics", pool=True)

    updated = await catalog.ask(
        "UpdateResource", resource=room("mics", pool=False), update_mask={"paths": ["*"]}
    )

    assert updated.resource.pool


@pytest.mark.parametrize("path", ["resource_id", "pool", "etag", "create_time", "organization_id"])
async def test_a_fixed_field_in_a_mask_is_refused_by_name(catalog: Caller, path: str) -> None:
    await catalog.resource("studio-a")

    refusal = await catalog.refusal(
        "UpdateResource",
        resource=room("studio-a", name="New"),
        update_mask={"paths": ["name", path]},
    )

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert refusal.fields == ["update_mask"]
    assert path in refusal.message


@pytest.mark.parametrize("paths", [[], ["nonsense"], ["metadata.floor"], ["name", ""]])
async def test_a_mask_that_names_no_field_is_refused(catalog: Caller, paths: list[str]) -> None:
    await catalog.resource("studio-a")

    refusal = await catalog.refusal(
        "UpdateResource", resource=room("studio-a"), update_mask={"paths": paths}
    )

    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", ["update_mask"])


async def test_an_update_with_the_current_etag_succeeds(catalog: Caller) -> None:
    created = await catalog.resource("studio-a")

    updated = await catalog.ask(
        "UpdateResource",
        resource=room("studio-a", name="New", etag=created.etag),
        update_mask={"paths": ["name"]},
    )

    assert updated.resource.name == "New"


@pytest.mark.parametrize("method", ["UpdateResource", "DeleteResource"])
async def test_a_stale_etag_is_refused(catalog: Caller, method: str) -> None:
    stale = (await catalog.resource("studio-a")).etag
    await catalog.ask(
        "UpdateResource", resource=room("studio-a", name="B"), update_mask={"paths": ["name"]}
    )
    fields: dict[str, Any] = {"resource_id": "studio-a", "etag": stale}
    if method == "UpdateResource":
        fields = {"resource": room("studio-a", etag=stale), "update_mask": {"paths": ["name"]}}

    refusal = await catalog.refusal(method, **fields)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "STALE_ETAG")
    assert (await catalog.ask("GetResource", resource_id="studio-a")).resource.name == "B"


async def test_an_update_to_an_unknown_schedule_is_refused(catalog: Caller) -> None:
    await catalog.resource("studio-a")

    refusal = await catalog.refusal(
        "UpdateResource",
        resource=room("studio-a", schedule_id="none"),
        update_mask={"paths": ["schedule_id"]},
    )

    assert refusal.metadata == {"kind": "schedule", "id": "none"}


async def test_an_update_can_take_the_schedule_away(catalog: Caller) -> None:
    await catalog.ask("CreateSchedule", schedule=weekly("hours"))
    await catalog.resource("studio-a", schedule_id="hours")

    updated = await catalog.ask(
        "UpdateResource", resource=room("studio-a"), update_mask={"paths": ["schedule_id"]}
    )

    assert updated.resource.schedule_id == ""


async def test_a_deleted_resource_is_answered_with_its_time_and_still_read(
    catalog: Caller,
) -> None:
    await catalog.resource("studio-a")

    deleted = await catalog.ask("DeleteResource", resource_id="studio-a")
    read = await catalog.ask("GetResource", resource_id="studio-a")

    assert deleted.resource.delete_time.ToDatetime(NOW.tzinfo) == NOW
    assert read.resource == deleted.resource


async def test_a_deleted_resource_cannot_be_deleted_again(catalog: Caller) -> None:
    await catalog.resource("studio-a")
    await catalog.ask("DeleteResource", resource_id="studio-a")

    refusal = await catalog.refusal("DeleteResource", resource_id="studio-a")

    assert refusal.code == grpc.StatusCode.NOT_FOUND


async def test_a_deleted_resource_cannot_be_updated(catalog: Caller) -> None:
    await catalog.resource("studio-a")
    await catalog.ask("DeleteResource", resource_id="studio-a")

    refusal = await catalog.refusal(
        "UpdateResource", resource=room("studio-a"), update_mask={"paths": ["name"]}
    )

    assert refusal.code == grpc.StatusCode.NOT_FOUND


async def test_undelete_restores(catalog: Caller) -> None:
    created = await catalog.resource("studio-a")
    await catalog.ask("DeleteResource", resource_id="studio-a")

    restored = await catalog.ask("UndeleteResource", resource_id="studio-a")

    assert not restored.resource.HasField("delete_time")
    assert restored.resource.name == created.name
    assert restored.resource.type == RESOURCE_TYPE_ROOM


async def test_a_resource_in_use_cannot_be_restored(catalog: Caller) -> None:
    await catalog.resource("studio-a")

    refusal = await catalog.refusal("UndeleteResource", resource_id="studio-a")

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "INVALID_STATE",
    )
