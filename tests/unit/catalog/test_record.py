"""Records and their history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.catalog.domain.failure import StaleEtag
from services.catalog.domain.record import Record, Stamp

FIRST = Stamp(datetime(2027, 3, 1, tzinfo=UTC), 41)
LATER = Stamp(FIRST.time + timedelta(hours=1), 42)


def test_a_new_record_was_changed_when_it_was_created() -> None:
    record = Record.new("value", FIRST)

    assert (record.create_time, record.update_time) == (FIRST.time, FIRST.time)
    assert not record.is_deleted


def test_a_changed_record_keeps_when_it_was_created() -> None:
    record = Record.new("old", FIRST).changed("new", LATER)

    assert (record.value, record.create_time, record.update_time) == (
        "new",
        FIRST.time,
        LATER.time,
    )


def test_every_change_gives_another_etag() -> None:
    record = Record.new("value", FIRST)
    after = [record.changed("value", LATER), record.deleted(LATER), record.restored(LATER)]

    assert all(changed.etag != record.etag for changed in after)


def test_a_deleted_record_is_restored_without_its_time_of_deletion() -> None:
    deleted = Record.new("value", FIRST).deleted(LATER)

    assert deleted.delete_time == LATER.time
    assert deleted.restored(LATER).delete_time is None


def test_the_current_etag_and_none_at_all_are_accepted() -> None:
    record = Record.new("value", FIRST)

    record.require(record.etag)
    record.require("")


@pytest.mark.parametrize("etag", ["r2A", "R29", "29", " r29", "0"])
def test_any_other_etag_is_stale(etag: str) -> None:
    with pytest.raises(StaleEtag):
        Record.new("value", FIRST).require(etag)
