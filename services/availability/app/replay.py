"""What a call that is refused was told before."""

from __future__ import annotations

from services.availability.app.port import Ledger
from services.availability.domain.request_key import RequestKey
from shared.runtime.failure import Failure


async def former_answer(ledger: Ledger, key: RequestKey, refusal: Failure) -> bytes:
    """Returns the answer that a key was given before.

    A retry must get what was done, though by now it may be too late to do it.

    Raises:
        Failure: There is none: ``refusal`` itself.
    """
    answer = await ledger.answer(key)
    if answer is None:
        raise refusal
    return answer
