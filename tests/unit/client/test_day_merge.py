from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from shared.client.day_merge import OfferedSlots, SlotState, ViewSlot, merge
from shared.client.live_hold import HoldName, LiveHold
from shared.slots.quantum import QUANTUM, Span, instant
from tests.slot_presence import slot_presence

BASE = int(datetime(2027, 3, 9, tzinfo=UTC).timestamp()) // 900
LATER = datetime(2027, 3, 1, 8, tzinfo=UTC)


def hold(first: int, stop: int, holder: str = "ann", *, overdue_for: int | None = None) -> LiveHold:
    span = Span(BASE + first, BASE + stop)
    return LiveHold(
        "studio-a",
        HoldName(holder, f"{first}"),
        span,
        instant(span.first),
        instant(span.stop),
        LATER + timedelta(seconds=overdue_for or 0),
        overdue_for is not None,
    )


def offered(*spans: tuple[int, int], units: int = 1) -> OfferedSlots:
    return OfferedSlots(
        (
            Span(BASE + first, BASE + stop),
            ViewSlot(
                instant(BASE + first),
                instant(BASE + stop),
                instant(BASE + first),
                instant(BASE + stop),
                units,
            ),
        )
        for first, stop in spans
    )


def states(slots: list[ViewSlot]) -> str:
    return "".join("R" if slot.state is SlotState.RESERVED else "a" for slot in slots)


def test_without_holds_everything_is_available() -> None:
    assert states(merge(offered((0, 4), (4, 8)), [])) == "aa"


def test_without_starts_there_is_nothing() -> None:
    assert merge(offered(), [hold(0, 96)]) == []


@pytest.mark.parametrize(
    ("first", "stop", "expected"),
    [(4, 8, "aRRRa"), (4, 5, "aaRRa"), (7, 8, "aRRaa"), (0, 4, "RaRaa"), (90, 95, "aaaaa")],
)
def test_a_start_is_reserved_when_a_hold_touches_its_occupancy(
    first: int, stop: int, expected: str
) -> None:
    slots = offered((0, 4), (6, 10), (3, 6), (4, 7), (8, 12))

    found = states(merge(slots, [hold(first, stop)]))

    naive = "".join(
        "R" if low < stop and first < high else "a"
        for low, high in ((0, 4), (6, 10), (3, 6), (4, 7), (8, 12))
    )
    assert found == naive


def test_ones_own_hold_reserves_nothing() -> None:
    slots, holds = offered((0, 4), (4, 8)), [hold(0, 4, "me"), hold(4, 8, "ann")]

    assert states(merge(slots, holds, "me")) == "aR"
    assert states(merge(slots, holds)) == "RR"


def test_a_hold_that_reaches_beyond_the_starts_counts_where_it_meets_them() -> None:
    assert states(merge(offered((40, 44), (44, 48)), [hold(-400, 41), hold(47, 900)])) == "RR"
    assert states(merge(offered((40, 44)), [hold(-400, 40), hold(44, 900)])) == "a"


def test_what_was_booked_meanwhile_is_left_out() -> None:
    slots = offered((0, 4), (4, 8))

    found = merge(slots, [], taken=slots.mask(BASE + 5, BASE + 6))

    assert [slot.start for slot in found] == [instant(BASE)]


def test_a_pool_is_reserved_when_holds_leave_no_unit_on_some_quantum() -> None:
    slots = offered((0, 8), units=2)

    assert states(merge(slots, [hold(0, 4, "a"), hold(4, 8, "b")])) == "a"
    assert states(merge(slots, [hold(0, 5, "a"), hold(4, 8, "b")])) == "R"


def test_only_overdue_holds_can_be_counted_down() -> None:
    slots = offered((0, 8))
    overdue = [hold(0, 2, "a", overdue_for=3), hold(4, 6, "b", overdue_for=2)]

    (counted,) = merge(slots, overdue)
    (renewed,) = merge(slots, [*overdue, hold(6, 7, "c")])

    assert counted.held_until == LATER + timedelta(seconds=3)
    assert (renewed.state, renewed.held_until) == (SlotState.RESERVED, None)


def most_at_once(holds: list[LiveHold], low: int, high: int) -> int:
    return max(
        sum(h.span.first <= BASE + quantum < h.span.stop for h in holds)
        for quantum in range(low, high)
    )


def freed_at(holds: list[LiveHold], low: int, high: int, units: int) -> datetime | None:
    """The first moment at which enough of those that are overdue have gone."""
    for moment in sorted(h.expires_at for h in holds if h.is_overdue):
        left = [h for h in holds if not h.is_overdue or h.expires_at > moment]
        if most_at_once(left, low, high) < units:
            return moment
    return None


def test_it_agrees_with_counting_quantum_by_quantum() -> None:
    chance = random.Random(11)
    for _ in range(300):
        units = chance.randint(1, 3)
        length = chance.randint(1, 24)
        spans = [(first, first + length) for first in range(0, 96 - length, chance.randint(1, 4))]
        holds = []
        for _ in range(chance.randint(0, 12)):
            first = chance.randrange(-10, 100)
            overdue_for = chance.choice((None, chance.randint(1, 9)))
            stop = first + chance.randint(1, 20)
            holds.append(hold(first, stop, chance.choice("abm"), overdue_for=overdue_for))

        found = merge(offered(*spans, units=units), holds, "m")

        for slot, (low, high) in zip(found, spans, strict=True):
            others = [h for h in holds if h.holder_id != "m"]
            most = most_at_once(others, low, high)
            assert (slot.state is SlotState.RESERVED) is (most >= units)
            assert slot.held_until == (
                freed_at(others, low, high, units) if most >= units else None
            )
            presence = slot_presence(Span(BASE + low, BASE + high), holds, "m", units_free=units)
            assert presence.is_reserved is (most >= units)
            assert presence.free_at == slot.held_until
            assert len(presence.others) + len(presence.own) == sum(
                h.span.first < BASE + high and BASE + low < h.span.stop for h in holds
            )


def test_slots_keep_their_order_and_values() -> None:
    slots = offered(*((first, first + 4) for first in range(0, 90, 2)))

    found = merge(slots, [hold(8, 12)])

    assert [slot.start for slot in found] == [instant(BASE + first) for first in range(0, 90, 2)]
    assert all(slot.end - slot.start == 4 * QUANTUM for slot in found)
