"""``make soak`` says of each promise whether it is met, and its exit code says the same."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.faults import soak
from tests.faults.mutant import engine


@pytest.fixture(autouse=True)
def usual_signals() -> Iterator[None]:
    """A program of its own may do with SIGTERM what it likes; here others come after it."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_what_is_met_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    code = soak.main(["--only", "C3", "--dose", "0.005"])

    said = capsys.readouterr().out
    assert code == 0, said
    assert "C3   release frees exactly its own quanta: 0 violations" in said
    assert " ... met\n" in said


def test_what_is_not_met_is_said_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.cancels_twice(monkeypatch)

    code = soak.main(["--only", "C3", "--dose", "0.005"])

    said = capsys.readouterr()
    assert code == 1, said.out
    assert " ... not met\n" in said.out
    assert "a transition that is none: " in said.err


def test_unknown_promises_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        soak.main(["--only", "C99"])

    assert "unknown: C99" in capsys.readouterr().err
