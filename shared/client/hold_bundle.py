"""Several resources held together: all of them or none."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from shared.client.failure import HoldfastError
from shared.client.hold import ENDED, Hold, HoldState, HoldStatus, Standing

if TYPE_CHECKING:  # the client makes bundles
    from shared.client.client import Client


class HoldItem(NamedTuple):
    """One resource of a bundle.

    Attributes:
        resource_id: What is held.
        units: How many units.
    """

    resource_id: str
    units: int = 1


class HoldBundle(Standing):
    """Holds that stand and fall together: ``async with client.hold_all(...) as bundle``.

    Entering returns at once, in the state HOLDING. The resources are asked for one after the
    other, by their ids, so that of two bundles that want the same ones one gets them all. The
    first that is refused, or lost later, ends the bundle and releases the others at once; its id
    is ``metadata["resource_id"]``. Leaving the block releases all. Belongs to one event loop.

    Attributes:
        holds: By resource id.
    """

    def __init__(self, holds: Sequence[Hold]) -> None:
        """Asks nothing yet.

        Raises:
            ValueError: A resource is named twice, or none is.
        """
        super().__init__()
        self.holds: Mapping[str, Hold] = {
            hold.resource_id: hold for hold in sorted(holds, key=lambda hold: hold.resource_id)
        }
        if not holds or len(self.holds) != len(holds):
            raise ValueError("a bundle names at least one resource, and each once")
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._running is not None:
            raise RuntimeError("a bundle is entered once; ask the client for another one")
        # Raises, should the client be closed, as the block of a single hold does.
        first, *others = self.holds.values()
        await first.__aenter__()
        self._running = asyncio.create_task(self._run(first, others))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._running is not None
        self._running.cancel()
        try:
            await asyncio.gather(self._running, return_exceptions=True)
            await self._release()
        finally:
            self._become(HoldStatus(HoldState.LEFT))

    async def _run(self, entered: Hold, others: Sequence[Hold]) -> None:
        try:
            await self._keep(entered, others)
        except HoldfastError:  # the client was closed
            self._become(HoldStatus(HoldState.LEFT))
            await self._release()
        except Exception:
            # A bug must not leave anybody waiting for an answer that never comes.
            self._become(HoldStatus(HoldState.LOST, "INTERNAL"))
            await self._release()
            raise

    async def _keep(self, entered: Hold, others: Sequence[Hold]) -> None:
        held: list[HoldStatus] = []
        for hold in (entered, *others):
            if hold is not entered:
                await hold.__aenter__()
            status = await hold.settled()
            if status.state is not HoldState.HELD:
                is_left = status.state is HoldState.LEFT
                await self._end(hold, status, HoldState.LEFT if is_left else HoldState.REFUSED)
                return
            held.append(status)
        expiries = [status.expires_at for status in held if status.expires_at is not None]
        ahead = max(status.units_ahead for status in held)
        self._become(
            HoldStatus(HoldState.HELD, expires_at=min(expiries, default=None), units_ahead=ahead)
        )
        ends = {asyncio.ensure_future(hold.ended()): hold for hold in self.holds.values()}
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
        first = min((ends[end] for end in done), key=lambda hold: hold.resource_id)
        # Booked, with the others: the bundle has done its work, as each of its holds has.
        state = first.state if first.state is HoldState.LEFT else HoldState.LOST
        await self._end(first, first.status, state)

    async def _end(self, hold: Hold, status: HoldStatus, state: HoldState) -> None:
        metadata = {**status.metadata, "resource_id": hold.resource_id}
        self._become(replace(status, state=state, metadata=metadata))
        await self._release()

    async def _release(self) -> None:
        live = [hold for hold in self.holds.values() if hold.state not in ENDED]
        await asyncio.gather(*(hold.__aexit__(None, None, None) for hold in live))


def bundle(
    client: Client,
    items: Sequence[str | HoldItem],
    start: datetime,
    length: timedelta,
    event_type_id: str,
    session: str | None,
) -> HoldBundle:
    """As ``Client.hold_all``."""
    # A name of its own: what else the session holds on these resources is left as it is.
    hold_id = f"bundle-{secrets.token_hex(4)}"
    named = [HoldItem(item) if isinstance(item, str) else item for item in items]
    return HoldBundle([
        client.hold(
            item.resource_id,
            start,
            length,
            units=item.units,
            event_type_id=event_type_id,
            hold_id=hold_id,
            session=session,
        )
        for item in named
    ])  # fmt: skip
