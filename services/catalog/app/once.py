"""Makes a change at most once, however often it is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.catalog.app.port import Change, RequestKey, Store
from shared.runtime.failure import RequestIdReused


async def once(
    store: Store,
    organization_id: str,
    request: RequestKey,
    effect: Callable[[Change], Awaitable[bytes]],
) -> bytes:
    """Returns the first answer to the request; asks ``effect`` for it when there is none yet.

    The answer is kept in the transaction that makes the change, and copies of a request wait
    for one another: a refusal keeps nothing and is decided anew.

    Raises:
        RequestIdReused: The request_id stands for other content.
        Failure: Whatever ``effect`` refuses with.
    """

    async def work(change: Change) -> bytes:
        kept = await change.answers.find(request)
        if kept is None:
            answer = await effect(change)
            await change.answers.keep(request, answer)
            return answer
        if kept.content != request.content:
            raise RequestIdReused
        return kept.answer

    return await store.change(organization_id, work)
