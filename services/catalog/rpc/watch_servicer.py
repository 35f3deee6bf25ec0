"""The watch of a catalog: decode, serve."""

from __future__ import annotations

from holdfast.catalog.v1 import watch_pb2
from services.catalog.app.catalog_feed import CatalogFeed
from services.catalog.app.organization_catalog import CatalogChange
from services.catalog.app.port import Store
from services.catalog.rpc.call import Calls
from services.catalog.rpc.codec import watch as codec
from services.catalog.rpc.view import CatalogView, RetoldView, StateDue
from shared.runtime.call import Context
from shared.runtime.clock import Clock
from shared.runtime.mailbox import Mailbox
from shared.runtime.watch import serve_watch


class WatchCalls(Calls):
    """Catalogs, followed."""

    def __init__(self, store: Store, clock: Clock, feed: CatalogFeed) -> None:
        super().__init__(store, clock)
        self._feed = feed

    async def WatchCatalog(self, request: watch_pb2.WatchCatalogRequest, context: Context) -> None:
        """The catalog, then its changes."""
        organization_id, tokens, told = codec.watch(request)
        mailbox = Mailbox[str, CatalogChange]()
        async with self._feed.watched(organization_id, told, mailbox) as beginning:
            view = CatalogView(tokens, beginning, told)
            while True:
                try:
                    await serve_watch(context, mailbox, view)
                except StateDue as due:
                    view = RetoldView(tokens, beginning.catalog, is_reset=due.is_reset)
