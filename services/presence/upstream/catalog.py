"""What the catalog says of a resource, remembered for a while."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import grpc

from holdfast.catalog.v1 import catalog_pb2_grpc, event_type_pb2, link_pb2, resource_pb2
from services.presence.domain.hold import Buffers, HoldRule, ResourceRule
from services.presence.domain.refusal import EventTypeNotFound, ResourceNotFound
from shared.runtime import log
from shared.runtime.call import REQUEST_ID_KEY
from shared.runtime.deadline import time_remaining
from shared.runtime.failure import StoreUnavailable

logger = logging.getLogger("holdfast.presence.catalog")

_Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Memory:
    """For how long answers count, how many are kept, and how long one is waited for.

    Attributes:
        fresh: A resource that is known.
        doubtful: One that is not, or of which the catalog could not be asked.
        patience: For the catalog's answer.
        entries: Resources at most; the one unused for longest is forgotten.
    """

    fresh: timedelta
    doubtful: timedelta
    patience: timedelta
    entries: int


@dataclass(frozen=True, slots=True)
class _Known:
    rule: ResourceRule | None
    """None: there is no such resource."""
    until: float


class CatalogRules:
    """The port ``HoldRules`` over CatalogService.GetResource.

    Calls for one resource at once share one question. An answer that is no longer fresh still
    counts while the catalog cannot be asked; without one the resource is exclusive.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        memory: Memory,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        self._memory = memory
        self._monotonic = monotonic
        self._known: OrderedDict[_Name, _Known] = OrderedDict()
        self._questions: dict[_Name, asyncio.Task[ResourceRule | None]] = {}
        self._answered = True

    def known(self, organization_id: str, resource_id: str) -> ResourceRule | None:
        """Returns the rule of a resource remembered freshly."""
        name = (organization_id, resource_id)
        known = self._known.get(name)
        if known is None or known.until <= self._monotonic():
            return None
        self._known.move_to_end(name)
        return known.rule

    async def ask(self, organization_id: str, resource_id: str) -> ResourceRule:
        """Returns the rule of a resource, asking the catalog unless it is remembered freshly.

        Raises:
            ResourceNotFound: The resource is unknown or deleted.
        """
        name = (organization_id, resource_id)
        known = self._known.get(name)
        if known is not None and known.until > self._monotonic():
            rule = known.rule
        else:
            rule = await self._shared_question(name)
        if rule is None:
            raise ResourceNotFound(resource_id)
        return rule

    async def buffers(self, organization_id: str, event_type_id: str) -> Buffers:
        """Asks what an event type keeps free around its bookings.

        Raises:
            EventTypeNotFound: The event type is unknown or deleted.
            StoreUnavailable: The catalog cannot be asked.
        """
        request = event_type_pb2.GetEventTypeRequest(
            organization_id=organization_id, event_type_id=event_type_id
        )
        patience = self._memory.patience.total_seconds()
        try:
            answer = await self._catalog.GetEventType(request, timeout=patience)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise EventTypeNotFound(event_type_id) from None
            raise StoreUnavailable("the catalog cannot be asked") from error
        found = answer.event_type
        if found.HasField("delete_time"):
            raise EventTypeNotFound(event_type_id)
        return Buffers(found.buffer_before.ToTimedelta(), found.buffer_after.ToTimedelta())

    async def booked_by(self, organization_id: str, event_type_id: str) -> list[str]:
        """Asks which resources an event type books; none if it is unknown.

        Raises:
            StoreUnavailable: The catalog cannot be asked.
        """
        request = link_pb2.ListResourcesForEventTypeRequest(
            organization_id=organization_id, event_type_id=event_type_id, page_size=1000
        )
        patience = self._memory.patience.total_seconds()
        try:
            answer = await self._catalog.ListResourcesForEventType(request, timeout=patience)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return []
            raise StoreUnavailable("the catalog cannot be asked") from error
        return [resource.resource_id for resource in answer.resources]

    async def close(self) -> None:
        """Ends the questions in flight."""
        questions = list(self._questions.values())
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    async def _shared_question(self, name: _Name) -> ResourceRule | None:
        question = self._questions.get(name)
        if question is None:
            question = asyncio.create_task(self._question(name))
            self._questions[name] = question
            question.add_done_callback(lambda _: self._questions.pop(name))
        patience = self._memory.patience.total_seconds()
        try:
            # At most half of what the caller has left: the store is still to be asked.
            async with asyncio.timeout(time_remaining(2 * patience) / 2):
                return await asyncio.shield(question)
        except TimeoutError:
            return self._doubtful(name)

    async def _question(self, name: _Name) -> ResourceRule | None:
        organization_id, resource_id = name
        request = resource_pb2.GetResourceRequest(
            organization_id=organization_id, resource_id=resource_id
        )
        try:
            # The whole patience: others wait too, and may have more time than who asked first.
            answer = await self._catalog.GetResource(
                request,
                timeout=self._memory.patience.total_seconds(),
                metadata=((REQUEST_ID_KEY, log.request_id.get()),),
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                self._note_answer(error=None)
                return self._remember(name, None, self._memory.doubtful)
            self._note_answer(error)
            return self._remember(name, self._doubtful(name), self._memory.doubtful)
        self._note_answer(error=None)
        rule = _rule(answer.resource)
        return self._remember(name, rule, self._memory.fresh if rule else self._memory.doubtful)

    def _doubtful(self, name: _Name) -> ResourceRule:
        known = self._known.get(name)
        return (known.rule if known else None) or ResourceRule(HoldRule.EXCLUSIVE, None)

    def _remember(
        self, name: _Name, rule: ResourceRule | None, duration: timedelta
    ) -> ResourceRule | None:
        self._known[name] = _Known(rule, self._monotonic() + duration.total_seconds())
        self._known.move_to_end(name)
        if len(self._known) > self._memory.entries:
            self._known.popitem(last=False)
        return rule

    def _note_answer(self, error: grpc.aio.AioRpcError | None) -> None:
        if self._answered is (error is None):
            return
        self._answered = error is None
        if error is None:
            logger.info("catalog answers again")
        else:
            logger.warning("catalog cannot be asked", extra={"code": error.code().name})


def _rule(resource: resource_pb2.Resource) -> ResourceRule | None:
    if resource.HasField("delete_time"):
        return None
    if resource.pool:
        return ResourceRule(HoldRule.POOL, None)
    if resource.hold_policy == resource_pb2.HOLD_POLICY_ADVISORY:
        return ResourceRule(HoldRule.ADVISORY, None)
    return ResourceRule(HoldRule.EXCLUSIVE, None)
