"""What has become of a choice, by the one watch of the catalog that a client's views share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.catalog.fold import CatalogFold
from shared.catalog.state import CatalogState, OfferBasis
from shared.client.failure import HoldfastError
from shared.client.live import Live
from shared.client.selection import OFFERED, Selection, Verdict, judge_basis, judge_refusal
from shared.client.watch_event import WatchKind

if TYPE_CHECKING:  # the client makes watches; only shapes
    from holdfast.catalog.v1.watch_pb2 import WatchCatalogResponse
    from shared.client.live_client import LiveClient

# Numbers of common.v1.WatchEvent.
_KINDS: Final = {1: WatchKind.SNAPSHOT, 2: WatchKind.CHANGES, 3: WatchKind.RESET}
# For the first state: a catalog that does not answer must not hide what is free.
_PATIENCE_SECONDS: Final = 0.5

LiveCatalog = Live[CatalogFold[CatalogState]]


class CatalogTold(NamedTuple):
    """That a message told something."""

    kind: WatchKind


def fold(
    catalog: CatalogFold[CatalogState], message: WatchCatalogResponse
) -> tuple[CatalogFold[CatalogState], CatalogTold | None]:
    """Folds a message in, in place; tells nothing of a bookmark or before a state is whole."""
    kind = _KINDS.get(message.event)
    if not catalog.take(message) or kind is None:
        return catalog, None
    return catalog, CatalogTold(kind)


class OfferWatch:
    """One choice in the catalog.

    Attributes:
        refused: What availability's refusal made of the choice when it was asked last.
        asked_basis: What the choice followed from when availability was asked last.
    """

    def __init__(
        self, catalog: LiveCatalog | None, selection: Selection, changed: Callable[[], None]
    ) -> None:
        """Looks on.

        Args:
            catalog: None for a client that does not know where the catalog is.
            selection: The choice.
            changed: Called when what it follows from has changed, or whether the catalog is
                heard.
        """
        self.refused: Verdict | None = None
        self.asked_basis: OfferBasis | None = None
        self._catalog = catalog
        self._selection = selection
        self._changed = changed
        self._seen = (self.basis, self.is_stale)

    @property
    def basis(self) -> OfferBasis | None:
        """What the starts follow from, bookings aside; None while it is not known."""
        catalog = self._catalog.state.state if self._catalog else None
        if catalog is None:
            return None
        return catalog.basis(self._selection.resource_id, self._selection.event_type_id)

    @property
    def is_stale(self) -> bool:
        """Whether the catalog is not heard; a client that may not hear it misses nothing."""
        if self._catalog is None or (self._catalog.failure and self.basis is None):
            return False
        return self._catalog.is_stale

    @property
    def is_outdated(self) -> bool:
        """Whether availability is to be asked, as it answered by another state of the catalog."""
        basis = self.basis
        return basis is not None and basis != self.asked_basis and self.withdrawn is None

    @property
    def withdrawn(self) -> Verdict | None:
        """Why the catalog does not offer the choice; None while it does, or is not known."""
        basis = self.basis
        verdict = None if basis is None else judge_basis(self._selection.duration, basis)
        return None if verdict is None or verdict.is_offered else verdict

    @property
    def verdict(self) -> Verdict:
        """What has become of the choice."""
        return self.withdrawn or self.refused or OFFERED

    @property
    def minimum_notice(self) -> timedelta:
        """How long before its start a booking is made; 0 while it is not known."""
        event_type = self.basis.event_type if self.basis else None
        return event_type.rules.minimum_notice if event_type else timedelta(0)

    @property
    def horizon(self) -> timedelta | None:
        """How far ahead a booking may start; None where any is, and while it is not known."""
        event_type = self.basis.event_type if self.basis else None
        return event_type.rules.horizon if event_type else None

    def note_answer(self, basis: OfferBasis | None) -> None:
        """Takes note that availability offers the choice, asked at ``basis``."""
        self.asked_basis, self.refused = basis, None

    def note_refusal(self, basis: OfferBasis | None, failure: HoldfastError) -> bool:
        """Takes note that availability refused; returns whether it withdrew the choice."""
        refused = judge_refusal(failure)
        if refused is None:
            return False
        self.asked_basis, self.refused = basis, refused
        return True

    def note(self) -> None:
        """Looks at the catalog again, and tells if something is different."""
        seen = (self.basis, self.is_stale)
        if seen != self._seen:
            self._seen = seen
            self._changed()


@asynccontextmanager
async def watched_offer(
    live: LiveClient, selection: Selection, changed: Callable[[], None]
) -> AsyncIterator[OfferWatch]:
    """Yields a choice as the catalog has it, after waiting a moment to hear of it."""
    async with AsyncExitStack() as stack:
        catalog = await stack.enter_async_context(live.live_catalog())
        if catalog is not None:
            await catalog.tried(_PATIENCE_SECONDS)
        watch = OfferWatch(catalog, selection, changed)
        if catalog is not None:
            await stack.enter_async_context(catalog.heard_by(watch.note))
        yield watch
