"""Takes a row out of lists and offerings."""

from __future__ import annotations

from typing import TypeVar

from services.catalog.app.find import live
from services.catalog.app.port import Change, Records
from services.catalog.domain.record import Record

T = TypeVar("T")


async def delete(change: Change, records: Records[T], key: str, etag: str) -> Record[T]:
    """Deletes a row; it keeps its id and its links, and ``undelete`` restores it.

    Raises:
        NotFound: There is none, or it is deleted already.
        StaleEtag: It changed since ``etag`` was read; "" asks for no check.
    """
    record = await live(records, key)
    record.require(etag)
    deleted = record.deleted(change.stamp)
    await records.put(deleted)
    return deleted
