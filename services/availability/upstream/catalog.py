"""The catalog, asked for offerings and resources; answers count for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import grpc
from google.rpc import error_details_pb2, status_pb2

from holdfast.catalog.v1 import catalog_pb2_grpc, offering_pb2, resource_pb2
from services.availability.domain.offering import Offering, OfferingName
from services.availability.domain.refusal import Kind, NotFound
from services.availability.upstream.memory import Memory
from services.availability.upstream.offering import read_offering
from shared.runtime import log
from shared.runtime.call import REQUEST_ID_KEY
from shared.runtime.channel import upstream_channel
from shared.runtime.failure import Overloaded, StoreUnavailable
from shared.runtime.status import DETAILS_KEY

_MOST_REMEMBERED: Final = 20_000
# Not the time the caller has left: the question may stand for many callers, each of whom waits
# no longer than their own deadline, and its answer serves those who come next.
_PATIENCE_SECONDS: Final = 1.0

_ResourceName = tuple[str, str]
_Missing = tuple[Kind, str]


class Catalog:
    """The port ``Offerings`` over CatalogService."""

    def __init__(self, address: str, *, fresh_seconds: float) -> None:
        """Connects when it is first asked.

        Args:
            address: host:port, or another gRPC target; of several addresses all are used.
            fresh_seconds: How long an answer counts.
        """
        self._channel = upstream_channel(address)
        self._stub = catalog_pb2_grpc.CatalogServiceStub(self._channel)
        self._offerings = Memory(
            self._ask_offering, fresh_seconds=fresh_seconds, most=_MOST_REMEMBERED
        )
        self._resources = Memory(
            self._ask_resource, fresh_seconds=fresh_seconds, most=_MOST_REMEMBERED
        )

    async def offering(self, name: OfferingName) -> Offering:
        """As in the port."""
        found = await self._offerings(name)
        if isinstance(found, Offering):
            return found
        raise NotFound(*found)

    async def require_resources(self, organization_id: str, resource_ids: Sequence[str]) -> None:
        """As in the port."""
        answers = await asyncio.gather(
            *(self._resources((organization_id, resource_id)) for resource_id in resource_ids)
        )
        for missing in answers:
            if missing is not None:
                raise NotFound(*missing)

    async def close(self) -> None:
        """Ends the questions in flight and disconnects."""
        await self._offerings.close()
        await self._resources.close()
        await self._channel.close()

    async def _ask_offering(self, name: OfferingName) -> Offering | _Missing:
        request = offering_pb2.GetOfferingRequest(**name._asdict())
        try:
            answer = await self._stub.GetOffering(request, **_call_options())
        except grpc.aio.AioRpcError as error:
            return _missing(error, (Kind.RESOURCE, name.resource_id))
        return read_offering(name, answer.offering)

    async def _ask_resource(self, name: _ResourceName) -> _Missing | None:
        organization_id, resource_id = name
        request = resource_pb2.GetResourceRequest(
            organization_id=organization_id, resource_id=resource_id
        )
        missing = Kind.RESOURCE, resource_id
        try:
            answer = await self._stub.GetResource(request, **_call_options())
        except grpc.aio.AioRpcError as error:
            return _missing(error, missing)
        return missing if answer.resource.HasField("delete_time") else None


def _call_options() -> dict[str, Any]:
    return {
        "timeout": _PATIENCE_SECONDS,
        "metadata": ((REQUEST_ID_KEY, log.request_id.get()),),
    }


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
