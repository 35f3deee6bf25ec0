"""The Lua scripts, and one run of one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, NamedTuple, Self

_PRELUDE: Final = "prelude"


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the digest by which a server knows it."""

    source: str
    digest: str

    @classmethod
    def load(cls, name: str) -> Self:
        """Reads ``lua/<name>.lua``, behind what all of them share."""
        source = "\n".join(_text(part) for part in (_PRELUDE, name))
        return cls(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


class ScriptCall(NamedTuple):
    """One run of a script; all keys lie in one partition."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[str | int]


def _text(name: str) -> str:
    return files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")
