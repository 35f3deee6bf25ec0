"""One organization's days in memory: which state wins, what is kept, what watchers see."""

from __future__ import annotations

import random

import pytest

from services.availability.app.organization_days import OrganizationDays
from services.availability.domain.claim import FREE, DayKey, DayState
from services.availability.domain.day_change import ChangedDay, DayChange
from shared.runtime.mailbox import Changed, Mailbox, Stale

DAY = 20_000
DAYS = range(DAY, DAY + 3)


@pytest.fixture
def known() -> OrganizationDays:
    """Three days of one resource, never booked."""
    found = OrganizationDays("org")
    with found.filling():
        found.fill({"a": DAYS}, {"a": {}})
    return found


def change(feed: int, busy: int, day: int = DAY, resource_id: str = "a") -> DayChange:
    return DayChange(feed, [ChangedDay(resource_id, day, DayState(busy, feed))])


def read(known: OrganizationDays, day: int = DAY) -> DayState:
    found = known.of_resource("a", [day])
    assert found is not None
    return found[day]


def test_a_day_that_was_not_filled_is_not_known(known: OrganizationDays) -> None:
    assert known.of_resource("a", range(DAY, DAY + 4)) is None
    assert known.of_resource("b", DAYS) is None
    assert known.missing({"a": range(DAY, DAY + 4), "b": [DAY]}) == {"a": [DAY + 3], "b": [DAY]}
    assert known.of_resource("a", DAYS) == dict.fromkeys(DAYS, FREE)


def test_days_are_remembered_as_they_were_heard_of_last(known: OrganizationDays) -> None:
    known.note(change(2, 3).days)
    first, second = DayKey("a", DAY), DayKey("a", DAY + 1)

    assert known.remembered([first, second]) == {first: DayState(3, 2), second: FREE}
    assert known.remembered([first, DayKey("a", DAY + 3)]) is None
    assert known.remembered([DayKey("b", DAY)]) is None


def test_a_change_of_a_day_that_nobody_asked_for_is_not_kept(known: OrganizationDays) -> None:
    known.advance(change(1, 7, resource_id="b"))

    assert (known.position, known.count) == (1, 3)
    assert known.of_resource("b", [DAY]) is None


def test_reads_see_an_own_commit_before_watchers_do(known: OrganizationDays) -> None:
    known.note(change(2, 3).days)
    before = read(known), known.state("a", DAY)
    known.advance(change(1, 1))
    between = read(known), known.state("a", DAY)
    known.advance(change(2, 3))
    known.settle()

    assert before == (DayState(3, 2), FREE)
    assert between == (DayState(3, 2), DayState(1, 1))
    assert read(known) == known.state("a", DAY) == DayState(3, 2)


def test_an_own_commit_noted_after_the_feed_brought_more_changes_nothing(
    known: OrganizationDays,
) -> None:
    known.advance(change(1, 1))
    known.advance(change(2, 3))

    known.note(change(1, 1).days)

    assert read(known) == DayState(3, 2)


def test_own_commits_noted_out_of_order_leave_the_newest(known: OrganizationDays) -> None:
    known.note(change(2, 3).days)
    known.note(change(1, 1).days)

    assert read(known) == DayState(3, 2)
    assert known.noted == 2


def test_of_a_fill_and_what_came_meanwhile_the_newest_wins() -> None:
    for stored, expected in ((DayState(1, 1), 2), (FREE, 2), (DayState(7, 3), 3)):
        known = OrganizationDays("org")
        with known.filling():
            known.advance(change(1, 1))
            known.advance(change(2, 3))
            known.fill({"a": [DAY]}, {"a": {DAY: stored} if stored != FREE else {}})

        assert known.state("a", DAY).version == expected


def test_what_came_during_an_earlier_fill_is_not_remembered_for_the_next(
    known: OrganizationDays,
) -> None:
    with known.filling():
        known.advance(change(1, 1, resource_id="b"))
    with known.filling():
        known.fill({"b": [DAY]}, {"b": {}})

    assert known.of_resource("b", [DAY]) == {DAY: FREE}


def test_a_fill_leaves_days_that_are_known_as_they_are(known: OrganizationDays) -> None:
    known.advance(change(1, 1))
    with known.filling():
        added = known.fill({"a": range(DAY, DAY + 4)}, {"a": {DAY: DayState(7, 9)}})

    assert (added, known.count) == (1, 4)
    assert known.state("a", DAY) == DayState(1, 1)


def test_distrust_forgets_what_was_noted(known: OrganizationDays) -> None:
    generation = known.generation
    known.confirmed_at = 5.0
    known.note(change(2, 3).days)

    known.distrust(6.0)

    assert read(known) == FREE
    assert known.generation > generation
    assert known.confirmed_at < 0


def test_followers_are_told_each_change_and_each_reset(known: OrganizationDays) -> None:
    mailbox = Mailbox[str, DayChange]()
    known.subscribers.add(mailbox)
    first = change(1, 1)

    known.advance(first)
    told = mailbox.next()
    known.advance(change(2, 3))
    known.reset()

    assert told == Changed("org", first)
    assert mailbox.next() == Stale(frozenset({"org"}), is_reset=True)
    assert mailbox.next() is None


def test_days_are_forgotten_until_few_enough_are_left(known: OrganizationDays) -> None:
    with known.filling():
        known.fill({"b": DAYS, "c": DAYS}, {})

    known.shrink(4)

    assert known.count == 3
    assert known.missing({"a": DAYS, "b": DAYS, "c": DAYS}) == {"a": [*DAYS], "b": [*DAYS]}


def test_pinned_days_are_kept_and_those_beside_them_are_not(known: OrganizationDays) -> None:
    with known.pinned({"a": [DAY + 1]}), known.pinned({"a": [DAY + 1]}):
        known.shrink(0)

        assert known.count == 1
        assert known.missing({"a": DAYS}) == {"a": [DAY, DAY + 2]}
        assert known.pins == {"a": [DAY + 1]}
    known.shrink(0)

    assert known.count == 0
    assert not known.is_followed


def test_a_day_is_pinned_until_the_last_one_leaves(known: OrganizationDays) -> None:
    with known.pinned({"a": DAYS}):
        with known.pinned({"a": [DAY]}):
            pass
        known.shrink(0)

        assert known.of_resource("a", DAYS) is not None


class Log:
    """Commits in their order, some of them noted: what has to be known, and what may be."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._changes: list[DayChange] = []
        self._noted: set[int] = set()
        self.known = OrganizationDays("org")

    def commit(self) -> None:
        number, day = len(self._changes) + 1, self._source.choice(DAYS)
        self._changes.append(change(number, self._source.getrandbits(96), day))

    def note(self) -> None:
        if self._changes:
            own = self._source.choice(self._changes)
            self._noted.add(own.feed)
            self.known.note(own.days)

    def feed(self) -> None:
        if self.known.position < len(self._changes):
            self.known.advance(self._changes[self.known.position])
            self.known.settle()

    def fill(self) -> None:
        # What a reading finds is true at one moment between its begin and its end.
        with self.known.filling():
            moment = self._source.randint(self.known.position, len(self._changes))
            stored = {day: self.at(moment, day) for day in DAYS}
            while self._source.random() < 0.5:
                self.feed()
            self.known.fill(self.known.missing({"a": DAYS}), {"a": stored})

    def forget(self) -> None:
        if self._source.random() < 0.2:
            self.known.shrink(0)

    def at(self, number: int, day: int) -> DayState:
        """The state of a day after a number of commits."""
        states = [each.days[0].state for each in self._changes[:number] if each.days[0].day == day]
        return states[-1] if states else FREE

    def own(self, day: int) -> int:
        """The version of the newest own commit of a day."""
        return max((n for n in self._noted if self._changes[n - 1].days[0].day == day), default=0)


@pytest.mark.parametrize("seed", range(20))
def test_reads_and_watchers_have_what_a_plain_log_says(seed: int) -> None:
    source = random.Random(seed)
    log = Log(source)
    known = log.known
    compared = 0

    for _ in range(400):
        source.choice([log.commit, log.note, log.feed, log.fill, log.forget])()
        for day in DAYS:
            if known.of_resource("a", [day]) is None:
                continue
            found, watched = read(known, day), known.state("a", day)
            assert found == log.at(found.version, day)
            assert found.version >= max(log.at(known.position, day).version, log.own(day))
            assert watched == log.at(max(known.position, watched.version), day)
            compared += 1

    assert compared > 100
