"""Tells what a driver's error means for the caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from psycopg import errors
from sqlalchemy import exc

from shared.runtime.failure import Overloaded, StoreUnavailable

T = TypeVar("T")

_CONTENTION: Final = (errors.SerializationFailure, errors.DeadlockDetected)
_BUSY: Final = (*_CONTENTION, errors.LockNotAvailable, errors.QueryCanceled)
# psycopg files these under the bugs: a standby that was reached, a transaction left alone.
_UNFIT: Final = (
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
)


@contextmanager
def translated() -> Iterator[None]:
    """Turns what the pool and the driver raise into failures.

    Raises:
        StoreUnavailable: The database cannot be reached, or cannot write.
        Overloaded: It is too busy: no free connection, a lock or a statement took too long.
    """
    try:
        yield
    except exc.TimeoutError as error:
        raise Overloaded("the catalog's database is busy: no free connection") from error
    except exc.DBAPIError as error:
        failure = _failure(error)
        if failure is None:
            raise
        raise failure from error
    except OSError as error:
        raise StoreUnavailable("the catalog's database cannot be reached") from error


async def at_most_twice(attempt: Callable[[], Awaitable[T]]) -> T:
    """Returns what ``attempt`` does, asked once more where a second try may succeed at once.

    Raises:
        StoreUnavailable: As ``translated``.
        Overloaded: As ``translated``.
    """
    with translated():
        try:
            return await attempt()
        except exc.DBAPIError as error:
            if not is_worth_a_retry(error):
                raise
        return await attempt()


def is_worth_a_retry(error: exc.DBAPIError) -> bool:
    """Says whether a second try may succeed at once.

    So it is after a deadlock or a serialization failure, and when a connection kept in the
    pool turns out to be dead: the pool then drops its other old ones too.
    """
    return isinstance(error.orig, _CONTENTION) or error.connection_invalidated


def _failure(error: exc.DBAPIError) -> StoreUnavailable | Overloaded | None:
    cause = error.orig
    if isinstance(cause, _BUSY):
        return Overloaded("the catalog's database is busy")
    if isinstance(cause, _UNFIT):
        return StoreUnavailable("the catalog's database takes no changes")
    if isinstance(cause, errors.OperationalError | errors.InterfaceError):
        return StoreUnavailable("the catalog's database cannot be reached, or has no room")
    return None
