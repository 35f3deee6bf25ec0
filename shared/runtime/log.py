"""JSON lines on stderr, each with the id of the request it belongs to."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO, Any, Final


class _RequestId:
    """The id of the request that is served: found out when it is asked for, which is seldom."""

    def __init__(self) -> None:
        self._find: ContextVar[Callable[[], str]] = ContextVar(
            "holdfast_log_request_id", default=str
        )

    def set(self, find: Callable[[], str]) -> None:
        """Says how the id of the current call is found out."""
        self._find.set(find)

    def get(self) -> str:
        """Returns the id; empty outside a call."""
        return self._find.get()()


request_id: Final = _RequestId()

# Made once: ``dumps`` would make one for each line.
_JSON: Final = json.JSONEncoder(default=str)
_PROTOTYPE: Final = vars(logging.makeLogRecord({}))
_FIELDS: Final = "holdfast_fields"
_REQUEST: Final = "holdfast_request"
_STANDARD: Final = frozenset(_PROTOTYPE) | {"message", "asctime", "taskName", _REQUEST}
_GATHERED_SECONDS: Final = 0.01


def record(name: str, level: int, message: str, fields: dict[str, Any]) -> logging.LogRecord:
    """Makes the record that ``Logger.log`` would make of a message and its ``extra``.

    For lines that come with every call: finding out who logs, and formatting what has no
    arguments, costs a call more than all that its line says.
    """
    made = logging.LogRecord.__new__(logging.LogRecord)
    created = time.time()
    made.__dict__ = {
        **_PROTOTYPE,
        "name": name,
        "levelno": level,
        "levelname": logging.getLevelName(level),
        "msg": message,
        "created": created,
        "msecs": int(created % 1 * 1000) + 0.0,
        **fields,
        _FIELDS: fields,
    }
    return made


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, service, logger, message, request id, fields.

    Fields are what the call passed as ``extra``. Line breaks inside values are escaped, so
    no value can forge a line.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service
        self._second = -1
        self._to_the_second = ""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        line: dict[str, Any] = {
            "time": self._time(record.created),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        current = record.__dict__.get(_REQUEST)
        if current is None:
            current = request_id.get()
        if current:
            line["request"] = current
        fields: dict[str, Any] | None = record.__dict__.get(_FIELDS)
        if fields is None:
            fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        line |= fields
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _JSON.encode(line)

    def _time(self, created: float) -> str:
        # Most lines of a busy server are of the second of the line before.
        second, milliseconds = divmod(int(created * 1000), 1000)
        if second != self._second:
            self._to_the_second = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
            self._second = second
        return f"{self._to_the_second}.{milliseconds:03}+00:00"


class GatheringHandler(logging.StreamHandler[IO[str]]):
    """Writes the lines of some milliseconds at once, and a warning as soon as it comes.

    In the order in which they came. Whoever kills the process may miss the newest of them. Lines
    are formatted when they are written, one after the other: amid a call that takes twice as long.
    """

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._records: list[logging.LogRecord] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a record; ``handle`` holds the handler's lock."""
        try:
            # What may be another one, or have changed, by the time it is written.
            if record.args:
                record.msg, record.args = record.getMessage(), None
            record.__dict__[_REQUEST] = request_id.get()
            self._records.append(record)
            loop = _running_loop()
            if loop is None or record.levelno >= logging.WARNING:
                self.flush()
            elif loop is not self._loop:
                # Of another loop, which may have ended, nothing is waited for.
                self._loop = loop
                loop.call_later(_GATHERED_SECONDS, self._gathered)
        except Exception:  # noqa: BLE001  # as every handler: a log line fails no call
            self.handleError(record)

    def flush(self) -> None:
        """Writes what was gathered."""
        assert self.lock is not None  # handlers make one
        with self.lock:
            records, self._records = self._records, []
            if records:
                self.stream.write("".join(self._line(record) for record in records))
            super().flush()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return f"{self.format(record)}\n"
        except Exception:  # noqa: BLE001  # the others must not be lost with it
            self.handleError(record)
            return ""

    def _gathered(self) -> None:
        self._loop = None
        # Nobody is there to be told that the stream takes nothing; the next line will tell.
        with suppress(OSError, ValueError):
            self.flush()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def configure(service: str, level: str) -> None:
    """Sends every log of this process to stderr as JSON lines."""
    # What no line has need not be found out for each of them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = GatheringHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
