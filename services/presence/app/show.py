"""Shows who holds what."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from services.presence.app.port import HoldStore
from services.presence.domain.hold import LiveHold, touches
from shared.slots.quantum import QUANTA_PER_DAY, Span, day_number


class ShowPresence:
    """The live holds of resources on UTC dates."""

    def __init__(self, store: HoldStore) -> None:
        self._store = store

    async def __call__(
        self, organization_id: str, resource_ids: Sequence[str], dates: Collection[date]
    ) -> list[LiveHold]:
        """Returns each hold once, by resource in the order asked, then start, then holder.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        days = {day_number(day) for day in dates}
        around = Span(min(days) * QUANTA_PER_DAY, (max(days) + 1) * QUANTA_PER_DAY)
        holds = await self._store.live(organization_id, resource_ids, around)
        place = {resource_id: index for index, resource_id in enumerate(resource_ids)}
        return sorted(
            (hold for hold in holds if touches(hold.span, days)),
            key=lambda hold: (
                place[hold.resource_id],
                hold.span.first,
                hold.holder_id,
                hold.span.stop,
                hold.hold_id,
            ),
        )
