"""The catalog, asked question by question; answers count for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import grpc
from google.rpc import error_details_pb2, status_pb2

from holdfast.catalog.v1 import (
    catalog_pb2_grpc,
    event_type_pb2,
    link_pb2,
    offering_pb2,
    resource_pb2,
    watch_pb2,
)
from services.availability.domain.offering import Offering, OfferingName, ResourceFacts
from services.availability.domain.refusal import Kind, NotFound
from services.availability.upstream.memory import Memory
from services.availability.upstream.offering import read_facts, read_offering, type_number
from shared.runtime import log
from shared.runtime.call import REQUEST_ID_KEY
from shared.runtime.failure import Overloaded, StoreUnavailable
from shared.runtime.status import DETAILS_KEY

_MOST_REMEMBERED: Final = 20_000
# One may hold thousands.
_MOST_LISTS: Final = 16
_PAGE_SIZE: Final = 1_000
# Questions that one listing asks at a time.
_ASKED_TOGETHER: Final = 32

_ResourceName = tuple[str, str]
_EventTypeName = tuple[str, str]
_ListName = tuple[str, str, str]
_Missing = tuple[Kind, str]


class DatedOffering(NamedTuple):
    """An offering, and the revision of its organization's catalog that it is of."""

    offering: Offering
    version: int


class AskedCatalog:
    """The port ``Offerings`` over the catalog's calls."""

    def __init__(
        self,
        stub: catalog_pb2_grpc.CatalogServiceStub,
        *,
        fresh_seconds: float,
        timeout_seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        """Asks nothing yet.

        Args:
            stub: Of the catalog.
            fresh_seconds: How long an answer counts.
            timeout_seconds: How long one is waited for. Not the time a caller has left: the
                question may stand for many, each of whom waits no longer than their own
                deadline, and its answer serves those who come next.
            monotonic: The clock of freshness.
        """
        self._stub = stub
        self._timeout_seconds = timeout_seconds
        self._offerings = Memory(
            self._ask_offering,
            fresh_seconds=fresh_seconds,
            most=_MOST_REMEMBERED,
            monotonic=monotonic,
        )
        self._resources = Memory(
            self._ask_resource,
            fresh_seconds=fresh_seconds,
            most=_MOST_REMEMBERED,
            monotonic=monotonic,
        )
        self._event_types = Memory(
            self._ask_event_type,
            fresh_seconds=fresh_seconds,
            most=_MOST_REMEMBERED,
            monotonic=monotonic,
        )
        self._listed = Memory(
            self._ask_listed,
            fresh_seconds=fresh_seconds,
            most=_MOST_LISTS,
            monotonic=monotonic,
        )
        self._all_resources = Memory(
            self._ask_resources,
            fresh_seconds=fresh_seconds,
            most=_MOST_LISTS,
            monotonic=monotonic,
        )
        self._memories: Sequence[Memory[Any, Any]] = (
            self._offerings,
            self._resources,
            self._event_types,
            self._listed,
            self._all_resources,
        )

    async def offering(self, name: OfferingName) -> Offering:
        """As in the port."""
        return (await self.dated(name)).offering

    async def dated(self, name: OfferingName) -> DatedOffering:
        """Returns an offering, with the revision it is of.

        Raises:
            NotFound: The resource or the event type is unknown or deleted.
            StoreUnavailable: The catalog cannot be asked.
        """
        found = await self._offerings(name)
        if isinstance(found, DatedOffering):
            return found
        raise NotFound(*found)

    async def is_event_type_active(self, organization_id: str, event_type_id: str) -> bool:
        """Returns whether an event type, which there is, is active.

        Raises:
            NotFound: It is unknown or deleted.
            StoreUnavailable: The catalog cannot be asked.
        """
        found = await self._event_types((organization_id, event_type_id))
        if isinstance(found, bool):
            return found
        raise NotFound(*found)

    async def require_resources(self, organization_id: str, resource_ids: Sequence[str]) -> None:
        """As in the port."""
        await self.facts(organization_id, resource_ids)

    async def pools(self, organization_id: str, resource_ids: Sequence[str]) -> frozenset[str]:
        """As in the port."""
        facts = await self.facts(organization_id, resource_ids)
        return frozenset(found.resource_id for found in facts if found.pool)

    async def listed(
        self, organization_id: str, event_type_id: str, resource_type: str
    ) -> Sequence[Offering]:
        """As in the port."""
        found = await self._listed((organization_id, event_type_id, resource_type))
        if isinstance(found, tuple):
            raise NotFound(*found)
        return found

    async def resources(self, organization_id: str, resource_type: str) -> Sequence[ResourceFacts]:
        """As in the port."""
        return await self._all_resources((organization_id, resource_type))

    def drop(self, organization_id: str, removed: watch_pb2.CatalogRemovals) -> None:
        """Lets no answer count that says that there is what was removed since."""
        for resource_id in removed.resource_ids:
            self._resources.drop((organization_id, resource_id))
        for event_type_id in removed.event_type_ids:
            self._event_types.drop((organization_id, event_type_id))

    def forget(self) -> None:
        """Lets no answer count that was given before."""
        for memory in self._memories:
            memory.forget()

    async def close(self) -> None:
        """Ends the questions in flight."""
        for memory in self._memories:
            await memory.close()

    async def _ask_offering(self, name: OfferingName) -> DatedOffering | _Missing:
        request = offering_pb2.GetOfferingRequest(**name._asdict())
        try:
            answer = await self._stub.GetOffering(request, **self._options())
        except grpc.aio.AioRpcError as error:
            return _missing(error, (Kind.RESOURCE, name.resource_id))
        return DatedOffering(read_offering(name, answer.offering), answer.offering.version)

    async def _ask_event_type(self, name: _EventTypeName) -> bool | _Missing:
        organization_id, event_type_id = name
        request = event_type_pb2.GetEventTypeRequest(
            organization_id=organization_id, event_type_id=event_type_id
        )
        missing = Kind.EVENT_TYPE, event_type_id
        try:
            answer = await self._stub.GetEventType(request, **self._options())
        except grpc.aio.AioRpcError as error:
            return _missing(error, missing)
        found = answer.event_type
        return missing if found.HasField("delete_time") else found.active

    async def _ask_listed(self, name: _ListName) -> list[Offering] | _Missing:
        organization_id, event_type_id, resource_type = name
        kind = _wanted_type(resource_type)
        try:
            resources = await self._pages(
                self._stub.ListResourcesForEventType,
                link_pb2.ListResourcesForEventTypeRequest(
                    organization_id=organization_id,
                    event_type_id=event_type_id,
                    page_size=_PAGE_SIZE,
                ),
                (Kind.EVENT_TYPE, event_type_id),
            )
        except NotFound as refusal:
            return refusal.kind, refusal.key
        names = [
            OfferingName(organization_id, resource.resource_id, event_type_id)
            for resource in resources
            if resource.active and (not resource_type or resource.type == kind)
        ]
        found: list[DatedOffering | _Missing] = []
        for begin in range(0, len(names), _ASKED_TOGETHER):
            asked = names[begin : begin + _ASKED_TOGETHER]
            found += await asyncio.gather(*map(self._offerings, asked))
        # What was deleted or unlinked meanwhile is no longer listed.
        return [
            answer.offering
            for answer in found
            if isinstance(answer, DatedOffering)
            and answer.offering.resource_active
            and answer.offering.linked
        ]

    async def _ask_resources(self, name: tuple[str, str]) -> list[ResourceFacts]:
        organization_id, resource_type = name
        kind = _wanted_type(resource_type)
        if resource_type and not kind:
            return []
        resources = await self._pages(
            self._stub.ListResources,
            resource_pb2.ListResourcesRequest(
                organization_id=organization_id, type=kind, active=True, page_size=_PAGE_SIZE
            ),
            (Kind.RESOURCE, ""),
        )
        return [read_facts(resource) for resource in resources]

    async def facts(
        self, organization_id: str, resource_ids: Sequence[str]
    ) -> Sequence[ResourceFacts]:
        """Returns what resources are.

        Raises:
            NotFound: One of them is unknown or deleted.
            StoreUnavailable: The catalog cannot be asked.
        """
        found = []
        for answer in await self._answers(organization_id, resource_ids):
            if not isinstance(answer, ResourceFacts):
                raise NotFound(*answer)
            found.append(answer)
        return found

    async def known(
        self, organization_id: str, resource_ids: Sequence[str]
    ) -> Mapping[str, ResourceFacts]:
        """Returns what those are, by id, that are resources.

        Raises:
            StoreUnavailable: The catalog cannot be asked.
        """
        answers = await self._answers(organization_id, resource_ids)
        return {
            answer.resource_id: answer for answer in answers if isinstance(answer, ResourceFacts)
        }

    async def _answers(
        self, organization_id: str, resource_ids: Sequence[str]
    ) -> Sequence[ResourceFacts | _Missing]:
        return await asyncio.gather(
            *(self._resources((organization_id, resource_id)) for resource_id in resource_ids)
        )

    async def _pages(
        self, method: Any, request: Any, missing: _Missing
    ) -> Sequence[resource_pb2.Resource]:
        found: list[resource_pb2.Resource] = []
        while True:
            try:
                answer = await method(request, **self._options())
            except grpc.aio.AioRpcError as error:
                raise NotFound(*_missing(error, missing)) from error
            found += answer.resources
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def _ask_resource(self, name: _ResourceName) -> ResourceFacts | _Missing:
        organization_id, resource_id = name
        request = resource_pb2.GetResourceRequest(
            organization_id=organization_id, resource_id=resource_id
        )
        missing = Kind.RESOURCE, resource_id
        try:
            answer = await self._stub.GetResource(request, **self._options())
        except grpc.aio.AioRpcError as error:
            return _missing(error, missing)
        return missing if answer.resource.HasField("delete_time") else read_facts(answer.resource)

    def _options(self) -> dict[str, Any]:
        return {
            "timeout": self._timeout_seconds,
            "metadata": ((REQUEST_ID_KEY, log.request_id.get()),),
        }


def _wanted_type(word: str) -> resource_pb2.ResourceType.ValueType:
    return type_number(word) or resource_pb2.RESOURCE_TYPE_UNSPECIFIED


def _missing(error: grpc.aio.AioRpcError, default: _Missing) -> _Missing:
    """Returns what the catalog does not have; raises when that is not what it said."""
    code = error.code()
    if code is grpc.StatusCode.NOT_FOUND:
        return _told(error) or default
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        raise Overloaded("the catalog is overloaded") from error
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        raise StoreUnavailable("the catalog did not answer in time") from error
    raise StoreUnavailable("the catalog cannot be asked") from error


def _told(error: grpc.aio.AioRpcError) -> _Missing | None:
    for key, value in error.trailing_metadata():
        if key != DETAILS_KEY or not isinstance(value, bytes):
            continue
        info = error_details_pb2.ErrorInfo()
        for detail in status_pb2.Status.FromString(value).details:
            if detail.Unpack(info) and info.metadata.get("kind") in set(Kind):
                return Kind(info.metadata["kind"]), info.metadata["id"]
    return None
