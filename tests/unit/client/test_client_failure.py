from __future__ import annotations

from datetime import timedelta

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from shared.client.failure import FieldViolation, cause, decode


def _error(
    code: grpc.StatusCode, details: str, *said: Message, raw: bytes | None = None
) -> grpc.aio.AioRpcError:
    status = status_pb2.Status()
    for message in said:
        status.details.add().Pack(message)
    trailing = grpc.aio.Metadata()
    if said or raw is not None:
        content = raw if raw is not None else status.SerializeToString()
        trailing.add("grpc-status-details-bin", content)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details)


def test_the_reason_and_its_values_are_the_services() -> None:
    info = error_details_pb2.ErrorInfo(
        reason="SLOT_UNAVAILABLE", domain="holdfast", metadata={"resource_id": "studio-a"}
    )

    found = decode(_error(grpc.StatusCode.FAILED_PRECONDITION, "taken", info), "availability")

    assert found.code is grpc.StatusCode.FAILED_PRECONDITION
    assert found.reason == "SLOT_UNAVAILABLE"
    assert found.message == "taken"
    assert found.metadata == {"resource_id": "studio-a"}
    assert found.service == "availability"
    assert found.is_answer


def test_every_field_at_fault_is_named() -> None:
    info = error_details_pb2.ErrorInfo(reason="INVALID_FIELD", domain="holdfast")
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="name", description="is empty")
    bad.field_violations.add(field="type", description="is required")

    found = decode(_error(grpc.StatusCode.INVALID_ARGUMENT, "bad", info, bad), "catalog")

    assert found.fields == (
        FieldViolation("name", "is empty"),
        FieldViolation("type", "is required"),
    )


def test_how_long_to_wait_is_read() -> None:
    info = error_details_pb2.ErrorInfo(reason="OVERLOADED", domain="holdfast")
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromTimedelta(timedelta(milliseconds=250))

    found = decode(_error(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", info, retry), "catalog")

    assert found.retry_after == timedelta(milliseconds=250)


def test_without_details_the_code_is_the_reason_and_nobody_answered() -> None:
    found = decode(_error(grpc.StatusCode.UNAVAILABLE, "refused"), "presence")

    assert found.reason == "UNAVAILABLE"
    assert not found.is_answer


def test_another_domains_reason_is_not_taken_for_ours() -> None:
    info = error_details_pb2.ErrorInfo(reason="SLOT_UNAVAILABLE", domain="example.org")

    found = decode(_error(grpc.StatusCode.INTERNAL, "?", info), "catalog")

    assert found.reason == "INTERNAL"
    assert not found.is_answer


def test_details_that_are_no_status_are_left_aside() -> None:
    found = decode(_error(grpc.StatusCode.NOT_FOUND, "no", raw=b"\xff\xff\xff"), "catalog")

    assert found.reason == "NOT_FOUND"
    assert found.message == "no"


def test_the_cause_is_the_end_of_the_story() -> None:
    story = "connections failing; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused"

    assert cause(story) == "Connection refused"
    assert cause(f"{story} (111)") == "Connection refused"


def test_the_cause_has_no_half_of_a_pair_of_brackets() -> None:
    story = "DNS resolution failed for none:1: [C-ares status is not ARES_SUCCESS: not found]"

    assert cause(story) == "not found"
    assert cause("cannot reach: [::1]") == "[::1]"
