"""CatalogService: all of its calls in one servicer."""

from __future__ import annotations

from typing import Final

from holdfast.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from services.catalog.rpc.date_override_servicer import DateOverrideCalls
from services.catalog.rpc.event_type_servicer import EventTypeCalls
from services.catalog.rpc.link_servicer import LinkCalls
from services.catalog.rpc.resource_servicer import ResourceCalls
from services.catalog.rpc.schedule_servicer import ScheduleCalls
from services.catalog.rpc.watch_servicer import WatchCalls

_SERVICE: Final = catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"]
_READS: Final = ("Get", "List", "Watch")

NAME: Final = _SERVICE.full_name
WRITES: Final = frozenset(
    method.name for method in _SERVICE.methods if not method.name.startswith(_READS)
)


class CatalogServicer(  # type: ignore[misc]  # WatchCatalog writes, and is no iterator
    ResourceCalls,
    ScheduleCalls,
    DateOverrideCalls,
    EventTypeCalls,
    LinkCalls,
    WatchCalls,
    catalog_pb2_grpc.CatalogServiceServicer,
):
    """The contract over the use cases."""
