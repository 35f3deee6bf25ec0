"""What use cases ask of the store. Everything is bound to one organization."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, Protocol, TypeVar

from services.catalog.domain.entry import Entry, EntryName
from services.catalog.domain.event_type import EventType
from services.catalog.domain.failure import Kind
from services.catalog.domain.offering import Hours, Offering
from services.catalog.domain.record import Record, Stamp
from services.catalog.domain.resource import Resource, ResourceType
from services.catalog.domain.schedule import DateOverride, Schedule
from shared.runtime.resume import Position

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which rows of a list: at most ``limit`` after the key ``after``, "" for the first."""

    after: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceFilter:
    """Which resources are listed; None and "" for any."""

    type: ResourceType | None = None
    active: bool | None = None
    text: str = ""
    show_deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeFilter:
    """Which event types are listed; None and "" for any."""

    active: bool | None = None
    text: str = ""
    show_deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """Dates from first to last, inclusive."""

    first: date = date.min
    last: date = date.max


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """What makes a retry a retry.

    Attributes:
        method: Short name of the call.
        request_id: Canonical UUID.
        content: Hash of what is asked for.
    """

    method: str
    request_id: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The first answer to a request, as bytes."""

    content: bytes
    answer: bytes


class Records(Protocol[T]):
    """Rows of one kind, by id."""

    @property
    def kind(self) -> Kind:
        """What they are."""

    async def find(self, key: str) -> Record[T] | None:
        """Reads one, deleted or not."""

    async def add(self, record: Record[T]) -> None:
        """Writes a new one.

        Raises:
            IdTaken: Its id was used before.
            SlugTaken: An event type's slug is another's.
        """

    async def put(self, record: Record[T]) -> None:
        """Writes one anew that exists.

        Raises:
            SlugTaken: An event type's slug is another's.
        """


class Resources(Records[Resource], Protocol):
    """The organization's resources."""

    async def page(self, wanted: ResourceFilter, page: Page) -> list[Record[Resource]]:
        """Reads a page by id."""

    async def page_of_event_type(self, event_type_id: str, page: Page) -> list[Record[Resource]]:
        """Reads a page by id of those, not deleted, that an event type books."""

    async def missing(self, keys: Sequence[str]) -> list[str]:
        """Says which ids are unknown or deleted, ascending."""


class EventTypes(Records[EventType], Protocol):
    """The organization's event types."""

    async def page(self, wanted: EventTypeFilter, page: Page) -> list[Record[EventType]]:
        """Reads a page by id."""

    async def page_of_resource(self, resource_id: str, page: Page) -> list[Record[EventType]]:
        """Reads a page by id of those, not deleted, that book a resource."""

    async def missing(self, keys: Sequence[str]) -> list[str]:
        """Says which ids are unknown or deleted, ascending."""

    async def find_by_slug(self, slug: str) -> Record[EventType] | None:
        """Reads one, deleted or not."""

    async def taken(self, slugs: Sequence[str]) -> set[str]:
        """Says which slugs are some event type's, deleted ones included."""


class Schedules(Records[Schedule], Protocol):
    """The organization's schedules; none is ever deleted softly."""

    async def page(self, page: Page) -> list[Record[Schedule]]:
        """Reads a page by id."""

    async def default(self) -> Record[Schedule] | None:
        """Reads the default."""

    async def users(self, schedule_id: str, limit: int) -> list[str]:
        """Names rows, deleted ones included, that use it, as ScheduleInUse does."""

    async def remove(self, schedule_id: str) -> None:
        """Removes one with its overrides."""

    async def hours(self, schedule_id: str, dates: DateRange) -> Hours | None:
        """Reads one with its overrides of some dates, from one moment."""


class DateOverrides(Protocol):
    """Overrides of the organization's schedules."""

    async def count(self, schedule_id: str, *, without: date) -> int:
        """Counts a schedule's overrides of other dates."""

    async def put(self, schedule_id: str, override: DateOverride) -> None:
        """Writes one in place of what its date may have."""

    async def remove(self, schedule_id: str, day: date) -> bool:
        """Removes one; says whether there was one."""

    async def page(
        self, schedule_id: str, dates: DateRange, *, after: date | None, limit: int
    ) -> list[DateOverride]:
        """Reads a page by date."""


class Links(Protocol):
    """Which event types book which resources."""

    async def set_resources(self, event_type_id: str, resource_ids: Iterable[str]) -> None:
        """Makes these the only ones the event type books."""

    async def set_event_types(self, resource_id: str, event_type_ids: Iterable[str]) -> None:
        """Makes these the only ones that book the resource."""

    async def add(self, resource_id: str, event_type_id: str) -> None:
        """Links; nothing happens when they are."""

    async def remove(self, resource_id: str, event_type_id: str) -> None:
        """Unlinks; nothing happens when they are not."""


class Offerings(Protocol):
    """Reads across tables, each from one moment."""

    async def read(self, resource_id: str, event_type_id: str, *, since: date) -> Offering:
        """Reads what a booking is judged by, with overrides from a date on.

        Raises:
            NotFound: The resource or the event type is unknown or deleted.
        """

    async def hours(
        self, resource_id: str, event_type_id: str, dates: DateRange
    ) -> tuple[Hours | None, str]:
        """Reads the hours that apply to a resource, and its zone.

        Args:
            resource_id: The resource.
            event_type_id: Under this event type; "" for none.
            dates: Whose overrides are read.

        Raises:
            NotFound: The resource or the event type is unknown or deleted.
        """


class Answers(Protocol):
    """First answers, kept for retries."""

    async def find(self, request: RequestKey) -> Answer | None:
        """Reads what was answered to this request_id of this method."""

    async def keep(self, request: RequestKey, answer: bytes) -> None:
        """Ends the change: keeps the answer, drops some outdated ones, raises the revision."""


class View(Protocol):
    """An organization's catalog, for reading."""

    @property
    def resources(self) -> Resources:
        """Its resources."""

    @property
    def schedules(self) -> Schedules:
        """Its schedules."""

    @property
    def date_overrides(self) -> DateOverrides:
        """Their overrides."""

    @property
    def event_types(self) -> EventTypes:
        """Its event types."""

    @property
    def offerings(self) -> Offerings:
        """All of them together."""


class Change(View, Protocol):
    """One transaction, alone in its organization until it ends."""

    @property
    def stamp(self) -> Stamp:
        """The moment of this change."""

    @property
    def links(self) -> Links:
        """Its links."""

    @property
    def answers(self) -> Answers:
        """Answers to earlier requests."""


class Store(Protocol):
    """The organizations' catalogs."""

    async def read(self, organization_id: str, work: Callable[[View], Awaitable[T]]) -> T:
        """Runs ``work``, each statement by itself.

        Raises:
            StoreUnavailable: The database does not answer.
            Overloaded: It is too busy.
        """

    async def change(self, organization_id: str, work: Callable[[Change], Awaitable[T]]) -> T:
        """Runs ``work`` in a transaction that waits for the organization's other changes.

        ``work`` may run twice, the first time without effect.

        Raises:
            StoreUnavailable: The database does not answer; whether the change happened is
                told by a retry with the same request_id.
            Overloaded: It is too busy; nothing happened.
        """


Encode = Callable[[str, EntryName, Entry], bytes]
"""Writes an entry of an organization as watchers are told of it."""


class Touched(NamedTuple):
    """What changed after a revision, up to a position; None where that is not known."""

    position: Position
    names: AbstractSet[EntryName] | None


class Delta(NamedTuple):
    """As Touched, with each entry as it is at the position: encoded, or None when gone."""

    position: Position
    entries: Mapping[EntryName, bytes | None] | None


class CatalogLog(Protocol):
    """Catalogs and how they changed, of the newest commits. Epochs are the store's.

    Every method may raise StoreUnavailable and Overloaded.
    """

    async def positions(self, organization_ids: Sequence[str]) -> Mapping[str, Position]:
        """Returns how far catalogs have changed."""

    async def state(self, organization_id: str) -> tuple[Position, dict[EntryName, bytes]]:
        """Returns every entry that is not deleted, encoded, of one moment."""

    async def since(self, organization_id: str, revision: int) -> Delta:
        """Returns what changed after a revision."""

    async def touched(self, organization_id: str, revision: int) -> Touched:
        """Returns the names of what changed after a revision."""
