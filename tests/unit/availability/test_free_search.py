"""Search over many lanes at once finds what the slot engine finds for each resource."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Final

import pytest

from services.availability.domain.claim import DayKey, DayState, short, units_free
from services.availability.domain.counter import Planes, reaching
from services.availability.domain.day_index import DayIndex
from services.availability.domain.free_search import Frame
from shared.slots.bitmap import FULL, mask
from shared.slots.quantum import QUANTA_PER_DAY, Span, day_number, instant
from shared.slots.refusal import DurationNotOffered
from shared.slots.rule import BookingRules, ClosedHours, DurationRange
from shared.slots.schedule import Schedule, Window
from shared.slots.slot import Slot
from shared.slots.zone import zone
from tests.slot_question import day_slots

MINUTES: Final = timedelta(minutes=1)
HOURS: Final = timedelta(hours=1)
DAYS: Final = timedelta(days=1)
# Days whose clocks change, in zones where they do, and some where they do not.
CHANGES: Final = [
    ("Europe/Berlin", date(2027, 3, 28)),
    ("America/New_York", date(2027, 11, 7)),
    ("Australia/Lord_Howe", date(2027, 4, 4)),
    ("America/St_Johns", date(2006, 10, 29)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("America/Santiago", date(2027, 9, 5)),
    ("Asia/Kathmandu", date(2027, 6, 1)),
    ("Pacific/Kiritimati", date(2027, 1, 1)),
]
OPEN: Final = [
    ((540, 1020),),
    ((0, 1440),),
    ((0, 120), (1380, 1440)),
    ((480, 720), (720, 900), (1200, 1440)),
    (),
]
RULES: Final = [
    BookingRules(durations=(30 * MINUTES, 2 * HOURS)),
    BookingRules(durations=(50 * MINUTES,), interval=15 * MINUTES, buffer_before=20 * MINUTES),
    BookingRules(
        durations=(HOURS,),
        interval=30 * MINUTES,
        buffer_before=10 * HOURS,
        buffer_after=27 * HOURS,
        minimum_notice=26 * HOURS,
        horizon=3 * DAYS,
    ),
    BookingRules(
        flexible=DurationRange(HOURS, 5 * DAYS, 30 * MINUTES),
        interval=HOURS,
        buffer_after=15 * MINUTES,
        closed_hours=ClosedHours.OPEN_AT_ENDS,
    ),
]


def schedules(source: random.Random, around: date) -> list[Schedule]:
    found = []
    for name in source.sample([name for name, _ in CHANGES], 3):
        weekly = {
            day: tuple(Window(*bounds) for bounds in source.choice(OPEN)) for day in range(1, 8)
        }
        override = around + source.randrange(3) * DAYS
        found.append(Schedule(zone(name), weekly, {override: (Window(600, 660),)}))
    return found


def frame_of(starts: range, rules: BookingRules, duration: timedelta, now: datetime) -> Frame:
    earliest, latest = rules.start_bounds(now)
    stop = starts.stop if latest is None else min(starts.stop, latest + 1)
    before = rules.quanta_before
    return Frame(
        range(max(starts.start, earliest), stop), before, before + rules.quanta_from(duration)
    )


def found_one_by_one(
    schedule: Schedule,
    rules: BookingRules,
    duration: timedelta,
    now: datetime,
    busy: dict[int, int],
    starts: range,
) -> list[Slot]:
    dates = range(starts.start // QUANTA_PER_DAY - 2, starts.stop // QUANTA_PER_DAY + 3)
    return [
        slot
        for day in dates
        for slot in day_slots(schedule, rules, date(1970, 1, 1) + day * DAYS, duration, now, busy)
        if slot.quantum in starts
    ]


@pytest.mark.parametrize("seed", range(40))
def test_every_lane_has_the_slots_of_the_engine(seed: int) -> None:
    source = random.Random(seed)
    _, around = source.choice(CHANGES)
    rules = source.choice(RULES)
    duration = source.choice(rules.durations or (HOURS, 3 * HOURS, 26 * HOURS))
    begin = day_number(around) * QUANTA_PER_DAY + source.randrange(-150, 150)
    starts = range(begin, begin + source.choice((1, 40, 300, 800)))
    now = instant(begin) - timedelta(minutes=source.choice((-200, 0, 7, 3000)))
    frame = frame_of(starts, rules, duration, now)
    if not frame.starts:
        return
    offers = schedules(source, around)
    lanes = []
    for number in range(60):
        busy = {
            day: source.choice((0, FULL, 0xFF << source.randrange(88), source.getrandbits(96)))
            for day in frame.days
            if source.random() < 0.5
        }
        lanes.append((offers[number % len(offers)], busy))

    found = frame.search(
        [
            b"".join(busy.get(day, 0).to_bytes(12, "little") for day in frame.days)
            for _, busy in lanes
        ],
        [frame.lane(frame.offered(schedule, rules, duration)) for schedule, _ in lanes],
    )

    for (schedule, busy), bits in zip(lanes, found, strict=True):
        expected = found_one_by_one(schedule, rules, duration, now, busy, starts)
        assert frame.slots(bits, 10_000) == expected
        assert frame.slots(bits, 3) == expected[:3]
        if bits:
            assert frame.first_start(bits) == expected[0].quantum


def test_the_first_and_the_last_dates_of_the_calendar_are_searched() -> None:
    rules = BookingRules(durations=(HOURS,))
    for day in (date(1970, 1, 2), date(9998, 12, 29)):
        for name in ("Pacific/Tongatapu", "Pacific/Pago_Pago"):
            schedule = Schedule(zone(name), dict.fromkeys(range(1, 8), (Window(0, 1440),)))
            first = day_number(day) * QUANTA_PER_DAY
            frame = Frame(range(first, first + QUANTA_PER_DAY), 0, 4)

            bits = frame.offered(schedule, rules, HOURS)

            assert len(frame.slots(bits, 100)) == 24


def test_a_length_that_is_not_offered_is_refused() -> None:
    schedule = Schedule(zone("UTC"), {})

    with pytest.raises(DurationNotOffered):
        Frame(range(960, 970), 0, 4).offered(schedule, BookingRules(durations=(HOURS,)), 2 * HOURS)


def test_every_quarter_hour_is_asked_for_where_no_schedule_is() -> None:
    frame = Frame(range(95, 99), 2, 5)

    bits = frame.free(1 << 95)

    assert list(frame.days) == [0, 1]
    assert frame.slots(bits & frame.all_starts, 10) == [Slot(98, 96, 101)]


FIRST: Final = 20_030  # two days before a block of the index ends
SOME_DAYS: Final = range(FIRST, FIRST + 40)
NAMES: Final = [f"r{number}" for number in range(7)]
POOLS: Final = frozenset(NAMES[::3])


class Stored:
    """An inventory as a store has it: it changes, and the index is told."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.days: dict[DayKey, DayState] = {}
        self.capacities = dict.fromkeys(NAMES, 1)

    def change(self) -> tuple[list[tuple[str, int, DayState]], list[tuple[str, int]]]:
        name = self.source.choice(NAMES)
        sizes = []
        if name in POOLS and self.source.random() < 0.2:
            self.capacities[name] = self.source.randrange(1, 6)
            sizes.append((name, self.capacities[name]))
        day = self.source.choice(SOME_DAYS)
        planes: Planes = ()
        busy = self.source.getrandbits(96)
        if name in POOLS:
            planes = (busy, self.source.getrandbits(96))
            busy = reaching(planes, self.capacities[name])
        changed = [(name, day, DayState(busy, 1, planes))]
        for key, state in list(self.days.items()):
            if sizes and key.resource_id == name and key.day != day:
                full = reaching(state.taken, self.capacities[name])
                changed.append((name, key.day, state._replace(busy=full)))
        self.days.update((DayKey(of, at), state) for of, at, state in changed)
        return changed, sizes


def filled(index: DayIndex, stored: Stored, slots: list[int], days: range, most: int) -> None:
    for gap in index.gaps(slots, days, most):
        rows = [
            (key, state)
            for key, state in stored.days.items()
            if key.resource_id in gap.resource_ids and key.day in gap.days
        ]
        sizes = [(name, stored.capacities[name]) for name in gap.pool_ids]
        assert index.fill(gap, rows, sizes, now=0.0)


@pytest.mark.parametrize("seed", range(20))
def test_an_index_knows_what_is_stored(seed: int) -> None:
    source = random.Random(seed)
    stored, index = Stored(source), DayIndex()
    for step in range(150):
        index.change(*stored.change())
        if source.random() < 0.1:
            index.forget(step - source.randrange(20))
        names = source.sample(NAMES, source.randrange(1, len(NAMES)))
        first = source.choice(SOME_DAYS)
        days = range(first, min(first + source.randrange(1, 36), SOME_DAYS.stop))
        slots = index.enter(names, POOLS)

        filled(index, stored, slots, days, source.choice((1, 10, 1_000)))

        assert not list(index.gaps(slots, days, 1))
        view = index.view(days, float(step))
        lanes = b"".join(view.lanes(slots))
        size = 12 * len(days)
        for place, (name, slot) in enumerate(zip(names, slots, strict=True)):
            of_name = {day: stored.days.get(DayKey(name, day), DayState(0, 0)) for day in days}
            for units in (1, 2, 5):
                expected = 0
                for shift, state in enumerate(of_name.values()):
                    bits = short(state, stored.capacities[name], units)
                    expected |= bits << shift * QUANTA_PER_DAY
                assert view.short(slot, units) == expected
                if units == 1:
                    lane = lanes[place * size : place * size + size]
                    assert int.from_bytes(lane, "little") == expected
            stop = days.stop * QUANTA_PER_DAY
            spans = [Span(stop - length, stop) for length in (1, len(days) * QUANTA_PER_DAY)]
            if name in POOLS:
                assert view.units_free(slot, spans) == [
                    units_free(span, of_name, stored.capacities[name]) for span in spans
                ]


def test_a_view_outlives_what_the_index_forgets() -> None:
    index = DayIndex()
    (slot,) = index.enter(["a"], POOLS)
    days = range(FIRST, FIRST + 1)
    (gap,) = index.gaps([slot], days, 10)
    index.fill(gap, [(DayKey("a", FIRST), DayState(mask(0, 4), 1))], (), now=1.0)
    view = index.view(days, 1.0)

    index.forget(1.0)

    assert index.size == 0
    assert view.short(slot, 1) == mask(0, 4)
    assert list(index.gaps([slot], days, 10)) == [gap]


def test_what_was_forgotten_while_it_was_filled_is_filled_anew() -> None:
    index = DayIndex()
    slots = index.enter(["a", "b"], POOLS)
    days = range(FIRST, FIRST + 1)
    first, second = index.gaps(slots, days, 1)
    index.fill(first, (), (), now=1.0)

    index.forget(1.0)

    assert not index.fill(second, (), (), now=2.0)
    assert len(list(index.gaps(slots, days, 1))) == 2


def test_what_is_known_already_is_not_read_over() -> None:
    index = DayIndex()
    slots = index.enter(["a"], POOLS)
    (gap,) = index.gaps(slots, range(FIRST, FIRST + 1), 10)
    index.fill(gap, (), (), now=1.0)
    index.change([("a", FIRST, DayState(1, 2))], ())

    index.fill(gap, [(DayKey("a", FIRST), DayState(3, 3))], (), now=2.0)

    assert index.view(range(FIRST, FIRST + 1), 3.0).short(slots[0], 1) == 1
