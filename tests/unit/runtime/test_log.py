"""Log lines are gathered, written in order, and fail nobody."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from shared.runtime.log import GatheringHandler, JsonFormatter, record, request_id

NAME = "holdfast.test.log"


class Torn(io.StringIO):
    """A stream whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


class Heard(io.StringIO):
    """A stream that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


@pytest.fixture
def stream() -> Heard:
    return Heard()


@pytest.fixture
def logger(stream: Heard) -> Iterator[logging.Logger]:
    with writing_to(stream) as found:
        yield found


class writing_to:  # noqa: N801  # reads as a function where it is used
    """A logger whose lines go to a stream."""

    def __init__(self, stream: io.StringIO) -> None:
        self._handler = GatheringHandler(stream)
        self._handler.setFormatter(JsonFormatter("test"))
        self._logger = logging.getLogger(NAME)

    def __enter__(self) -> logging.Logger:
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._logger.addHandler(self._handler)
        return self._logger

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self._handler)


def messages(stream: io.StringIO) -> list[str]:
    return [json.loads(line)["message"] for line in stream.getvalue().splitlines()]


async def test_lines_of_a_loop_are_written_together_and_in_order(
    logger: logging.Logger, stream: Heard
) -> None:
    for number in range(3):
        logger.info("line %d", number)
    before = stream.getvalue()
    logger.warning("now")

    assert before == ""
    assert messages(stream) == ["line 0", "line 1", "line 2", "now"]


async def test_a_line_is_written_soon(logger: logging.Logger, stream: Heard) -> None:
    logger.info("alone")
    await asyncio.wait_for(stream.written.wait(), 5)

    assert messages(stream) == ["alone"]


async def test_a_line_says_what_was_so_when_it_was_logged(
    logger: logging.Logger, stream: Heard
) -> None:
    seen = ["a"]
    request_id.set(lambda: "first")
    logger.info("seen %s", seen)
    seen.append("b")
    request_id.set(lambda: "second")
    logger.warning("seen %s", seen)

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["request"], line["message"]) for line in lines] == [
        ("first", "seen ['a']"),
        ("second", "seen ['a', 'b']"),
    ]


async def test_a_line_that_cannot_be_written_costs_no_other(
    logger: logging.Logger, stream: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger.info("before")
    logger.info("never", extra={"endless": endless()})
    logger.warning("after")

    assert messages(stream) == ["before", "after"]


def endless() -> dict[str, object]:
    found: dict[str, object] = {}
    found["itself"] = found
    return found


def test_without_a_loop_a_line_is_written_at_once(logger: logging.Logger, stream: Heard) -> None:
    logger.info("alone")

    assert messages(stream) == ["alone"]


def test_what_a_loop_left_behind_keeps_no_later_line_back(
    logger: logging.Logger, stream: Heard
) -> None:
    async def one(text: str) -> None:
        logger.info(text)

    async def written() -> None:
        logger.info("second")
        await asyncio.wait_for(stream.written.wait(), 5)

    with asyncio.Runner() as first:
        first.run(one("first"))
    with asyncio.Runner() as second:
        second.run(written())

    assert messages(stream) == ["first", "second"]


async def test_a_stream_that_takes_nothing_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with writing_to(Torn()) as logger:
        logger.info("one")
        logger.warning("two")
        logger.handle(record(NAME, logging.ERROR, "three", {"method": "CreateBooking"}))


def test_a_made_record_reads_as_a_logged_one(logger: logging.Logger, stream: Heard) -> None:
    logger.info("call ended", extra={"method": "CreateBooking", "ms": 1.5})
    logger.handle(record(NAME, logging.INFO, "call ended", {"method": "CreateBooking", "ms": 1.5}))

    logged, made = (json.loads(line) for line in stream.getvalue().splitlines())
    assert {**logged, "time": ""} == {**made, "time": ""}
    assert list(logged) == list(made)
