"""Medians, ratios and verdicts of the bench; how its command line is read."""

from __future__ import annotations

import io
import json
import math

import pytest

from tests.load.measure import Spread, interleaved, percentile, ratios
from tests.load.options import FIGURES, parse
from tests.load.progress import Progress
from tests.load.report import Figure, Part, Report, Unmeasured


def figure(*met: bool) -> Figure:
    parts = [Part("0.41 (0.38-0.44) x B", ">= 0.8 x B", is_met) for is_met in met]
    return Figure("F1", "GetDaySlots, warm", parts, "CPU 400 us per call", ["2,000 calls/s"])


def test_a_spread_is_the_median_between_the_least_and_the_greatest() -> None:
    assert Spread.of([9.0, 1.0, 2.0]) == Spread(2.0, 1.0, 9.0)
    assert Spread.of([4.0, 1.0, 3.0, 2.0]) == Spread(2.5, 1.0, 4.0)
    assert Spread.of([0.4114, 0.38, 0.44]).text() == "0.41 (0.38-0.44)"


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]], ids=["none", "nan", "inf"])
def test_what_was_not_measured_has_no_spread(values: list[float]) -> None:
    with pytest.raises(ValueError, match="numbers"):
        Spread.of(values)


def test_a_ratio_is_taken_within_each_pair_and_not_of_the_medians() -> None:
    # The machine was three times as fast during the last pair.
    assert ratios([(50.0, 100.0), (80.0, 100.0), (180.0, 300.0)]) == Spread(0.6, 0.5, 0.8)


def test_a_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="compare"):
        ratios([(1.0, 2.0), (1.0, 0.0)])


@pytest.mark.parametrize(
    ("percent", "value"), [(50, 50), (99, 99), (99.1, 100), (100, 100), (0, 1)]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile(range(100, 0, -1), percent) == value


async def test_pairs_take_turns_in_who_comes_first() -> None:
    order: list[str] = []
    told: list[int] = []

    async def first() -> float:
        order.append("A")
        return 1.0

    async def second() -> float:
        order.append("B")
        return 2.0

    found = await interleaved(3, first, second, told.append)

    assert "".join(order) == "ABBAAB"
    assert found == [(1.0, 2.0)] * 3
    assert told == [0, 1, 2]


@pytest.mark.parametrize(
    ("met", "word"),
    [([True], "met"), ([False], "not met"), ([True, False], "not met"), ([], "not met")],
    ids=["met", "not met", "in part", "nothing shown"],
)
def test_a_figures_own_line_ends_in_its_verdict(met: list[bool], word: str) -> None:
    line, *remarks = figure(*met).lines()

    assert line.startswith("F1 ")
    assert line.endswith(f" ... {word}")
    assert all(remark.startswith(" ") and "met" not in remark for remark in remarks)


def test_a_figure_that_could_not_be_measured_has_no_verdict() -> None:
    (line,) = Unmeasured("F7", "fan-out", "the connection was lost").lines()

    assert line == "F7   fan-out: could not be measured: the connection was lost"


def test_a_report_is_complete_unless_something_could_not_be_measured() -> None:
    report = Report(as_json=False, out=io.StringIO())

    report.add(figure(False))
    assert report.is_complete
    report.add(Unmeasured("F7", "fan-out", "no such method"))
    assert not report.is_complete


def test_a_report_for_programs_is_one_document() -> None:
    out = io.StringIO()
    report = Report(as_json=True, out=out)

    report.header({"Python": "3.11"})
    report.add(figure(True, False))
    report.add(Unmeasured("F7", "fan-out", "no such method"))
    report.end()

    document = json.loads(out.getvalue())
    assert document["header"] == {"Python": "3.11"}
    assert [each["verdict"] for each in document["figures"]] == ["not met", None]
    assert [part["verdict"] for part in document["figures"][0]["parts"]] == ["met", "not met"]


def test_everything_is_measured_in_order_unless_some_is_asked_for() -> None:
    assert list(parse([]).only) == list(FIGURES)
    assert parse([]).pairs >= 7
    assert list(parse(["--only", "f9, F1"]).only) == ["F1", "F9"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "F11"],
        ["--only", ","],
        ["--pairs", "0"],
        ["--seconds", "0"],
        ["-o", "xml"],
        ["x"],
    ],
    ids=" ".join,
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(arguments)

    assert refused.value.code == 2
    assert "error: argument" in (said := capsys.readouterr().err) or "unrecognized" in said


def test_progress_is_drawn_anew_on_a_terminal_and_told_in_lines_elsewhere() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, file = Terminal(), io.StringIO()
    for out in (terminal, file):
        bar = Progress(out).bar("bookings", 4)
        bar.at(4)

    assert "[##############################] bookings 4 of 4" in terminal.getvalue()
    assert file.getvalue() == ""
