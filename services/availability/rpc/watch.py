"""WatchDays's messages: decoded and checked, encoded once for all who watch the same days."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from holdfast.availability.v1 import availability_pb2 as pb
from holdfast.common.v1 import watch_pb2
from services.availability.app.organization_days import OrganizationDays
from services.availability.domain.admission import MOST_DAYS
from services.availability.domain.day_change import ChangedDay, DayChange
from services.availability.rpc.codec import MOST_RESOURCES, write_day
from shared.runtime.check import FieldCheck
from shared.runtime.resume import Position, ResumeTokens
from shared.runtime.wire import bytes_field, integer_field
from shared.slots.plan import MAX_DATES
from shared.slots.quantum import day_date, day_number

_AFTER: Final = pb.WatchDaysResponse.AFTER_VERSION_FIELD_NUMBER
_TOKEN: Final = pb.WatchDaysResponse.RESUME_TOKEN_FIELD_NUMBER


class DaysWatch(NamedTuple):
    """What WatchDays asks for."""

    organization_id: str
    resource_ids: tuple[str, ...]
    days: tuple[int, ...]
    tokens: ResumeTokens
    resumed: Position | None


def days_watch(request: pb.WatchDaysRequest) -> DaysWatch:
    """Decodes WatchDays.

    Raises:
        InvalidResumeToken: The token is not one that a watch of the same days gave.
    """
    check = FieldCheck()
    check.identifier("organization_id", request.organization_id)
    names = check.identifiers(
        "resource_ids", request.resource_ids, minimum=1, maximum=MOST_RESOURCES
    )
    dates = check.civil_dates("dates", request.dates, maximum=MAX_DATES)
    if len(names) * len(dates) > MOST_DAYS:
        check.fail("dates", f"must not exceed {MOST_DAYS} days over all resources")
    check.done()
    tokens = ResumeTokens(request, scopes=1)
    token = request.resume_token
    return DaysWatch(
        request.organization_id,
        names,
        tuple(sorted(map(day_number, dates))),
        tokens,
        tokens.decode(token)[0] if token else None,
    )


class DaysView:
    """One watcher's view of its organization's days."""

    def __init__(self, asked: DaysWatch, known: OrganizationDays) -> None:
        """Begins.

        Args:
            asked: What the watcher asked for.
            known: The state, with every day that was asked for.
        """
        self._known = known
        self._asked = asked
        self._names = frozenset(asked.resource_ids)
        self._days = frozenset(asked.days)
        self._key = (asked.resource_ids, asked.days)
        # All that is the watcher's is told up to here; its last message named the other.
        self._told = 0
        self._named = 0

    def opening(self) -> Iterable[bytes]:
        """The state, or what changed since the token."""
        resumed = self._asked.resumed
        if resumed is None:
            return [self._state(watch_pb2.WATCH_EVENT_SNAPSHOT)]
        if resumed.epoch != self._known.epoch or resumed.revision > self._known.position:
            return [self._state(watch_pb2.WATCH_EVENT_RESET)]
        self._told = self._named = resumed.revision
        missed = [day for day in self._present() if day.state.version > resumed.revision]
        if not missed:
            self._told = self._known.position
            return [self.bookmark()]
        body = _message(watch_pb2.WATCH_EVENT_CHANGES, missed, self._known.position)
        return [self._changes(body, self._known.position)]

    def changed(self, _topic: str, update: DayChange, /) -> bytes | None:
        """A transaction's days, or None where none of them is watched."""
        if update.feed <= self._told:
            return None
        body = update.encoded(self._key, self._encode)
        if body is None:
            self._told = update.feed
            return None
        return self._changes(body, update.feed)

    def retold(self, _topics: Collection[str], /, *, is_reset: bool) -> bytes:
        """Every watched day as it is."""
        event = watch_pb2.WATCH_EVENT_RESET if is_reset else watch_pb2.WATCH_EVENT_SNAPSHOT
        return self._state(event)

    def bookmark(self) -> bytes:
        """That all is told."""
        self._named = self._told
        return _message(watch_pb2.WATCH_EVENT_BOOKMARK, (), self._told) + self._token()

    def _encode(self, change: DayChange) -> bytes | None:
        watched = [
            day for day in change.days if day.day in self._days and day.resource_id in self._names
        ]
        if not watched:
            return None
        return _message(watch_pb2.WATCH_EVENT_CHANGES, watched, change.feed)

    def _changes(self, body: bytes, version: int) -> bytes:
        after = integer_field(_AFTER, self._named)
        self._told = self._named = version
        return body + after + self._token()

    def _state(self, event: watch_pb2.WatchEvent.ValueType) -> bytes:
        self._told = self._named = self._known.position
        return _message(event, self._present(), self._told) + self._token()

    def _present(self) -> Iterable[ChangedDay]:
        for resource_id in self._asked.resource_ids:
            for day in self._asked.days:
                yield ChangedDay(resource_id, day, self._known.state(resource_id, day))

    def _token(self) -> bytes:
        position = (self._known.epoch, self._told)
        return bytes_field(_TOKEN, self._asked.tokens.encode([position]))


def _message(
    event: watch_pb2.WatchEvent.ValueType, days: Iterable[ChangedDay], version: int
) -> bytes:
    response = pb.WatchDaysResponse(event=event, version=version)
    for resource_id, day, state in days:
        write_day(response.days.add(), resource_id, day_date(day), state)
    return response.SerializeToString()
