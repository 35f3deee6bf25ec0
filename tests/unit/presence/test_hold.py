"""Holders, spans and terms."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from services.presence.domain.hold import (
    HOLDER_ID_LENGTH,
    HoldTerms,
    Wanted,
    holder_of,
)
from services.presence.domain.refusal import StartOffGrid
from shared.slots.quantum import Span

SESSION = "0123456789abcdefghijKLMNOP"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def test_a_holder_id_is_the_same_in_every_process() -> None:
    assert holder_of("demo", SESSION).holder_id == "a4e71b9e2923627851119c64842c3238"


def test_a_holder_id_has_128_bits_and_nothing_of_the_session() -> None:
    holder_id = holder_of("demo", SESSION).holder_id

    assert re.fullmatch(rf"[0-9a-f]{{{HOLDER_ID_LENGTH}}}", holder_id)
    assert HOLDER_ID_LENGTH * 4 == 128


def test_organization_and_session_do_not_run_together() -> None:
    assert holder_of("demo", "1" + SESSION).holder_id != holder_of("demo1", SESSION).holder_id


@pytest.mark.parametrize(
    ("length", "quanta"),
    [
        (timedelta(microseconds=1), 1),
        (QUARTER, 1),
        (QUARTER + timedelta(microseconds=1), 2),
        (timedelta(days=31), 31 * 96),
    ],
    ids=str,
)
def test_the_end_of_a_hold_is_rounded_up(length: timedelta, quanta: int) -> None:
    assert Wanted(EPOCH + 8 * QUARTER, length).span() == Span(8, 8 + quanta)


def test_the_start_of_a_hold_is_never_rounded() -> None:
    start = EPOCH + QUARTER + timedelta(microseconds=1)

    with pytest.raises(StartOffGrid) as caught:
        Wanted(start, QUARTER)

    assert caught.value.start == start


def test_a_renewal_is_due_early_enough_for_one_to_be_lost() -> None:
    terms = HoldTerms(timedelta(seconds=10), holds_per_resource=4)

    assert terms.renew_after == timedelta(seconds=5)
