"""What a driver's error means: for the caller, for the connection, and for another try."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import psycopg
from psycopg import errors

from services.availability.domain.refusal import Contended
from shared.runtime.failure import Failure, Overloaded, StoreUnavailable

_CONTENTION: Final = (errors.SerializationFailure, errors.DeadlockDetected)
_FIRST_OF_DAY: Final = "days_pkey"
_OUT_OF_ROOM: Final = "53"
_ROOM_COMES_BACK_AFTER: Final = timedelta(seconds=5)


class ConnectionLost(Exception):
    """The connection broke under a statement; the driver's error is the cause."""


def is_contention(error: psycopg.Error) -> bool:
    """Tells whether the same statement or transaction may well succeed at once."""
    if isinstance(error, errors.UniqueViolation):
        # Two transactions were the first ones of a day.
        return error.diag.constraint_name == _FIRST_OF_DAY
    return isinstance(error, _CONTENTION)


def is_wrong_server(error: psycopg.Error) -> bool:
    """Tells whether another connection may find a server that takes writes."""
    return isinstance(error, errors.ReadOnlySqlTransaction)


def has_forgotten(error: psycopg.Error) -> bool:
    """Tells whether the connection lacks what was prepared on it: a pooler reset it, say."""
    return isinstance(error, errors.InvalidSqlStatementName)


def failure_of(error: psycopg.Error) -> Failure | None:
    """Returns what the caller is told; None for what can only be a bug."""
    if is_contention(error) or isinstance(error, errors.LockNotAvailable):
        return Contended()
    if isinstance(error, errors.QueryCanceled):
        return StoreUnavailable("the store took too long")
    if (error.sqlstate or "").startswith(_OUT_OF_ROOM):
        return Overloaded("the store is out of room", retry_after=_ROOM_COMES_BACK_AFTER)
    if is_wrong_server(error):
        return StoreUnavailable("the store takes no writes")
    if has_forgotten(error) or isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return StoreUnavailable("the store cannot be reached")
    return None
