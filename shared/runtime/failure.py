"""Failures that a caller may meet. Pure: domain code raises them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Violation(NamedTuple):
    """One field that a request got wrong: its path and what it should be."""

    field: str
    description: str


class Failure(Exception):
    """An expected failure. Its text is what the client reads.

    Each service's table says which status and reason a subclass gets.
    """

    @property
    def metadata(self) -> Mapping[str, str]:
        """Values for programs, sent beside the reason."""
        return _NOTHING


class InvalidFields(Failure):
    """Fields that are missing, malformed or out of range; all of them at once."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in self.violations))


class RequestIdReused(Failure):
    """A request_id that stands for other content already."""

    def __init__(self) -> None:
        super().__init__("request_id was used before, for other content")


class InvalidPageToken(Failure):
    """A page_token that this list did not give, or gave under other filters."""

    def __init__(self) -> None:
        super().__init__("page_token is not one that this list gave for these filters")


class InvalidResumeToken(Failure):
    """A resume_token that a watch of the same request did not give."""

    def __init__(self) -> None:
        super().__init__("resume_token is not one that this watch gave for the same request")


class StoreUnavailable(Failure):
    """A store or a service behind this one cannot be reached. Worth a retry."""


class Draining(Failure):
    """The server is stopping: another one, or its successor, takes the call."""

    def __init__(self) -> None:
        super().__init__("the server is stopping")


class ReaderTooSlow(Failure):
    """A watcher took nothing for so long that it is taken for gone. It may resume."""

    def __init__(self) -> None:
        super().__init__("the messages of this watch were not taken for too long")


class CallerSilent(Failure):
    """A caller said nothing on its stream for so long that it is taken for gone."""

    def __init__(self) -> None:
        super().__init__("nothing was sent on this stream for too long")


class Overloaded(Failure):
    """A limit is reached. Worth a retry after ``retry_after``."""

    def __init__(self, message: str, *, retry_after: timedelta = timedelta(seconds=1)) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class DeadlinePassed(Failure):
    """The time the caller gave is over, here or at the next hop."""

    def __init__(self) -> None:
        super().__init__("the deadline passed before the answer was ready")


class StartRefused(Exception):
    """A server must not start like this. Its text tells the operator why, in one line."""
