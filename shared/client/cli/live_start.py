"""Draws the starts of a live day in time order, available or reserved, with countdowns. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from shared.client.cli import text
from shared.client.cli.output import Styled
from shared.client.cli.screen import Line
from shared.client.cli.slots import Start, range_label
from shared.client.day_merge import SlotState, ViewSlot

# As wide as a countdown needs it, so that nothing moves aside when one begins.
_STATE_WIDTH: Final = len("reserved 10 s")
# Between cells that stand side by side: as wide as there is room for.
_GAPS: Final = (3, 1)


class Size(NamedTuple):
    """What there is room for."""

    width: int
    height: int


def starts(
    slots: Sequence[ViewSlot], zone: ZoneInfo, more: str, size: Size, now: datetime
) -> list[Line]:
    """Draws one start a line where there is room, else side by side, read line by line.

    Args:
        slots: By time.
        zone: By whose clock.
        more: Stands for those that there is no room for.
        size: What there is room for; one line is taken in any case.
        now: By presence's clock.
    """
    if not slots:
        return [(Styled(" No free start.", "dim"),)]
    if len(slots) <= size.height:
        return [_start(slot, zone, now) for slot in slots]
    cells = _cells(slots, zone, now)
    for gap in _GAPS:
        per_line, lines = _side_by_side(cells, gap, size.width)
        if len(lines) <= size.height:
            return lines
    shown = max(size.height, 1) - 1
    rest = f" {more} {text.count(len(slots) - shown * per_line, 'more start')}"
    return [*lines[:shown], (Styled(rest, "dim"),)]


def fewest_lines(slots: Sequence[ViewSlot], zone: ZoneInfo, width: int, now: datetime) -> int:
    """Returns how many lines the starts need where room is scarce."""
    if not slots:
        return 1
    return len(_side_by_side(_cells(slots, zone, now), _GAPS[-1], width)[1])


def countdown(until: datetime, now: datetime) -> str:
    """Writes how soon a hold may be over that nobody renews any more."""
    left = seconds_left(until, now)
    return f"in {left} s" if left else "any moment"


def seconds_left(until: datetime, now: datetime) -> int:
    """Returns the whole seconds that are left, rounded up; 0 once it is over."""
    return max(math.ceil((until - now).total_seconds()), 0)


def localized(slot: ViewSlot, zone: ZoneInfo) -> Start:
    """Returns a start by the clock of a zone."""
    moments = (slot.start, slot.end, slot.occupancy_start, slot.occupancy_end)
    start, end, taken_from, taken_until = (moment.astimezone(zone) for moment in moments)
    return Start(start, end, taken_from, taken_until, slot.units_free)


def _start(slot: ViewSlot, zone: ZoneInfo, now: datetime) -> Line:
    label = Styled(f" {range_label(localized(slot, zone))}  ")
    if slot.state is SlotState.AVAILABLE:
        return (label, Styled("available", "green"))
    if slot.held_until is None:
        return (label, Styled("reserved", "yellow"))
    until = f"   may be free {countdown(slot.held_until, now)}"
    return (label, Styled("reserved", "yellow"), Styled(until, "bold"))


def _side_by_side(
    cells: Sequence[tuple[str, Styled]], gap: int, width: int
) -> tuple[int, list[Line]]:
    """Returns how many stand side by side, and the lines."""
    between = min(gap, 2)
    label_width = max(len(label) for label, _ in cells)
    state_width = max(_STATE_WIDTH, *(len(state.text) for _, state in cells))
    cell_width = label_width + between + state_width + gap
    per_line = max((width - 1 + gap) // cell_width, 1)
    lines: list[Line] = []
    for first in range(0, len(cells), per_line):
        line = [Styled(" ")]
        for label, state in cells[first : first + per_line]:
            line += [Styled(f"{label:<{label_width + between}}"), state]
            line.append(Styled(" " * (state_width + gap - len(state.text))))
        lines.append(tuple(line[:-1]))
    return per_line, lines


def _cells(slots: Sequence[ViewSlot], zone: ZoneInfo, now: datetime) -> list[tuple[str, Styled]]:
    states = (_short_state(slot, now) for slot in slots)
    return list(zip(_labels(slots, zone), states, strict=True))


def _labels(slots: Sequence[ViewSlot], zone: ZoneInfo) -> list[str]:
    starts = [slot.start.astimezone(zone) for slot in slots]
    labels = [f"{start:%H:%M}" for start in starts]
    # Clocks that are put back show an hour twice.
    return labels if len({*labels}) == len(labels) else [f"{start:%H:%M%z}" for start in starts]


def _short_state(slot: ViewSlot, now: datetime) -> Styled:
    if slot.state is SlotState.AVAILABLE:
        return Styled("available", "green")
    if slot.held_until is None:
        return Styled("reserved", "yellow")
    return Styled(f"reserved {seconds_left(slot.held_until, now)} s", "bold yellow")
