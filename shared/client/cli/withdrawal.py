"""What has become of the offer that is watched, in words."""

from __future__ import annotations

from typing import Final

import grpc

from shared.client.cli import text
from shared.client.cli.live_day import Subject
from shared.client.failure import HoldfastError
from shared.client.selection import SelectionState, Verdict

_WORDS: Final = {
    SelectionState.RESOURCE_DELETED: "{0} was deleted",
    SelectionState.EVENT_TYPE_DELETED: "{1} was deleted",
    SelectionState.RESOURCE_INACTIVE: "{0} is switched off",
    SelectionState.EVENT_TYPE_INACTIVE: "{1} is switched off",
    SelectionState.UNLINKED: "{1} does not book {0} any more",
    SelectionState.DURATION_GONE: "{1} does not offer {2} any more",
}
# Whoever waits for them to come back waits long: the watch ends.
_FINAL: Final = frozenset({SelectionState.RESOURCE_DELETED, SelectionState.EVENT_TYPE_DELETED})


def withdrawn(verdict: Verdict, subject: Subject) -> str:
    """Says why nothing can be booked any more; empty while it can."""
    if verdict.is_offered:
        return ""
    length = text.length(subject.duration)
    words = _WORDS[verdict.state].format(subject.resource_id, subject.event_type_id, length)
    if verdict.durations:
        return f"{words}: it offers {text.lengths(verdict.durations)}"
    if verdict.shortest is not None and verdict.longest is not None:
        bounds = f"{text.length(verdict.shortest)} to {text.length(verdict.longest)}"
        return f"{words}: it offers {bounds}"
    return words


def refuse_deleted(verdict: Verdict, subject: Subject) -> None:
    """Ends the watch of what is there no more.

    Raises:
        HoldfastError: It was deleted.
    """
    if verdict.state in _FINAL:
        raise HoldfastError(
            grpc.StatusCode.NOT_FOUND,
            verdict.state.value,
            withdrawn(verdict, subject),
            service="catalog",
        )
