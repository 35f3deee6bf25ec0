"""What the catalog refuses, with the values that decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum

from shared.runtime.failure import Failure, Overloaded


class Kind(StrEnum):
    """What a row is; callers read it in the metadata of a refusal."""

    RESOURCE = "resource"
    SCHEDULE = "schedule"
    EVENT_TYPE = "event_type"
    DATE_OVERRIDE = "date_override"
    LINK = "link"


class NotFound(Failure):
    """No such row in this organization, or it is deleted."""

    def __init__(self, kind: Kind, key: str) -> None:
        super().__init__(f"no {_spoken(kind)} {key}")
        self.kind = kind
        self.key = key

    @property
    def metadata(self) -> Mapping[str, str]:
        """Which row."""
        return {"kind": self.kind, "id": self.key}


class NoDefaultSchedule(NotFound):
    """The organization has no default schedule."""

    def __init__(self) -> None:
        super().__init__(Kind.SCHEDULE, "")
        self.args = ("the organization has no default schedule",)


class IdTaken(Failure):
    """A row, perhaps a deleted one, has this id already."""

    def __init__(self, kind: Kind, key: str) -> None:
        super().__init__(f"there is a {_spoken(kind)} {key} already, or there was one")
        self.kind = kind
        self.key = key

    @property
    def metadata(self) -> Mapping[str, str]:
        """Which row."""
        return {"kind": self.kind, "id": self.key}


class SlugTaken(Failure):
    """Another event type, perhaps a deleted one, has this slug."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"another event type has the slug {slug}")
        self.slug = slug

    @property
    def metadata(self) -> Mapping[str, str]:
        """Which slug."""
        return {"slug": self.slug}


class StaleEtag(Failure):
    """The row changed since the caller read it."""

    def __init__(self) -> None:
        super().__init__("the row changed since its etag was read: read it again")


class ScheduleInUse(Failure):
    """Rows use the schedule, or it is the default.

    Attributes:
        used_by: "default", or "resource:<id>" and "event_type:<id>"; some of them if many.
    """

    def __init__(self, schedule_id: str, used_by: Sequence[str]) -> None:
        super().__init__(f"schedule {schedule_id} is in use: {', '.join(used_by)}")
        self.schedule_id = schedule_id
        self.used_by = tuple(used_by)

    @property
    def metadata(self) -> Mapping[str, str]:
        """Who uses it, separated by commas."""
        return {"used_by": ",".join(self.used_by)}


class NotDeleted(Failure):
    """There is nothing to restore."""

    def __init__(self, kind: Kind, key: str) -> None:
        super().__init__(f"the {_spoken(kind)} {key} is not deleted")
        self.kind = kind
        self.key = key


class TooManyOverrides(Overloaded):
    """The schedule has as many date overrides as it may. Room comes only by removing some."""

    def __init__(self, schedule_id: str, limit: int) -> None:
        super().__init__(
            f"schedule {schedule_id} has {limit} date overrides: delete some",
            retry_after=timedelta(hours=1),
        )
        self.schedule_id = schedule_id
        self.limit = limit


def _spoken(kind: Kind) -> str:
    return kind.replace("_", " ")
