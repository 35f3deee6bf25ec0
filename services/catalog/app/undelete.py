"""Restores a deleted row."""

from __future__ import annotations

from typing import TypeVar

from services.catalog.app.find import existing
from services.catalog.app.port import Change, Records
from services.catalog.domain.failure import NotDeleted
from services.catalog.domain.record import Record

T = TypeVar("T")


async def undelete(change: Change, records: Records[T], key: str) -> Record[T]:
    """Restores a row with its links.

    Raises:
        NotFound: There never was one.
        NotDeleted: It is in use.
    """
    record = await existing(records, key)
    if not record.is_deleted:
        raise NotDeleted(records.kind, key)
    restored = record.restored(change.stamp)
    await records.put(restored)
    return restored
