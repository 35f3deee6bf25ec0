"""A raw HTTP/2 client for gRPC calls: a fraction of the cost of a server, whatever the bodies.

Speaks to gRPC servers on loopback and to nothing else. Whatever is not a complete answer with
grpc-status 0 ends its call as a failure that says why.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, cast

from tests.load import hpack

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS = 0x0, 0x1, 0x3, 0x4
_PUSH_PROMISE, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 0x5, 0x6, 0x7, 0x8, 0x9
_END_STREAM, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x4, 0x8, 0x20
_ACK: Final = 0x1
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW_SIZE = 0x1, 0x2, 0x4
_FRAME_BYTES: Final = 9
_PREFIX_BYTES: Final = 5  # of a gRPC message: not compressed, length
_MOST_WINDOW: Final = 2**31 - 1
_FIRST_WINDOW: Final = 65_535
_TOP_UP: Final = 2**30
# Kind and flags of a message's frame.
_GOES_ON, _LAST = b"\0\0", b"\0\x01"
_OK: Final = "0"
_CONNECT_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 330.0
CALL_SECONDS: Final = 20

_number = struct.Struct(">I").pack
_read_number = struct.Struct(">I").unpack_from


class CallFailed(Exception):
    """A call did not end with a complete answer and grpc-status 0."""


class Answer(NamedTuple):
    """How a call ended: the body of a unary answer, or why there is none."""

    body: bytes
    failure: str = ""


class Method:
    """A gRPC method, and the headers with which it is called.

    Args:
        path: As "/package.Service/Method".
        seconds: The deadline that callers name; 0 for none.
    """

    def __init__(self, path: str, *, seconds: int = CALL_SECONDS) -> None:
        self.path = path
        deadline = [("grpc-timeout", f"{seconds}S")] if seconds else []
        self.headers: tuple[hpack.Header, ...] = (
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "holdfast-bench"),
            ("grpc-accept-encoding", "identity, deflate, gzip"),
            *deadline,
        )


def framed(message: bytes) -> bytes:
    """A message as gRPC sends it, ready for any number of calls."""
    return b"\0" + _number(len(message)) + message


class _Call:
    __slots__ = ("buffer", "has_headers", "on_end", "on_message")

    def __init__(
        self, on_end: Callable[[Answer], None], on_message: Callable[[bytes], None] | None
    ) -> None:
        self.on_end = on_end
        self.on_message = on_message
        self.buffer = b""
        self.has_headers = False


class Connection(asyncio.Protocol):
    """One connection with any number of calls; belongs to one event loop."""

    def __init__(self, authority: str) -> None:
        self._authority = authority
        self._encoder = hpack.Encoder()
        self._blocks: dict[Method, tuple[int, bytes]] = {}
        self._meanings: dict[bytes, dict[str, str]] = {}
        self._calls: dict[int, _Call] = {}
        self._next_id = 1
        self._send_window = _FIRST_WINDOW
        self._waiting: deque[tuple[int, bytes, bytes]] = deque()
        self._received = 0
        self._unread = b""
        self._out: list[bytes] = []
        self._is_reading = False
        self._end = ""
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return not self._end

    def start(
        self,
        method: Method,
        message: bytes,
        on_end: Callable[[Answer], None],
        on_message: Callable[[bytes], None] | None = None,
        *,
        goes_on: bool = False,
    ) -> int:
        """Starts a call; returns its stream, to cancel it.

        Args:
            method: What to call.
            message: The request, as ``framed`` makes it.
            on_end: Told once how it ended.
            on_message: Of a stream: told of each message. The answer of a unary call comes
                with its end.
            goes_on: Whether ``say`` sends more messages.
        """
        if self._end:
            asyncio.get_running_loop().call_soon(on_end, Answer(b"", self._end))
            return 0
        stream = self._next_id
        self._next_id += 2
        self._calls[stream] = _Call(on_end, on_message)
        block = self._block(method)
        length = len(block)
        self._out += (
            length.to_bytes(3, "big"), b"\x01\x04", _number(stream), block,
        )  # fmt: skip
        self._send(stream, message, _GOES_ON if goes_on else _LAST)
        if not self._is_reading:
            self._flush()
        return stream

    def say(self, stream: int, message: bytes) -> None:
        """Sends one more message, as ``framed`` makes it, of a call that goes on."""
        if stream in self._calls:
            self._send(stream, message, _GOES_ON)
            if not self._is_reading:
                self._flush()

    async def unary(self, method: Method, message: bytes) -> bytes:
        """Calls, and returns the answer.

        Raises:
            CallFailed: There is none.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def ended(answer: Answer) -> None:
            if not future.done():
                future.set_result(answer)

        self.start(method, framed(message), ended)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                body, failure = await future
        except TimeoutError:
            raise CallFailed(f"{method.path}: neither answered nor refused") from None
        if failure:
            raise CallFailed(f"{method.path}: {failure}")
        return body

    def cancel(self, stream: int) -> None:
        """Ends a call from this side; it is told nothing more."""
        if self._calls.pop(stream, None) is not None and not self._end:
            self._out.append(b"\0\0\x04\x03\0" + _number(stream) + _number(0x8))
            self._flush()

    def close(self) -> None:
        """Ends the connection, and every call on it."""
        self._fail("the connection was closed here")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says which settings we have: no table, room for any answer."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass
        settings = b"".join(
            struct.pack(">HI", name, value)
            for name, value in (
                (_HEADER_TABLE_SIZE, 0),
                (_ENABLE_PUSH, 0),
                (_INITIAL_WINDOW_SIZE, _MOST_WINDOW),
            )
        )
        self._out += (
            _PREFACE,
            _frame(_SETTINGS, 0, 0, settings),
            _frame(_WINDOW_UPDATE, 0, 0, _number(_MOST_WINDOW - _FIRST_WINDOW)),
        )
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fails every call that is not over."""
        self._fail(f"the connection was lost{f': {exc}' if exc else ''}")

    def data_received(self, data: bytes) -> None:
        """Reads whole frames; what is left of one waits for its rest."""
        unread = self._unread + data if self._unread else data
        at, end = 0, len(unread)
        self._is_reading = True
        try:
            while end - at >= _FRAME_BYTES:
                stop = at + _FRAME_BYTES + (unread[at] << 16 | unread[at + 1] << 8 | unread[at + 2])
                if stop > end:
                    break
                stream = _read_number(unread, at + 5)[0] & _MOST_WINDOW
                kind, flags = unread[at + 3], unread[at + 4]
                self._frame(kind, flags, stream, unread[at + _FRAME_BYTES : stop])
                at = stop
        except hpack.Malformed as error:
            self._fail(str(error))
        finally:
            self._is_reading = False
        self._unread = unread[at:] if at < end else b""
        if self._received >= _TOP_UP:
            self._out.append(_frame(_WINDOW_UPDATE, 0, 0, _number(self._received)))
            self._received = 0
        self._flush()

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._data(flags, stream, payload)
        elif kind == _HEADERS:
            self._headers(flags, stream, payload)
        elif kind == _RST_STREAM:
            if (call := self._calls.get(stream)) is not None:
                self._finish(stream, call, f"reset by the server (code {_read_number(payload)[0]})")
        else:
            self._frame_of_connection(kind, flags, stream, payload)

    def _frame_of_connection(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _WINDOW_UPDATE:
            if stream == 0:
                self._send_window += _read_number(payload)[0]
                self._send_waiting()
        elif kind == _PING:
            if not flags & _ACK:
                self._out.append(_frame(_PING, _ACK, 0, payload))
        elif kind == _SETTINGS:
            self._settings(flags, payload)
        elif kind == _GOAWAY:
            text = payload[8:].decode("utf-8", "replace")
            self._fail(f"the server ended the connection ({text or 'no reason given'})")
        elif kind in {_CONTINUATION, _PUSH_PROMISE}:
            self._fail("the server sent a frame that this client does not read")

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        self._received += len(payload)
        call = self._calls.get(stream)
        if call is None:
            return
        if flags & _PADDED or not call.has_headers:
            self._finish(stream, call, "data that cannot be understood")
            return
        call.buffer = call.buffer + payload if call.buffer else payload
        if call.on_message is not None:
            self._tell_messages(stream, call)
        if flags & _END_STREAM and stream in self._calls:
            self._finish(stream, call, "the stream ended without a status")

    def _headers(self, flags: int, stream: int, payload: bytes) -> None:
        meaning = self._meanings.get(payload)
        if meaning is None:
            if flags & (_PADDED | _PRIORITY) or not flags & _END_HEADERS:
                raise hpack.Malformed("a block of headers in a form that this client does not read")
            meaning = dict(hpack.decode(payload))
            if len(self._meanings) < 1_000:
                self._meanings[payload] = meaning
        call = self._calls.get(stream)
        if call is None:
            return
        status = meaning.get(":status", "200")
        if status != "200":
            self._finish(stream, call, f"HTTP status {status}")
        elif not flags & _END_STREAM:
            call.has_headers = True
        elif (code := meaning.get("grpc-status")) is None:
            self._finish(stream, call, "the stream ended without a status")
        elif code != _OK:
            text = meaning.get("grpc-message", "")
            self._finish(stream, call, f"grpc-status {code}{f': {text}' if text else ''}")
        else:
            self._finish(stream, call, "")

    def _finish(self, stream: int, call: _Call, failure: str) -> None:
        del self._calls[stream]
        body = call.buffer
        if failure:
            call.on_end(Answer(b"", failure))
        elif call.on_message is not None:
            call.on_end(Answer(b"", "" if not body else "the stream ended amid a message"))
        elif (
            len(body) < _PREFIX_BYTES
            or body[0] != 0
            or _read_number(body, 1)[0] != len(body) - _PREFIX_BYTES
        ):
            call.on_end(Answer(b"", "the answer is not one whole message"))
        else:
            call.on_end(Answer(body[_PREFIX_BYTES:]))

    def _tell_messages(self, stream: int, call: _Call) -> None:
        buffer = call.buffer
        at = 0
        while len(buffer) - at >= _PREFIX_BYTES:
            stop = at + _PREFIX_BYTES + _read_number(buffer, at + 1)[0]
            if stop > len(buffer):
                break
            if buffer[at] != 0:
                self._finish(stream, call, "a compressed message, which nobody asked for")
                return
            assert call.on_message is not None
            call.on_message(buffer[at + _PREFIX_BYTES : stop])
            at = stop
        call.buffer = buffer[at:]

    def _settings(self, flags: int, payload: bytes) -> None:
        if flags & _ACK:
            return
        for name, value in struct.iter_unpack(">HI", payload):
            if name == _INITIAL_WINDOW_SIZE and value < _FIRST_WINDOW:
                self._fail("the server allows fewer bytes a request than this client reckons with")
        self._out.append(_frame(_SETTINGS, _ACK, 0, b""))

    def _block(self, method: Method) -> bytes:
        known = self._blocks.get(method)
        if known is not None and known[0] == self._encoder.version:
            return known[1]
        headers = (
            (":method", "POST"), (":scheme", "http"), (":path", method.path),
            (":authority", self._authority), *method.headers,
        )  # fmt: skip
        before = self._encoder.version
        block = self._encoder.encode(headers)
        if self._encoder.version == before:
            self._blocks[method] = before, block
        return block

    def _send(self, stream: int, message: bytes, kind: bytes) -> None:
        if self._waiting or len(message) > self._send_window:
            self._waiting.append((stream, message, kind))
            return
        self._send_window -= len(message)
        self._out += (
            len(message).to_bytes(3, "big"), kind, _number(stream), message,
        )  # fmt: skip

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for stream, message, kind in waiting:
            self._send(stream, message, kind)

    def _flush(self) -> None:
        if self._out and self._transport is not None:
            out, self._out = self._out, []
            if not self._transport.is_closing():
                self._transport.write(b"".join(out))

    def _fail(self, why: str) -> None:
        if self._end:
            return
        self._end = why
        if self._transport is not None:
            self._transport.abort()
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.on_end(Answer(b"", why))


async def connect(target: str) -> Connection:
    """Connects to ``host:port``.

    Raises:
        OSError: Nobody listens there.
    """
    host, _, port = target.rpartition(":")
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_CONNECT_SECONDS):
        _, connection = await loop.create_connection(
            lambda: Connection(target), host.strip("[]"), int(port)
        )
    return connection


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + _number(stream) + payload
