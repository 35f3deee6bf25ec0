"""How the command ends: codes that scripts may rely on."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """What scripts may rely on."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNREACHABLE = 5
    FAULT = 6
    INTERRUPTED = 130
    PIPE_CLOSED = 141


EXIT_CODES: Final = (
    ("0", "done"),
    ("1", "refused by a rule, or something is not as it should be (verify, doctor)"),
    ("2", "the command line, or a value in it, is wrong"),
    ("3", "not found"),
    ("4", "taken: the time, the id or the slug; or somebody else changed it first"),
    ("5", "a service cannot be reached, is overloaded, or did not answer in time"),
    ("6", "a fault inside a service"),
)
