"""Slugs, lengths, and fields that contradict one another."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain.event_type import (
    FlexibleDuration,
    contradictions,
    minute_violations,
    range_violations,
    slug_violations,
    slugs_from,
)
from tests.integration.catalog.value import an_event_type

identifiers = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", fullmatch=True)


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


@given(st.text(max_size=200), identifiers)
def test_slugs_made_from_any_title_are_slugs_and_differ(title: str, event_type_id: str) -> None:
    slugs = list(islice(slugs_from(title, event_type_id), 12))

    assert [violation for slug in slugs for violation in slug_violations("s", slug)] == []
    assert len(set(slugs)) == len(slugs)


def test_a_slug_that_is_cut_does_not_end_in_a_hyphen() -> None:
    first, second = islice(slugs_from("a" * 127 + " b", "id"), 2)

    assert first == "a" * 127
    assert second == "a" * 126 + "-2"


@pytest.mark.parametrize("slug", ["", "A", "-a", "a_b", "a.b", "ä", "a" * 129, "a\n"])
def test_what_is_no_slug_is_refused(slug: str) -> None:
    assert [violation.field for violation in slug_violations("s", slug)] == ["s"]


@pytest.mark.parametrize(
    ("shortest", "longest", "step", "is_range"),
    [(30, 120, 30, True), (30, 30, 1, True), (30, 100, 30, False), (60, 30, 15, False)],
)
def test_a_range_ends_on_one_of_its_steps(
    shortest: int, longest: int, step: int, *, is_range: bool
) -> None:
    flexible = FlexibleDuration(
        minimum=minutes(shortest), maximum=minutes(longest), step=minutes(step)
    )

    assert (not list(range_violations("f", flexible))) == is_range


@pytest.mark.parametrize(
    "length", [timedelta(seconds=90), timedelta(microseconds=1), timedelta(minutes=1, seconds=1)]
)
def test_a_length_is_whole_minutes(length: timedelta) -> None:
    assert [violation.field for violation in minute_violations("d", length)] == ["d"]


def test_a_sound_event_type_contradicts_nothing() -> None:
    assert list(contradictions("e", an_event_type())) == []


def test_exactly_one_kind_of_lengths_is_offered() -> None:
    flexible = FlexibleDuration(minimum=minutes(1), maximum=minutes(2), step=minutes(1))
    both = an_event_type(flexible_duration=flexible)
    neither = an_event_type(duration_options=())
    only_flexible = replace(both, duration_options=())

    assert [v.field for v in contradictions("e", both)] == ["e.duration_options"]
    assert [v.field for v in contradictions("e", neither)] == ["e.duration_options"]
    assert list(contradictions("e", only_flexible)) == []


@pytest.mark.parametrize(("notice", "is_sound"), [(59, True), (60, True), (61, False)])
def test_the_horizon_is_not_below_the_notice(notice: int, *, is_sound: bool) -> None:
    event_type = an_event_type(minimum_notice=minutes(notice), horizon=minutes(60))

    assert (not list(contradictions("e", event_type))) == is_sound
