"""Claims decided against days and capacities in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.availability.domain import counter
from services.availability.domain.booking import BookingItem
from services.availability.domain.claim import (
    FREE,
    DayKey,
    DayState,
    Inventory,
    Taken,
    conflicts,
    short,
    units_free,
)
from shared.slots.bitmap import mask
from shared.slots.quantum import Span

DAYS = range(1, 4)
CAPACITY = 5
KEYS = [DayKey(name, day) for name in ("pool", "room") for day in DAYS]
FIRST, STOP = DAYS.start * 96, DAYS.stop * 96

SPANS = st.tuples(
    st.integers(min_value=FIRST, max_value=STOP - 1), st.integers(min_value=1, max_value=200)
).map(lambda found: Span(found[0], min(STOP, found[0] + found[1])))
ITEMS = st.one_of(
    st.builds(BookingItem, st.just("room"), st.just(1), SPANS),
    st.builds(
        BookingItem,
        st.just("pool"),
        st.integers(min_value=1, max_value=CAPACITY),
        SPANS,
        st.just(True),
    ),
)
BUNDLES = st.lists(ITEMS, min_size=1, max_size=2, unique_by=lambda item: item.resource_id)


def inventory() -> Inventory:
    return Inventory(dict.fromkeys(KEYS, FREE), {"pool": CAPACITY})


def tally(bundles: Sequence[Sequence[BookingItem]]) -> Counter[tuple[str, int]]:
    """Units taken by resource and quantum, counted one by one."""
    found: Counter[tuple[str, int]] = Counter()
    for item in (item for bundle in bundles for item in bundle):
        for quantum in range(item.occupancy.first, item.occupancy.stop):
            found[item.resource_id, quantum] += item.units
    return found


def stored(known: Inventory) -> dict[DayKey, DayState]:
    return {key: known.state(key) for key in KEYS}


def has_room(bundles: Sequence[Sequence[BookingItem]]) -> bool:
    return all(
        units <= (CAPACITY if name == "pool" else 1) for (name, _), units in tally(bundles).items()
    )


@given(st.lists(BUNDLES, max_size=12))
def test_a_bundle_is_in_the_way_exactly_when_counting_says_so(
    bundles: list[list[BookingItem]],
) -> None:
    known = inventory()
    held: list[list[BookingItem]] = []

    for bundle in bundles:
        in_the_way = known.in_the_way(bundle)
        assert bool(in_the_way) is not has_room([*held, bundle])
        if not in_the_way:
            known.take(bundle)
            held.append(bundle)

    counted = tally(held)
    for (name, day), state in stored(known).items():
        plain = [counted[name, day * 96 + quantum] for quantum in range(96)]
        limit = CAPACITY if name == "pool" else 1
        assert state.busy == sum(1 << q for q, units in enumerate(plain) if units >= limit)
        assert counter.counts(state.counted) == plain
        assert (state.taken == ()) or name == "pool"
    assert known.changed == {
        DayKey(name, quantum // 96) for (name, quantum), units in counted.items() if units
    }


@given(st.lists(BUNDLES, max_size=8), st.randoms(use_true_random=False))
def test_what_was_taken_and_released_in_any_order_leaves_every_day_free(
    bundles: list[list[BookingItem]], random: Random
) -> None:
    known = inventory()
    held = []
    for bundle in bundles:
        if not known.in_the_way(bundle):
            known.take(bundle)
            held.append(bundle)
    random.shuffle(held)

    for bundle in held:
        known.release(bundle)

    assert stored(known) == dict.fromkeys(KEYS, FREE)


@given(st.lists(BUNDLES, max_size=8), st.integers(min_value=1, max_value=CAPACITY + 2))
def test_a_resized_pool_is_full_where_its_count_reaches_the_new_number(
    bundles: list[list[BookingItem]], units: int
) -> None:
    known = inventory()
    for bundle in bundles:
        if not known.in_the_way(bundle):
            known.take(bundle)
    before = stored(known)

    known.resize("pool", units)

    assert known.capacity("pool") == units
    for key, state in stored(known).items():
        if key.resource_id == "room":
            assert state == before[key]
        else:
            assert state.taken == before[key].taken
            assert state.busy == counter.reaching(state.taken, units)


def test_what_is_in_the_way_is_told_by_day() -> None:
    known = inventory()
    known.take([BookingItem("pool", 4, Span(96 + 90, 192 + 2), is_pool=True)])

    found = known.in_the_way([BookingItem("pool", 2, Span(96 + 94, 192 + 8), is_pool=True)])

    assert found == [
        Taken(DayKey("pool", 1), mask(94, 96)),
        Taken(DayKey("pool", 2), mask(0, 2)),
    ]


def test_releasing_what_a_lost_day_does_not_count_leaves_it_free() -> None:
    known = inventory()

    known.release([BookingItem("pool", 2, Span(96, 100), is_pool=True)])
    known.release([BookingItem("room", 1, Span(96, 100))])

    assert stored(known) == dict.fromkeys(KEYS, FREE)
    assert known.changed == set()


def test_a_day_counted_anew_forgets_what_it_was() -> None:
    known = inventory()
    known.take([BookingItem("pool", 5, Span(96, 100), is_pool=True)])
    known.take([BookingItem("room", 1, Span(96, 100))])

    known.count_anew(DayKey("pool", 1), counter.add((), 0b110, 5))
    known.mark_anew(DayKey("room", 1), 0b1)

    assert known.state(DayKey("pool", 1)) == DayState(0b110, 0, (0b110, 0, 0b110))
    assert known.state(DayKey("room", 1)) == DayState(0b1, 0)


def test_only_known_days_are_decided_about() -> None:
    assert inventory().has(KEYS)
    assert not inventory().has([*KEYS, DayKey("room", 99)])


@given(st.lists(BUNDLES, max_size=8), SPANS, st.integers(min_value=1, max_value=CAPACITY + 1))
def test_free_units_and_conflicts_agree(
    bundles: list[list[BookingItem]], span: Span, units: int
) -> None:
    known = inventory()
    for bundle in bundles:
        if not known.in_the_way(bundle):
            known.take(bundle)
    days = {key.day: state for key, state in stored(known).items() if key.resource_id == "pool"}

    found = conflicts(span, days, CAPACITY, units)

    assert (units_free(span, days, CAPACITY) >= units) is (not found)
    assert all(quanta for quanta in found.values())


def test_of_a_room_there_is_one_unit() -> None:
    state = DayState(mask(4, 8), 1)

    assert short(state, 1, 1) == mask(4, 8)
    assert short(state, 1, 2) == mask(0, 96)
    assert conflicts(Span(96 + 6, 96 + 10), {1: state}) == {date(1970, 1, 2): [6, 7]}
