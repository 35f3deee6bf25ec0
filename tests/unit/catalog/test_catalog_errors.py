"""Every refusal has a row, and every row and reason is in the contract."""

from __future__ import annotations

import pytest

from holdfast.catalog.v1.error_reason_pb2 import ErrorReason
from services.catalog.domain import failure
from services.catalog.rpc.errors import ERRORS
from services.catalog.rpc.servicer import WRITES, CatalogServicer
from shared.runtime.failure import Failure
from shared.runtime.status import KIT_ERRORS, code_and_reason
from tests.contract.catalog.caller import METHODS, request_class

FAILURES = [
    value
    for value in vars(failure).values()
    if isinstance(value, type)
    and issubclass(value, Failure)
    and value.__module__ == failure.__name__
]


@pytest.mark.parametrize("kind", FAILURES)
def test_every_refusal_has_a_row(kind: type[Failure]) -> None:
    assert any(parent in ERRORS for parent in kind.__mro__)
    assert code_and_reason(kind.__new__(kind), ERRORS)[1] != "INTERNAL"


def test_reasons_are_exactly_those_of_the_contract() -> None:
    kit = {reason for _, reason in KIT_ERRORS.values()}
    given = {reason for _, reason in ERRORS.values()} | kit | {"INTERNAL"}

    contract = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}  # noqa: SIM118  # no dict
    assert given == contract - {"UNSPECIFIED"}


def test_every_call_of_the_contract_is_answered() -> None:
    inherited = CatalogServicer.__mro__[:-3]

    for method in METHODS:
        assert any(method in vars(part) for part in inherited), method


def test_what_changes_something_counts_as_a_write() -> None:
    with_request_id = {
        method
        for method in METHODS
        if "request_id" in request_class(method).DESCRIPTOR.fields_by_name
    }

    assert with_request_id == WRITES
