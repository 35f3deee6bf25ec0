"""What a hold takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.presence.domain.hold import Buffers, Wanted

START = datetime(2027, 3, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("before", "after", "length", "expected"),
    [
        (0, 0, 60, (0, 4)),
        (15, 30, 60, (-1, 6)),
        (1, 1, 60, (-1, 5)),
        (0, 10, 50, (0, 4)),
        (1440, 1440, 31 * 1440, (-96, 31 * 96 + 96)),
    ],
)
def test_buffers_widen_a_hold_and_it_is_rounded_out(
    before: int, after: int, length: int, expected: tuple[int, int]
) -> None:
    first = int(START.timestamp()) // 900

    span = Wanted(START, length * MINUTE).span(Buffers(before * MINUTE, after * MINUTE))

    assert (span.first - first, span.stop - first) == expected
