"""Keeps many holds of one session for as long as a stream renews them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from services.presence.app.keep import KeepHolds
from services.presence.app.want import Want, WishHolds
from services.presence.domain.hold import Holder, HoldKey
from services.presence.domain.wish import Action, Judged, Keep, Kept, Leave, Left, Wish
from shared.runtime.failure import InvalidFields, Violation

MOST_HOLDS: Final = 100


class HeldStream:
    """The holds of one stream. One turn at a time."""

    def __init__(self, keep: KeepHolds, wish: WishHolds, holder: Holder) -> None:
        """Keeps nothing yet."""
        self._keep = keep
        self._wish = wish
        self.holder = holder
        self._holds: dict[HoldKey, Keep] = {}

    async def turn(
        self, keep: Mapping[HoldKey, Want], leave: Sequence[HoldKey]
    ) -> dict[HoldKey, Judged]:
        """Leaves holds, then acquires or swaps some, then renews the others.

        Returns:
            How each hold that the stream keeps, or should have kept, fares. The stream goes on
            with those that are Kept.

        Raises:
            InvalidFields: It would keep more than it may; nothing is done.
            StoreUnavailable: The store cannot be reached.
        """
        gone = {*leave, *keep}
        staying = [wish for key, wish in self._holds.items() if key not in gone]
        if len(staying) + len(keep) > MOST_HOLDS:
            raise InvalidFields([Violation("keep", f"a stream keeps at most {MOST_HOLDS} holds")])
        wishes: list[Wish] = [Leave(key) for key in leave]
        if keep:
            wishes += await self._wish(keep)
        wishes += staying
        found: dict[HoldKey, Judged] = {}
        holds: dict[HoldKey, Keep] = {}
        for wish, verdict in zip(wishes, await self._keep(wishes), strict=True):
            if isinstance(verdict, Left):
                continue
            found[wish.key] = verdict
            if isinstance(wish, Keep) and isinstance(verdict, Kept):
                holds[wish.key] = _staying(wish, verdict)
        self._holds = holds
        return found

    async def leave(self) -> None:
        """Releases what the stream keeps.

        Raises:
            StoreUnavailable: The store cannot be reached; the holds expire.
        """
        if self._holds:
            await self._keep([Leave(key) for key in self._holds])
        self._holds = {}


def _staying(wish: Keep, kept: Kept) -> Keep:
    if wish.action is Action.STAY:
        return wish
    return replace(wish, span=kept.span, action=Action.STAY, rule=None, doubt=None)
