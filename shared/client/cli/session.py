"""Runs a command's calls: one event loop, one client, one output."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from shared.client.cli.invocation import Invocation, current
from shared.client.cli.output import Output
from shared.client.client import Client

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Row = TypeVar("_Row")

_PROGRESS_EVERY = 200


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with."""

    client: Client
    output: Output
    invocation: Invocation

    @property
    def organization(self) -> str:
        """Whose bookings these are."""
        return self.client.organization_id

    async def collect(self, rows: AsyncIterator[_Row]) -> list[_Row]:
        """Reads a whole list, showing on a terminal how far it is."""
        found = []
        async for row in rows:
            found.append(row)
            if len(found) % _PROGRESS_EVERY == 0:
                self.output.progress(f"{len(found):,} read")
        if len(found) >= _PROGRESS_EVERY:
            self.output.progress("")
        return found


def with_session(
    command: Callable[Concatenate[Session, _Parameters], Coroutine[Any, Any, _Result]],
) -> Callable[_Parameters, _Result]:
    """Makes a plain function of a command's coroutine: click calls, asyncio runs it."""

    @wraps(command)
    def run(*arguments: _Parameters.args, **settings: _Parameters.kwargs) -> _Result:
        invocation = current()

        async def work() -> _Result:
            client = Client(
                invocation.addresses(),
                invocation.organization,
                timeout=invocation.timeout,
                clock=_clock_of(invocation),
            )
            async with client:
                session = Session(client, Output(invocation.output), invocation)
                return await command(session, *arguments, **settings)

        return asyncio.run(work())

    return run


def _clock_of(invocation: Invocation) -> Callable[[], datetime]:
    """Returns the services' clock; how far it is ahead is read when it is first asked."""
    offset: timedelta | None = None

    def now() -> datetime:
        nonlocal offset
        if offset is None:
            offset = invocation.clock_offset()
        return datetime.now(UTC) + offset

    return now


async def gather(*calls: Awaitable[_Result]) -> list[_Result]:
    """Makes calls side by side and returns their answers in the order given."""
    return list(await asyncio.gather(*calls))
