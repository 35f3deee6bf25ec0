"""A row as it is kept: the value, when it changed, and at which revision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from services.catalog.domain.failure import StaleEtag

T = TypeVar("T")


class Stamp(NamedTuple):
    """The moment of a change: the service's clock, and the organization's new revision."""

    time: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """A value with its history.

    Attributes:
        value: What callers set.
        create_time: Aware, UTC.
        update_time: Of the last change, deletion and restoration included.
        delete_time: None while it is not deleted.
        revision: The organization's revision at the last change; no two changes of one row
            share it, even if the row was removed and made anew in between.
    """

    value: T
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None
    revision: int

    @classmethod
    def new(cls, value: T, stamp: Stamp) -> Record[T]:
        """A record that did not exist before."""
        return cls(value, stamp.time, stamp.time, None, stamp.revision)

    @property
    def is_deleted(self) -> bool:
        """Whether it is gone from lists and offerings."""
        return self.delete_time is not None

    @property
    def etag(self) -> str:
        """Opaque to callers."""
        return f"r{self.revision:x}"

    def require(self, etag: str) -> None:
        """Checks that the row is as the caller read it; an empty etag asks for nothing.

        Raises:
            StaleEtag: It is not.
        """
        if etag and etag != self.etag:
            raise StaleEtag

    def changed(self, value: T, stamp: Stamp) -> Record[T]:
        """The record with another value."""
        return replace(self, value=value, update_time=stamp.time, revision=stamp.revision)

    def deleted(self, stamp: Stamp) -> Record[T]:
        """The record, taken out of use."""
        return replace(self.changed(self.value, stamp), delete_time=stamp.time)

    def restored(self, stamp: Stamp) -> Record[T]:
        """The record, back in use."""
        return replace(self.changed(self.value, stamp), delete_time=None)
