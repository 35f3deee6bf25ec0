"""What became of the starts of a live day from one picture to the next. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from shared.client.cli.text import iso
from shared.client.day_merge import SlotState, ViewSlot
from shared.client.day_view import DayPicture
from shared.slots.quantum import covering, day_date


class Became(Enum):
    """What a start became."""

    AVAILABLE = "available"  # nobody holds it, or nobody does any more
    RESERVED = "reserved"
    FREE = "free"  # there was no such start before: a booking is gone, say
    BOOKED = "booked"
    GONE = "gone"  # for another reason: it is too late for it, say


class Change(NamedTuple):
    """What became of one start."""

    slot: ViewSlot
    became: Became

    @property
    def words(self) -> str:
        """Says it; when it may be free, where that is known."""
        until = self.slot.held_until
        if self.became is Became.RESERVED and until is not None:
            return f"reserved, may be free at {stamp(until)}"
        return self.became.value


def changes(before: DayPicture | None, after: DayPicture) -> Iterator[Change]:
    """Yields what became of each start that differs, by time; at first, of each."""
    known = {slot.start: slot for slot in before.slots} if before else {}
    found = {slot.start: slot for slot in after.slots}
    for start in sorted({*known, *found}):
        old, new = known.get(start), found.get(start)
        if new is None:
            assert old is not None
            yield Change(old, Became.BOOKED if _is_booked(old, after) else Became.GONE)
        elif new.state is SlotState.RESERVED:
            if old is None or (old.state, old.held_until) != (new.state, new.held_until):
                yield Change(new, Became.RESERVED)
        elif old is None:
            yield Change(new, Became.FREE if before else Became.AVAILABLE)
        elif old.state is not new.state:
            yield Change(new, Became.AVAILABLE)


def stamp(moment: datetime) -> str:
    """Writes an instant to the millisecond, always alike."""
    return iso(moment.replace(microsecond=0)).replace("Z", f".{moment.microsecond // 1000:03d}Z")


def _is_booked(slot: ViewSlot, picture: DayPicture) -> bool:
    """Whether no unit is left on some quarter hour that the start would take."""
    taken = covering(slot.occupancy_start, slot.occupancy_end)
    days = {key.date: state.busy for key, state in picture.days.items()}
    return any(days.get(day_date(number), 0) & mask for number, mask in taken.masks())
