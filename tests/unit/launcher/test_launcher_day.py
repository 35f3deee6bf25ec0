"""The day that the launcher suggests for a first booking."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from services.launcher.main import _next_weekday


@pytest.mark.parametrize(
    ("today", "suggested"),
    [
        (datetime(2027, 3, 1, 8, tzinfo=UTC), date(2027, 3, 2)),
        (datetime(2027, 3, 4, 23, tzinfo=UTC), date(2027, 3, 5)),
        (datetime(2027, 3, 5, 8, tzinfo=UTC), date(2027, 3, 8)),
        (datetime(2027, 3, 6, 8, tzinfo=UTC), date(2027, 3, 8)),
        (datetime(2027, 3, 7, 8, tzinfo=UTC), date(2027, 3, 8)),
    ],
    ids=["monday", "thursday", "friday", "saturday", "sunday"],
)
def test_it_is_the_next_weekday(today: datetime, suggested: date) -> None:
    assert _next_weekday(today) == suggested
