"""What the catalog says of resources and event types: followed, else asked."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any, Final, TypeVar

import grpc

from holdfast.catalog.v1 import catalog_pb2_grpc, event_type_pb2, link_pb2, resource_pb2
from services.presence.domain.hold import UNKNOWN_RULE, Buffers, ResourceRule
from services.presence.domain.refusal import EventTypeNotFound, ResourceNotFound
from services.presence.upstream.mirror import RuleMirror, hold_rule, kept_free
from services.presence.upstream.question import Answer, Memory, Name, Questions
from shared.catalog.follow import CatalogFollower
from shared.catalog.state import read_event_type, read_resource
from shared.runtime import log
from shared.runtime.call import REQUEST_ID_KEY
from shared.runtime.deadline import time_remaining
from shared.runtime.failure import StoreUnavailable

_PAGE_SIZE: Final = 1_000
_EVER: Final = float("inf")

ValueT = TypeVar("ValueT")


class CatalogRules:
    """The port ``HoldRules`` over CatalogService. Belongs to one event loop.

    An organization is followed from the first question on, while there are some. While its watch
    lives, its mirror answers; what it lacks may only not have been told yet, so the catalog is
    asked. Before that, and where the catalog has no watch, the catalog is asked. While it cannot
    be asked, the mirror and what was answered before go on, however old; of what nobody knows, a
    resource is exclusive, and said to be unknown.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        memory: Memory,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Asks nothing yet."""
        self._catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        self._memory = memory
        self._monotonic = monotonic
        self._followers: OrderedDict[str, CatalogFollower[RuleMirror]] = OrderedDict()
        self._following: dict[str, asyncio.Task[None]] = {}
        self._resources = Questions(self._ask_resource, memory, monotonic)
        self._event_types = Questions(self._ask_event_type, memory, monotonic)
        self._links = Questions(self._ask_links, memory, monotonic)
        # Where a mirror can answer, a catalog that could not be asked is left in peace till then.
        self._ask_from = -_EVER
        self._is_closed = False

    def known(self, organization_id: str, resource_id: str) -> ResourceRule | None:
        """Returns the rule of a resource that can be told without asking."""
        name = Name(organization_id, resource_id)
        found = self._remembered(self._resources, name, RuleMirror.rule)
        return found.value if found is not None and found.is_told else None

    async def ask(self, organization_id: str, resource_id: str) -> ResourceRule:
        """Returns the rule of a resource, asking the catalog unless it is known.

        Raises:
            ResourceNotFound: The resource is unknown or deleted.
        """
        name = Name(organization_id, resource_id)
        found = await self._found(self._resources, name, RuleMirror.rule)
        if found.value is not None:
            return found.value
        if found.is_told:
            raise ResourceNotFound(resource_id)
        return UNKNOWN_RULE

    async def buffers(self, organization_id: str, event_type_id: str) -> Buffers:
        """Returns what an event type keeps free around its bookings.

        Raises:
            EventTypeNotFound: The event type is unknown or deleted.
            StoreUnavailable: It is not remembered, and the catalog cannot be asked.
        """
        name = Name(organization_id, event_type_id)
        found = await self._found(self._event_types, name, RuleMirror.buffers)
        if found.value is not None:
            return found.value
        if found.is_told:
            raise EventTypeNotFound(event_type_id)
        raise StoreUnavailable("the catalog cannot be asked")

    async def booked_by(self, organization_id: str, event_type_id: str) -> Sequence[str]:
        """Returns which resources an event type books; none if it is unknown.

        Raises:
            StoreUnavailable: It is not remembered, and the catalog cannot be asked.
        """
        name = Name(organization_id, event_type_id)
        found = await self._found(self._links, name, RuleMirror.booked_by)
        if found.value is None and not found.is_told:
            raise StoreUnavailable("the catalog cannot be asked")
        return found.value or ()

    async def close(self) -> None:
        """Ends watches and the questions in flight."""
        self._is_closed = True
        following = list(self._following.values())
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        for questions in (self._resources, self._event_types, self._links):
            await questions.close()

    def _remembered(
        self,
        questions: Questions[ValueT],
        name: Name,
        told: Callable[[RuleMirror, str], ValueT | None],
    ) -> Answer[ValueT] | None:
        """Returns what counts now without asking."""
        follower = self._used(name.organization_id)
        mirror = follower.mirror
        if mirror is None:
            return questions.fresh(name, None)
        if follower.is_live or self._monotonic() < self._ask_from:
            value = told(mirror, name.key)
            if value is not None:
                return Answer(value, True, follower.told_at, follower.live_until)
        # What the mirror lacks may be gone: only an answer to a later question says otherwise.
        return questions.fresh(name, follower.told_at)

    async def _found(
        self,
        questions: Questions[ValueT],
        name: Name,
        told: Callable[[RuleMirror, str], ValueT | None],
    ) -> Answer[ValueT]:
        follower = self._used(name.organization_id)
        patience = self._memory.patience.total_seconds()
        # At most half of what the caller has left: the store is still to be asked.
        ends_at = self._monotonic() + time_remaining(2 * patience) / 2
        if follower.mirror is None:
            # The watch tells more than an answer: what offers the resource, for how long.
            await follower.filled((ends_at - self._monotonic()) / 2)
        found = self._remembered(questions, name, told)
        if found is None:
            found = await questions(name, ends_at - self._monotonic())
        if found.is_told:
            return found
        mirror = follower.mirror
        value = None if mirror is None else told(mirror, name.key)
        if value is None:
            return found
        self._ask_from = max(self._ask_from, found.asked_at + self._memory.doubtful.total_seconds())
        return Answer(value, True, follower.told_at, self._ask_from)

    def _used(self, organization_id: str) -> CatalogFollower[RuleMirror]:
        """Returns who follows an organization; begins to follow it if nobody does."""
        follower = self._followers.get(organization_id)
        if follower is None:
            follower = self._follow(organization_id)
        follower.used_at = self._monotonic()
        self._followers.move_to_end(organization_id)
        return follower

    def _follow(self, organization_id: str) -> CatalogFollower[RuleMirror]:
        follower = CatalogFollower(
            organization_id,
            self._catalog.WatchCatalog,
            RuleMirror,
            idle_seconds=self._memory.idle.total_seconds(),
            stale_seconds=_EVER,
            monotonic=self._monotonic,
        )
        self._followers[organization_id] = follower
        if len(self._followers) > self._memory.organizations:
            # Whoever invents some must not take all memory.
            oldest = next(iter(self._followers))
            self._followers.pop(oldest)
            if (following := self._following.pop(oldest, None)) is not None:
                following.cancel()
        if self._is_closed:  # a call that outlives the service opens no watch
            return follower
        # In no caller's context: it outlives them all.
        task = asyncio.create_task(follower.run(), context=Context())
        self._following[organization_id] = task

        def ended(task: asyncio.Task[None]) -> None:
            if self._following.get(organization_id) is task:
                del self._following[organization_id], self._followers[organization_id]

        task.add_done_callback(ended)
        return follower

    async def _ask_resource(self, name: Name, patience_seconds: float) -> ResourceRule | None:
        request = resource_pb2.GetResourceRequest(
            organization_id=name.organization_id, resource_id=name.key
        )
        answer = await self._catalog.GetResource(request, **_options(patience_seconds))
        if answer.resource.HasField("delete_time"):
            return None
        return ResourceRule(hold_rule(read_resource(answer.resource)), longest=None)

    async def _ask_event_type(self, name: Name, patience_seconds: float) -> Buffers | None:
        request = event_type_pb2.GetEventTypeRequest(
            organization_id=name.organization_id, event_type_id=name.key
        )
        answer = await self._catalog.GetEventType(request, **_options(patience_seconds))
        if answer.event_type.HasField("delete_time"):
            return None
        return kept_free(read_event_type(answer.event_type))

    async def _ask_links(self, name: Name, patience_seconds: float) -> tuple[str, ...]:
        request = link_pb2.ListResourcesForEventTypeRequest(
            organization_id=name.organization_id, event_type_id=name.key, page_size=_PAGE_SIZE
        )
        found: list[str] = []
        while True:
            answer = await self._catalog.ListResourcesForEventType(
                request, **_options(patience_seconds)
            )
            found += (resource.resource_id for resource in answer.resources)
            if not answer.next_page_token:
                return tuple(found)
            request.page_token = answer.next_page_token


def _options(patience_seconds: float) -> dict[str, Any]:
    return {
        "timeout": patience_seconds,
        "metadata": ((REQUEST_ID_KEY, log.request_id.get()),),
    }
