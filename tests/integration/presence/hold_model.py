"""Holds in a dict: what the store is to do, in words that anybody can read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from services.presence.domain.ending import EndReason
from services.presence.domain.hold import Holder, HoldKey, HoldRule, ResourceRule
from services.presence.domain.taken import SettledTime
from services.presence.domain.wish import Action, Keep
from shared.slots.quantum import Span


@dataclass(frozen=True)
class Held:
    span: Span
    units: int
    acquired: datetime
    expires: datetime


class Tombstone(NamedTuple):
    reason: EndReason
    span: Span
    since: datetime


class Asked(NamedTuple):
    """What makes a settlement of a pool the same one, told again."""

    holder: Holder
    span: Span
    units: int
    committed_at: datetime


class Model:
    """Time is given to each question."""

    def __init__(self, limit: int, remembered: timedelta) -> None:
        self.limit, self.remembered = limit, remembered
        self.holds: dict[HoldKey, Held] = {}
        self.tombstones: dict[HoldKey, Tombstone] = {}
        self.settled: dict[Asked, datetime] = {}

    def keep(self, wish: Keep, now: datetime) -> str:
        key, span = wish.key, wish.span
        live = self._live(key.resource_id, now)
        held = live.get(key)
        if held and (held.span, held.units) == (span, wish.units):
            return f"kept {self._ahead(wish, held.acquired, live)}"
        if not held and (reason := self._ended(wish, now)):
            return f"ended {reason.name}"
        if wish.rule is None:
            return "unjudged"
        return self._refused(wish, wish.rule, live) or f"kept {self._ahead(wish, None, live)}"

    def have(self, wish: Keep, acquired: datetime, expires: datetime) -> None:
        """Notes a hold that was kept."""
        self.holds[wish.key] = Held(wish.span, wish.units, acquired, expires)
        self.tombstones.pop(wish.key, None)

    def release(self, holder: Holder, room: str | None, hold_id: str | None, now: datetime) -> int:
        leaving = [
            key
            for key in self.holds
            if key.holder == holder
            and room in {None, key.resource_id}
            and hold_id in {None, key.hold_id}
        ]
        return sum(self._end(key, EndReason.LEFT, now) for key in leaving)

    def settle(self, settled: SettledTime, now: datetime) -> int:
        touched = sorted(
            (
                (key, held)
                for key, held in self._live(settled.resource.resource_id, now).items()
                if held.span.overlaps(settled.span) and held.acquired <= settled.committed_at
            ),
            key=lambda item: item[1].acquired,
        )
        own = [(key, held) for key, held in touched if key.holder == settled.holder]
        ending = own if settled.rule is not HoldRule.POOL else self._booked(own, settled, now)
        if settled.rule is HoldRule.EXCLUSIVE:
            ending = touched
        return sum(self._end(key, settled.reason, now) for key, _ in ending)

    def shown(self, span: Span, now: datetime) -> list[tuple[str, str, int, Span, datetime]]:
        return sorted(
            (
                (k.resource_id, k.holder.holder_id, h.units, h.span, h.expires)
                for k, h in self.holds.items()
                if h.expires >= now and h.span.overlaps(span)
            ),
            key=str,
        )

    def newest(self, room: str) -> datetime | None:
        """When the last of those acquired that are still known was."""
        return max(
            (h.acquired for k, h in self.holds.items() if k.resource_id == room), default=None
        )

    def ends(self) -> list[datetime]:
        """When holds end."""
        return [held.expires for held in self.holds.values()]

    def lapses(self) -> list[datetime]:
        """When what is remembered of holds and bookings is forgotten."""
        since = [tombstone.since for tombstone in self.tombstones.values()]
        return [moment + self.remembered for moment in (*since, *self.settled.values())]

    def _live(self, room: str, now: datetime) -> dict[HoldKey, Held]:
        return {
            key: held
            for key, held in self.holds.items()
            if held.expires >= now and key.resource_id == room
        }

    def _refused(self, wish: Keep, rule: ResourceRule, live: dict[HoldKey, Held]) -> str | None:
        if rule.longest and len(wish.span) > rule.longest:
            return "long"
        others = [held for key, held in live.items() if key.holder != wish.key.holder]
        if rule.rule is HoldRule.EXCLUSIVE and any(h.span.overlaps(wish.span) for h in others):
            return "held"
        own = [key for key in live if key.holder == wish.key.holder and key != wish.key]
        return "full" if len(own) >= self.limit else None

    def _ahead(self, wish: Keep, since: datetime | None, live: dict[HoldKey, Held]) -> int:
        if wish.rule and wish.rule.rule is HoldRule.EXCLUSIVE:
            return 0
        ahead = [
            held
            for key, held in live.items()
            if key.holder != wish.key.holder and (since is None or held.acquired < since)
        ]
        return max(
            sum(held.units for held in ahead if held.span.first <= quantum < held.span.stop)
            for quantum in range(wish.span.first, wish.span.stop)
        )

    def _ended(self, wish: Keep, now: datetime) -> EndReason | None:
        tombstone = self.tombstones.get(wish.key)
        if tombstone is None or tombstone.since + self.remembered < now:
            return None
        stands = tombstone.reason is not EndReason.LEFT and tombstone.span == wish.span
        return tombstone.reason if stands or wish.action is Action.RENEW else None

    def _booked(
        self, own: list[tuple[HoldKey, Held]], settled: SettledTime, now: datetime
    ) -> list[tuple[HoldKey, Held]]:
        if not own or settled.holder is None:
            return []
        asked = Asked(settled.holder, settled.span, settled.units, settled.committed_at)
        if asked in self.settled and self.settled[asked] + self.remembered >= now:
            return []
        self.settled[asked] = now
        ending, units = [], dict.fromkeys(range(settled.span.first, settled.span.stop), 0)
        for key, held in own:
            common = units.keys() & set(range(held.span.first, held.span.stop))
            if any(units[quantum] < settled.units for quantum in common):
                ending.append((key, held))
                for quantum in common:
                    units[quantum] += held.units
        return ending

    def _end(self, key: HoldKey, reason: EndReason, now: datetime) -> bool:
        held = self.holds.pop(key)
        if held.expires < now:
            return False
        self.tombstones[key] = Tombstone(reason, held.span, now)
        return True
