from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from shared.client.day_merge import OfferedSlots, SlotState, Stock, ViewSlot, merge
from shared.client.day_stock import day_stock
from shared.client.days_fold import DayKey, DaysState, DayState
from shared.client.live_hold import HoldName, LiveHold
from shared.slots.held import held_short
from shared.slots.quantum import QUANTA_PER_DAY, Span, day_number, instant
from tests.slot_presence import slot_presence

DAY = date(2027, 3, 9)
NEXT = date(2027, 3, 10)
BASE = day_number(DAY) * QUANTA_PER_DAY
NOW = datetime(2027, 3, 1, 8, tzinfo=UTC)
KEY, NEXT_KEY = DayKey("mic", DAY), DayKey("mic", NEXT)


def slots_of(*spans: tuple[int, int, int], wanted: int = 1) -> OfferedSlots:
    """Starts with the units free throughout each."""

    def slot(first: int, stop: int, free: int) -> ViewSlot:
        start, end = instant(BASE + first), instant(BASE + stop)
        return ViewSlot(start, end, start, end, free)

    return OfferedSlots(
        ((Span(BASE + span[0], BASE + span[1]), slot(*span)) for span in spans), wanted
    )


def counted(*units: int, version: int = 1) -> DayState:
    taken = (*units, *(0,) * (QUANTA_PER_DAY - len(units)))
    return DayState(0, version, taken)


def hold(
    first: int,
    stop: int,
    holder: str = "ann",
    *,
    units: int = 1,
    acquired: int = 0,
    overdue_for: int | None = None,
) -> LiveHold:
    span = Span(BASE + first, BASE + stop)
    return LiveHold(
        "mic",
        HoldName(holder, f"{first}-{acquired}"),
        span,
        instant(span.first),
        instant(span.stop),
        NOW + timedelta(seconds=overdue_for or 0),
        overdue_for is not None,
        units,
        NOW + timedelta(seconds=acquired),
    )


def states(slots: list[ViewSlot]) -> str:
    return "".join("R" if slot.state is SlotState.RESERVED else "a" for slot in slots)


def test_a_room_has_one_unit_and_no_queue() -> None:
    found = day_stock(slots_of((4, 8, 1)), "mic", {KEY: 0}, DaysState({KEY: DayState(0, 0)}), None)

    assert found == (1, Stock(1, is_pool=False), 0)


def test_a_pool_nothing_is_taken_of_is_known_by_its_units() -> None:
    found = day_stock(slots_of((4, 8, 3)), "mic", {KEY: 0}, DaysState({KEY: DayState(0, 0)}), None)

    assert found == (3, Stock(3, is_pool=True), 0)


def test_capacity_is_what_is_free_and_what_is_taken_where_most_is() -> None:
    days = DaysState({KEY: counted(0, 1, 2, 1)})

    found = day_stock(slots_of((0, 4, 1), (4, 8, 3)), "mic", {KEY: 1}, days, None)

    assert found.capacity == 3
    assert isinstance(found.stock.free, dict)
    assert [found.stock.free[BASE + n] for n in range(8)] == [3, 2, 1, 2, 3, 3, 3, 3]


def test_a_start_over_midnight_counts_both_days() -> None:
    days = DaysState({KEY: counted(version=1), NEXT_KEY: counted(4, version=2)})

    found = day_stock(slots_of((92, 100, 1)), "mic", {KEY: 1, NEXT_KEY: 2}, days, None)

    assert found.capacity == 5


def test_of_a_day_that_is_newer_the_known_capacity_tells_what_is_taken() -> None:
    days = DaysState({KEY: counted(2, 3, version=5)})
    slots = slots_of((0, 1, 2), (1, 2, 2), (2, 3, 2), wanted=2)

    unknown = day_stock(slots, "mic", {KEY: 4}, days, None)
    known = day_stock(slots, "mic", {KEY: 4}, days, 4)

    assert (unknown.capacity, unknown.stock.free, unknown.taken) == (None, None, 0)
    assert known.taken == 0b010  # one unit is left in the second quarter hour, and two are wanted
    assert len(merge(slots, [], stock=known.stock, taken=known.taken)) == 2


def test_free_units_are_counted_quarter_hour_by_quarter_hour() -> None:
    # Two units are free in the first hour, one in the second: a hold of one unit in the first
    # hour leaves enough, though the start as a whole has one free unit only.
    slots = slots_of((0, 8, 1))
    free = {BASE + n: 2 if n < 4 else 1 for n in range(8)}

    assert states(merge(slots, [hold(0, 4)], stock=Stock(free, is_pool=True))) == "a"
    assert states(merge(slots, [hold(3, 5)], stock=Stock(free, is_pool=True))) == "R"
    assert states(merge(slots, [hold(0, 4, units=2)], stock=Stock(free, is_pool=True))) == "R"


def test_a_hold_of_a_pool_keeps_the_place_in_line_only_on_the_time_that_it_covers() -> None:
    mine, late = hold(0, 2, "me", acquired=1), hold(0, 4, "late", acquired=2)
    stock = Stock(1, is_pool=True)

    assert states(merge(slots_of((0, 2, 1)), [mine, late], "me", stock=stock)) == "a"
    assert states(merge(slots_of((0, 4, 1)), [mine, late], "me", stock=stock)) == "R"


def test_for_who_holds_some_of_it_only_earlier_holds_of_a_pool_count() -> None:
    slots = slots_of((0, 4, 1), (4, 8, 1))
    holds = [
        hold(0, 4, "early", acquired=1),
        hold(4, 8, "me", acquired=2),
        hold(4, 8, "late", acquired=3),
    ]

    # Nothing of mine is in the first start: everybody counts there.
    assert states(merge(slots, holds, "me", stock=Stock(1, is_pool=True))) == "Ra"
    assert states(merge(slots, holds, "late", stock=Stock(1, is_pool=True))) == "RR"
    assert states(merge(slots, holds, "nobody", stock=Stock(1, is_pool=True))) == "RR"
    # On a room nobody queues.
    assert states(merge(slots, holds, "me", stock=Stock(1))) == "RR"


def _naive_end(
    counting: list[LiveHold], low: int, high: int, free: dict[int, int], wanted: int
) -> datetime | None:
    """The first moment at which enough of those that are overdue have gone."""
    for moment in sorted(h.expires_at for h in counting if h.is_overdue):
        left = [h for h in counting if not h.is_overdue or h.expires_at > moment]
        if not _naive_short(left, low, high, free, wanted):
            return moment
    return None


def _naive_short(
    counting: list[LiveHold], low: int, high: int, free: dict[int, int], wanted: int
) -> bool:
    return any(
        free[quantum] - sum(h.units for h in counting if h.span.first <= quantum < h.span.stop)
        < wanted
        for quantum in range(BASE + low, BASE + high)
    )


def _counting(others: list[LiveHold], own: list[LiveHold]) -> list[LiveHold]:
    """Of a pool, quantum by quantum: what was held before one's own first hold there, if any."""

    def counts(other: LiveHold, quantum: int) -> bool:
        since = [_acquired(h) for h in own if h.span.first <= quantum < h.span.stop]
        return not since or _acquired(other) < min(since)

    return [
        replace(other, span=Span(quantum, quantum + 1))
        for other in others
        for quantum in range(other.span.first, other.span.stop)
        if counts(other, quantum)
    ]


def _acquired(held: LiveHold) -> datetime:
    assert held.acquired_at is not None
    return held.acquired_at


def test_reserved_is_what_a_booking_would_be_refused_for_as_held() -> None:
    chance = random.Random(5)
    for _ in range(200):
        wanted, length = chance.randint(1, 3), chance.randint(1, 12)
        spans = [(n, n + length) for n in range(0, 96 - length, chance.randint(1, 4))]
        free = {BASE + n: chance.randint(wanted, 5) for n in range(96)}
        offered = [
            (low, high, min(free[BASE + n] for n in range(low, high))) for low, high in spans
        ]
        holds = [
            hold(
                first := chance.randrange(-10, 100), first + chance.randint(1, 20),
                chance.choice("abm"), units=chance.randint(1, 2), acquired=number,
                overdue_for=chance.choice((None, chance.randint(1, 9))),
            )
            for number in chance.sample(range(100), chance.randint(0, 12))
        ]  # fmt: skip
        is_pool = chance.random() < 0.7

        slots = slots_of(*offered, wanted=wanted)
        found = merge(slots, holds, "m", stock=Stock(free, is_pool=is_pool))

        for slot, (low, high) in zip(found, spans, strict=True):
            occupancy = Span(BASE + low, BASE + high)
            counting = [h for h in holds if h.holder_id != "m"]
            if is_pool:
                counting = _counting(counting, [h for h in holds if h.holder_id == "m"])
            # As availability asks it, of what presence says counts.
            short = held_short(
                occupancy, [(h.span.first, h.span.stop, h.units) for h in counting], free, wanted
            )
            assert (slot.state is SlotState.RESERVED) is bool(short)
            assert bool(short) is _naive_short(counting, low, high, free, wanted)
            assert slot.held_until == (
                _naive_end(counting, low, high, free, wanted) if short else None
            )


def test_what_is_known_of_some_time_agrees_with_the_starts() -> None:
    chance = random.Random(6)
    for _ in range(200):
        units = chance.randint(1, 3)
        holds = [
            hold(
                first := chance.randrange(0, 40), first + chance.randint(1, 20),
                chance.choice("abm"), units=chance.randint(1, 2), acquired=number,
                overdue_for=chance.choice((None, chance.randint(1, 9))),
            )
            for number in range(6)
        ]  # fmt: skip
        (slot,) = merge(
            slots_of((10, 30, 4), wanted=units), holds, "m", stock=Stock(4, is_pool=True)
        )

        found = slot_presence(
            Span(BASE + 10, BASE + 30), holds, "m", units_free=4, units=units, is_pool=True
        )

        assert found.is_reserved is (slot.state is SlotState.RESERVED)
        assert found.free_at == slot.held_until
