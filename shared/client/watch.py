"""Iterates over a watch: what each message told, and whether the server is still heard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar

from shared.client.days_fold import DaysEvent
from shared.client.failure import HoldfastError
from shared.client.follow import Following
from shared.client.presence_fold import PresenceEvent
from shared.client.watch_event import WatchKind

_State = TypeVar("_State")
_Event = TypeVar("_Event", PresenceEvent, DaysEvent)


async def events(
    following: Following[Any, Any],
    fold: Callable[[_State, Any], tuple[_State, _Event | None]],
    state: _State,
    event_class: Callable[..., _Event],
) -> AsyncIterator[_Event]:
    """Yields what each message told; bookmarks tell nothing.

    Reads a message when the one before was taken: a reader too slow for every change is told the
    state instead.

    Args:
        following: The watch.
        fold: Returns the state after a message, and what it told.
        state: Before the first.
        event_class: Of its events.

    Raises:
        HoldfastError: Refused, or the service was not reached at the start.
    """
    is_heard = is_begun = False
    async with aclosing(following.messages()) as messages:
        async for message in messages:
            event: _Event | None
            if isinstance(message, HoldfastError):
                is_lost, is_heard = is_heard, False
                if is_lost:
                    yield event_class(WatchKind.STALE, state, failure=message)
                continue
            state, event = fold(state, message)
            if event is None and is_begun and not is_heard:
                event = event_class(WatchKind.LIVE, state)
            elif event is not None and following.is_anew:
                event = replace(event, kind=WatchKind.RESET)
            is_heard = is_begun = True
            if event is not None:
                yield event
