"""What a refusal tells, and that each has its row and its reason."""

from __future__ import annotations

import services.presence.domain.refusal as presence_refusals
from holdfast.presence.v1.error_reason_pb2 import ErrorReason
from services.presence.domain.refusal import SlotHeld
from services.presence.rpc.errors import ERRORS
from shared.runtime.failure import Failure
from shared.runtime.status import KIT_ERRORS
from shared.slots.quantum import Span

PREFIX = "ERROR_REASON_"
# Promised to no caller of presence: it takes neither request ids nor page tokens.
FOREIGN = {"REQUEST_ID_REUSED", "INVALID_PAGE_TOKEN"}


def test_only_quanta_that_were_wanted_are_named() -> None:
    refusal = SlotHeld("studio-a", Span(10, 20), [(0, 12), (18, 30)])

    assert refusal.metadata == {"resource_id": "studio-a", "quanta.1970-01-01": "10,11,18,19"}


def test_a_quantum_held_by_several_is_named_once() -> None:
    refusal = SlotHeld("studio-a", Span(10, 12), [(10, 12), (11, 13), (10, 11)])

    assert refusal.held == {0: 0b11 << 10}


def test_dates_are_named_in_order_whatever_the_order_of_holds() -> None:
    refusal = SlotHeld("studio-a", Span(0, 288), [(200, 201), (1, 2), (96, 98)])

    assert list(refusal.metadata.items())[1:] == [
        ("quanta.1970-01-01", "1"),
        ("quanta.1970-01-02", "0,1"),
        ("quanta.1970-01-03", "8"),
    ]


def test_a_month_of_quanta_is_cut_to_what_a_refusal_can_carry() -> None:
    month = Span(0, 31 * 96)

    metadata = SlotHeld("r" * 128, month, [(month.first, month.stop)]).metadata

    assert len(metadata) == 1 + 7
    assert sum(len(key) + len(value) for key, value in metadata.items()) < 3_000


def test_every_refusal_has_a_row() -> None:
    refusals = {
        kind
        for kind in vars(presence_refusals).values()
        if isinstance(kind, type) and issubclass(kind, Failure) and kind is not Failure
    }

    assert refusals == set(ERRORS)


def test_the_tables_reasons_are_the_contracts() -> None:
    promised = {name.removeprefix(PREFIX) for name in ErrorReason.keys()[1:]}

    given = {reason for _, reason in (*ERRORS.values(), *KIT_ERRORS.values())}

    assert given - FOREIGN == promised - {"INTERNAL"}
