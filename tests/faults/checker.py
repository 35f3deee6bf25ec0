"""Finds what a recorded history and the tables it left behind cannot both be.

Pure: a history of concurrent calls and the final tables go in, broken promises come out. What
it means, and how it is itself tested: docs/checker.md.
"""

from __future__ import annotations

from datetime import timedelta

from tests.faults import answer, order, refusal, story
from tests.faults.history import History
from tests.faults.order import Commits
from tests.faults.replay import Replay
from tests.faults.tables import Tables
from tests.faults.violation import Rule, Violation


def check(history: History, tables: Tables) -> list[Violation]:
    """Returns every broken promise; none is the only right answer."""
    found = [
        *story.violations(tables, _lives(history, tables)),
        *answer.violations(history, tables),
    ]
    if history.deadlocks:
        found.append(Violation(Rule.DEADLOCK, f"{history.deadlocks} in the database"))
    commits = Commits(history, tables)
    found += order.violations(history, commits)
    found += refusal.states(history, tables, commits)
    found += refusal.existence(history, commits)
    if tables.trimmed == 0:
        found += _replayed(history, tables, commits)
    return found


def report(found: list[Violation], most: int = 20) -> str:
    """The first violations, one a line, and how many there are."""
    lines = [str(violation) for violation in found[:most]]
    if len(found) > most:
        lines.append(f"and {len(found) - most} more")
    return "\n".join(lines)


def _replayed(history: History, tables: Tables, commits: Commits) -> list[Violation]:
    replay = Replay(history.facts, tables)
    refusals = refusal.Refusals(history, tables, commits)
    refusals.begin(replay)
    for moment in replay.moments():
        refusals.see(moment, replay)
    refusals.end()
    return replay.violations + refusals.violations


def _lives(history: History, tables: Tables) -> dict[str, timedelta]:
    return {
        call.request.booking_id: call.request.provisional_duration.ToTimedelta()
        for call in history.writes()
        if call.method == "CreateBooking"
        and call.request.HasField("provisional_duration")
        # Others of the same id were refused, whether their callers heard of it or not.
        and (call.method, call.request.request_id) in tables.keys
    }
