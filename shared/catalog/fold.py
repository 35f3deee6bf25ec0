"""Puts the messages of a watch of the catalog together: states that come in parts, and changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from holdfast.catalog.v1 import watch_pb2
from holdfast.common.v1.watch_pb2 import (
    WATCH_EVENT_CHANGES,
    WATCH_EVENT_RESET,
    WATCH_EVENT_SNAPSHOT,
)

_WHOLE: Final = frozenset({WATCH_EVENT_SNAPSHOT, WATCH_EVENT_RESET})


class Folded(Protocol):
    """What a catalog is folded into; empty at first."""

    version: int

    def apply(self, told: watch_pb2.WatchCatalogResponse) -> None:
        """Takes in what a message holds, and its version."""


FoldedT = TypeVar("FoldedT", bound=Folded)


class CatalogFold(Generic[FoldedT]):
    """The newest whole state.

    Attributes:
        state: None until one was told.
    """

    def __init__(self, make: Callable[[], FoldedT]) -> None:
        """Knows nothing; ``make`` makes an empty state."""
        self.state: FoldedT | None = None
        self._make = make
        self._partial: FoldedT | None = None

    def take(self, told: watch_pb2.WatchCatalogResponse) -> bool:
        """Folds a message in; returns whether the state is that of its version now.

        It is not while more of a new state follows: the state before stays until it is whole.

        Raises:
            ValueError: Something between the state and the message is missing. The watch is to
                begin anew.
        """
        if told.event in _WHOLE:
            if self._partial is None:
                self._partial = self._make()
            self._partial.apply(told)
            if told.more:
                return False
            self.state, self._partial = self._partial, None
        elif self.state is None:
            raise ValueError("changes came before a state")
        elif told.event == WATCH_EVENT_CHANGES:
            if told.after_version != self.state.version:
                raise ValueError("changes are missing")
            self.state.apply(told)
        else:
            self.state.version = told.version
        return True

    def break_off(self) -> None:
        """Forgets the parts of a state whose stream is over: the next one tells all of it."""
        self._partial = None
