"""What mutating requests have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from services.availability.domain.booking import Note
from services.availability.domain.request_key import RequestKey
from shared.runtime.check import FieldCheck
from shared.runtime.replay import content_hash

LONGEST_REASON: Final = 500

NO_CONTENT: Final = ("request_id",)
"""What the content that a request_id stands for leaves out."""

_LONGEST_ACTOR: Final = 128
# As presence has it: a session that it does not take would fail the questions of others, too.
_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{22,128}\Z")


def request_key(
    check: FieldCheck, request: Any, method: str, *, leaving_out: Sequence[str] = NO_CONTENT
) -> RequestKey:
    """The key under which the call's answer is kept."""
    organization_id = check.identifier("organization_id", request.organization_id)
    request_id = check.request_id(request.request_id)
    return RequestKey(
        organization_id, method, request_id, content_hash(request, leaving_out=leaving_out)
    )


def session(check: FieldCheck, request: Any) -> str:
    """The secret of the booker's session; empty for none."""
    found = str(request.session)
    if found and not _SESSION.match(found):
        # Never the value: it is a secret, and who sends a wrong one may mean a right one.
        check.fail("session", "must be 22 to 128 of A-Z a-z 0-9 _ -")
    return found


def note(check: FieldCheck, request: Any) -> Note:
    """Who does it, and why."""
    check.text("actor_id", request.actor_id, maximum=_LONGEST_ACTOR)
    check.text("reason", request.reason, maximum=LONGEST_REASON)
    return Note(request.actor_id, request.reason)


def override_note(check: FieldCheck, request: Any, reason: str, actor: str) -> Note:
    """The same of a call that may override rules; then the override's reason is the reason."""
    check.text("actor_id", request.actor_id, maximum=_LONGEST_ACTOR)
    check.text("override_reason", request.override_reason, maximum=LONGEST_REASON)
    override = request.override_reason
    return Note(request.actor_id or actor, override or reason, is_override=bool(override))
