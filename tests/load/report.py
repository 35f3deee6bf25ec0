"""What the bench prints: a header, one line a figure that ends in its verdict, and why."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

_LABEL = 16


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a figure promises.

    Attributes:
        found: What was measured, in words.
        target: What was promised, in words.
        is_met: Whether it is.
    """

    found: str
    target: str
    is_met: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the list of promises.

    Attributes:
        name: As "F1".
        title: What it is about.
        parts: All of them must be met.
        cpu: CPU per call beside that of the baseline; empty where there is none.
        remarks: What one must know to read it.
        data: The same for programs.
    """

    name: str
    title: str
    parts: Sequence[Part]
    cpu: str = ""
    remarks: Sequence[str] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_met(self) -> bool:
        """Whether every part of it is; one without parts proves nothing."""
        return bool(self.parts) and all(part.is_met for part in self.parts)

    def lines(self) -> list[str]:
        """The figure's own line, and the remarks below it."""
        said = "; ".join(f"{part.found}, target {part.target}" for part in self.parts)
        cpu = f"; {self.cpu}" if self.cpu else ""
        own = f"{self.name:<4} {self.title}: {said}{cpu} ... {verdict(self.is_met)}"
        return [own, *(f"       {remark}" for remark in self.remarks)]

    def document(self) -> dict[str, Any]:
        """For ``-o json``."""
        return {
            "figure": self.name,
            "title": self.title,
            "verdict": verdict(self.is_met),
            "parts": [
                {"found": part.found, "target": part.target, "verdict": verdict(part.is_met)}
                for part in self.parts
            ],
            "cpu": self.cpu,
            "remarks": list(self.remarks),
            "data": dict(self.data),
        }


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A figure that could not be measured, and why."""

    name: str
    title: str
    why: str

    def lines(self) -> list[str]:
        """Its line: neither met nor not met."""
        return [f"{self.name:<4} {self.title}: could not be measured: {self.why}"]

    def document(self) -> dict[str, Any]:
        """For ``-o json``."""
        return {"figure": self.name, "title": self.title, "verdict": None, "why": self.why}


def verdict(is_met: bool) -> str:  # noqa: FBT001  # its one argument is what it says
    """The word at the end of a figure's line."""
    return "met" if is_met else "not met"


class Report:
    """Prints results as they come, or all of them as one JSON document at the end."""

    def __init__(self, *, as_json: bool, out: TextIO = sys.stdout) -> None:
        self._as_json = as_json
        self._out = out
        self._began = time.monotonic()
        self._header: Mapping[str, str] = {}
        self._results: list[Figure | Unmeasured] = []

    @property
    def is_complete(self) -> bool:
        """Whether everything could be measured."""
        return not any(isinstance(result, Unmeasured) for result in self._results)

    def header(self, facts: Mapping[str, str]) -> None:
        """Says where and with what was measured."""
        self._header = facts
        if not self._as_json:
            for name, fact in facts.items():
                self._say(f"{name:<{_LABEL}}{fact}")

    def add(self, result: Figure | Unmeasured) -> None:
        """Takes in a figure."""
        self._results.append(result)
        if not self._as_json:
            for line in result.lines():
                self._say(line)

    def end(self) -> None:
        """Says how long it took."""
        seconds = round(time.monotonic() - self._began, 1)
        if not self._as_json:
            self._say(f"{'total':<{_LABEL}}{seconds:.0f} s")
            return
        document = {
            "header": dict(self._header),
            "figures": [result.document() for result in self._results],
            "seconds": seconds,
        }
        self._say(json.dumps(document, indent=2))

    def _say(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


def machine() -> dict[str, str]:
    """Facts of this machine and this Python."""
    import grpc  # noqa: PLC0415  # 200 ms that --help does without

    load = os.getloadavg()[0]
    return {
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()},"
        f" load average {load:.1f} at the start",
        "Python": platform.python_version(),
        "grpc": grpc.__version__,
    }


def microseconds(seconds: float) -> str:
    """A short time in words."""
    return f"{seconds * 1e6:,.0f} us"


def milliseconds(seconds: float) -> str:
    """A longer time in words."""
    return f"{seconds * 1e3:.1f} ms"
