"""The end of a child's log, for a person who wonders why it ended."""

from __future__ import annotations

import json

from shared.embedded.process import ChildProcess

_LINES_SHOWN = 8
_LINES_READ = 200  # a traceback may stand before what is shown
_CHAIN = ("The above exception was", "During handling of")
# Said elsewhere in the message, or of use to programs only.
_LEFT_OUT = frozenset({"time", "level", "service", "logger", "message", "exception", "request"})


def log_end(child: ChildProcess) -> str:
    """Returns the last things that a child said, without tracebacks."""
    return readable(child.last_lines(_LINES_READ))


def readable(text: str) -> str:
    """Returns the last lines of a log: JSON in words, tracebacks without their frames."""
    kept = []
    in_trace = False
    for line in text.splitlines():
        if line.startswith("Traceback (most recent call last)"):
            in_trace = True
        elif line and not line.startswith(_CHAIN) and not (in_trace and line.startswith(" ")):
            in_trace = False
            kept.append(_in_words(line))
    return "\n".join(kept[-_LINES_SHOWN:])


def _in_words(line: str) -> str:
    try:
        entry = json.loads(line)
        words = f"{entry['level']} {entry['message']}"
    except (KeyError, TypeError, ValueError):
        return line
    facts = [f"{key}: {value}" for key, value in entry.items() if key not in _LEFT_OUT]
    if entry.get("exception"):
        facts.append(str(entry["exception"]).strip().splitlines()[-1])
    return f"{words} ({', '.join(facts)})" if facts else words
