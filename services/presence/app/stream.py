"""Keeps many holds of one session for as long as a stream renews them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from services.presence.app.keep import KeepHolds
from services.presence.domain.hold import Holder, HoldKey
from services.presence.domain.wish import Action, Judged, Kept, Leave, Left, Wish
from shared.runtime.failure import InvalidFields, Violation
from shared.slots.quantum import Span

MOST_HOLDS: Final = 100


class HeldStream:
    """The holds of one stream. One turn at a time."""

    def __init__(self, keep: KeepHolds, holder: Holder) -> None:
        """Keeps nothing yet."""
        self._keep = keep
        self.holder = holder
        self._holds: dict[HoldKey, Span] = {}

    async def turn(
        self, keep: Mapping[HoldKey, Span], leave: Sequence[HoldKey]
    ) -> dict[HoldKey, Judged]:
        """Leaves holds, then acquires or swaps some, then renews the others.

        Returns:
            How each hold that the stream keeps, or should have kept, fares. The stream goes on
            with those that are Kept.

        Raises:
            InvalidFields: It would keep more than it may; nothing is done.
            StoreUnavailable: The store cannot be reached.
        """
        staying = self._holds.keys() - set(leave) - keep.keys()
        if len(staying) + len(keep) > MOST_HOLDS:
            raise InvalidFields([Violation("keep", f"a stream keeps at most {MOST_HOLDS} holds")])
        wishes: list[Wish] = [Leave(key) for key in leave]
        wishes += [self._keep.wish(key, span, Action.ACQUIRE) for key, span in keep.items()]
        wishes += [self._keep.wish(key, self._holds[key], Action.RENEW) for key in staying]
        spans = {**self._holds, **keep}
        found: dict[HoldKey, Judged] = {}
        for wish, verdict in zip(wishes, await self._keep(wishes), strict=True):
            if not isinstance(verdict, Left):
                found[wish.key] = verdict
        self._holds = {k: spans[k] for k, verdict in found.items() if isinstance(verdict, Kept)}
        return found

    async def leave(self) -> None:
        """Releases what the stream keeps.

        Raises:
            StoreUnavailable: The store cannot be reached; the holds expire.
        """
        if self._holds:
            await self._keep([Leave(key) for key in self._holds])
        self._holds = {}
