"""Hostile requests for any method: messages of one class, and bytes that are not even that."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

ORGANIZATION: Final = "org-fuzz"

# Few and fixed: requests meet each other's rows, and reach what lies behind a first check.
IDENTIFIERS: Final = ("studio-a", "studio-b", "one-hour", "business-hours", "A.b_c-9")

MessageT = TypeVar("MessageT", bound=Message)

_DEPTH: Final = 6
_MANY: Final = (65, 97, 1_001)
_BIG_INTEGERS: Final = (-(2**63), 2**63 - 1, -(2**31), 2**31 - 1)
_TEXTS: Final = (
    "",
    " ",
    "\0",
    "studio\0a",
    "Studio\r\nBcc: everyone@example.com",
    "<script>alert(1)</script>",
    "'; DROP TABLE resources; --",
    "%_%\\",
    "{0}{name}%s",
    "../../etc/passwd",
    "-leading",
    "trailing ",
    "a" * 128,
    "a" * 129,
    "ä" * 4_001,
    "x" * 10_000,
    "\U0001f3b9" * 200,
    "\u202egnp.exe",
    "\u2028\u0085\x7f",
    "\ufeff\ufffe",
    "e\u0301" * 50,
    "null",
    "00000000-0000-0000-0000-000000000000",
    "0190b5c4-7d2e-7cc3-98c4-dc0c0c07398",
    "AAAA",
    "eyJhIjoxfQ==",
    "!" * 5_000,
    "Europe/Nowhere",
    "Europe/Berlin\n",
    "europe/berlin",
    "*",
    "etag",
    "resource.name",
)
_PLAUSIBLE_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "booker_id": ("ann", "Ann Smith"),
    "email": ("", "ann@example.com"),
    "etag": ("", "1"),
    "hold_id": ("", "second"),
    "organization_id": (ORGANIZATION,),
    "page_token": ("",),
    "session": ("0123456789abcdefghijKLMNOP",),
    "slug": ("", "one-hour", "five-hours"),
    "text": ("", "studio"),
    "time_zone": ("Europe/Berlin", "Pacific/Chatham", "UTC"),
    "time_zone_lock": ("", "America/New_York"),
}


def hostile_messages(
    request_class: type[MessageT], seed: int, count: int, *, examples: Sequence[MessageT] = ()
) -> Iterator[MessageT]:
    """Yields ``count`` requests, from almost right to all wrong; the same for the same seed.

    Text is always valid UTF-8: a message can hold no other. ``hostile_bytes`` sends that.

    Args:
        request_class: Of what.
        seed: For other requests, another one.
        count: How many.
        examples: Requests that succeed. Where there are some, two of three requests are one of
            them with up to three fields spoilt: what random fields rarely reach.
    """
    name = request_class.DESCRIPTOR.full_name
    for number in range(count):
        source = random.Random(f"{name}:{seed}:{number}")
        message = request_class()
        if examples and number % 3:
            message.CopyFrom(source.choice(examples))
            _Writer(source, hostility=source.choice((0.0, 0.5, 1.0))).spoil(message)
        else:
            _Writer(source, hostility=source.choice((0.0, 0.05, 0.2, 0.5, 1.0))).fill(message, 0)
        yield message


def hostile_bytes(request_class: type[Message], seed: int, count: int) -> Iterator[bytes]:
    """Yields ``count`` wire payloads: requests cut off, corrupted, or never a message at all."""
    for number, message in enumerate(hostile_messages(request_class, seed, count)):
        source = random.Random(f"bytes:{seed}:{number}")
        yield source.choice(_CORRUPTIONS)(source, message.SerializeToString())


class _Writer:
    """Fills messages field by field, each field hostile with one probability."""

    def __init__(self, source: random.Random, *, hostility: float) -> None:
        self._source = source
        self._hostility = hostility

    def fill(self, message: Message, depth: int) -> None:
        well_known = _WELL_KNOWN.get(message.DESCRIPTOR.full_name)
        if well_known is not None:
            well_known(self, message)
            return
        for field in message.DESCRIPTOR.fields:
            if self._source.random() > 0.05 + self._hostility / 4:
                self._fill_field(message, field, depth)

    def spoil(self, message: Any) -> None:
        """Changes up to three fields, wherever they are, and renews the request_id."""
        if "request_id" in message.DESCRIPTOR.fields_by_name:
            message.request_id = str(uuid.UUID(int=self._source.getrandbits(128)))
        for _ in range(self.between(0, 3)):
            parent, field = self._source.choice(list(_fields_within(message)))
            parent.ClearField(field.name)
            if self._source.random() < 0.8:
                self._fill_field(parent, field, 1)

    def is_hostile(self) -> bool:
        return self._source.random() < self._hostility

    def pick(self, *choices: Any) -> Any:
        return self._source.choice(choices)

    def between(self, low: int, high: int) -> int:
        return self._source.randint(low, high)

    def _fill_field(self, message: Message, field: Any, depth: int) -> None:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            self._fill_map(message, field)
        elif field.is_repeated:
            self._fill_list(message, field, depth)
        elif field.message_type is not None:
            self._fill_child(message, field, depth)
        else:
            setattr(message, field.name, self._scalar(field))

    def _fill_child(self, message: Message, field: Any, depth: int) -> None:
        if depth >= _DEPTH:
            return
        child = getattr(message, field.name)
        child.SetInParent()
        if child.DESCRIPTOR.full_name == "google.protobuf.FieldMask":
            self._fill_mask(child, message.DESCRIPTOR)
        else:
            self.fill(child, depth + 1)

    def _fill_list(self, message: Message, field: Any, depth: int) -> None:
        entries = getattr(message, field.name)
        # A level down a long list would be multiplied by the one above it.
        is_long = self.is_hostile() and depth <= 1 and self._source.random() < 0.3
        length = self.pick(*_MANY) if is_long else self.between(0, 3)
        for _ in range(length):
            if field.message_type is None:
                entries.append(self._scalar(field))
            elif depth < _DEPTH:
                self.fill(entries.add(), depth + 1)
        if length and self.is_hostile():
            entries.extend(list(entries[:1]))

    def _fill_map(self, message: Message, field: Any) -> None:
        entries = getattr(message, field.name)
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        for _ in range(self.pick(70, 0) if self.is_hostile() else self.between(0, 2)):
            if value.message_type is None:
                entries[self._scalar(key)] = self._scalar(value)

    def _fill_mask(self, mask: Message, parent: Any) -> None:
        paths: Any = mask
        known = [
            path.name
            for field in parent.fields
            if field.message_type is not None and not field.is_repeated
            for path in field.message_type.fields
        ]
        for _ in range(self.between(0, 4)):
            paths.paths.append(
                self.pick(*_TEXTS) if self.is_hostile() or not known else self.pick(*known, "*")
            )

    def _scalar(self, field: Any) -> Any:
        if field.enum_type is not None:
            return self._number_of(field.enum_type)
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._text(field.name)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self._source.randbytes(self.pick(0, 1, 16, 1_000))
        if field.type == FieldDescriptor.TYPE_BOOL:
            return self.pick(True, False)
        return self._integer(field)

    def _number_of(self, enum: Any) -> int:
        if self.is_hostile():
            return int(self.pick(0, 99, -1, 2**31 - 1, -(2**31)))
        return int(self.pick(*(value.number for value in enum.values)))

    def _integer(self, field: Any) -> int:
        if not self.is_hostile():
            return self.between(0, 5)
        signed = field.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64)
        low, high = (-(2**31), 2**31 - 1) if signed else (0, 2**31 - 1)
        wanted: int = self.pick(-1, 0, 95, 96, 1_000, 1_001, low, high)
        return max(low, min(high, wanted))

    def _text(self, name: str) -> str:
        if self.is_hostile():
            return str(self.pick(*_TEXTS))
        if name == "request_id":
            return str(uuid.UUID(int=self._source.getrandbits(128)))
        if name in _PLAUSIBLE_TEXTS:
            return str(self.pick(*_PLAUSIBLE_TEXTS[name]))
        if name.endswith(("_id", "_ids")):
            return str(self.pick(*IDENTIFIERS))
        return str(self.pick("Studio A", "Großer Saal", "One hour"))


def _fields_within(message: Message) -> Iterator[tuple[Message, Any]]:
    """Yields every field of the message and of the messages set in it."""
    for field in message.DESCRIPTOR.fields:
        yield message, field
    for field, value in message.ListFields():
        known: Any = field
        if known.message_type is None or known.message_type.GetOptions().map_entry:
            continue
        for child in value if known.is_repeated else [value]:
            yield from _fields_within(child)


def _fill_timestamp(writer: _Writer, stamp: Any) -> None:
    if not writer.is_hostile():
        stamp.seconds = 1_804_000_500 + 900 * writer.between(0, 3_000)  # March 2027 and on
        return
    first, last = -62_135_596_800, 253_402_300_799
    # Far ahead, where a float cannot tell a microsecond.
    far = 32_503_712_400
    stamp.seconds = writer.pick(0, -1, 1, far, first, first - 1, last, last + 1, *_BIG_INTEGERS)
    stamp.nanos = writer.pick(0, 0, 1, 1_000, -1, 999_999_999, 1_000_000_000, 2**31 - 1, -(2**31))


def _fill_duration(writer: _Writer, length: Any) -> None:
    if not writer.is_hostile():
        length.seconds = 60 * writer.pick(15, 30, 60, 120, 300, 1_440)
        return
    length.seconds = writer.pick(0, -1, 1, 59, -60, 2_678_401, 315_576_000_001, *_BIG_INTEGERS)
    length.nanos = writer.pick(0, 0, 1, -1, 500_000_000, 1_000_000_000, 2**31 - 1, -(2**31))


def _fill_date(writer: _Writer, date: Any) -> None:
    if not writer.is_hostile():
        date.year, date.month, date.day = 2027, writer.between(3, 4), writer.between(1, 30)
        return
    date.year = writer.pick(0, 1, 1969, 1970, 2027, 2028, 9998, 9999, 10_000, -1, 2**31 - 1)
    date.month = writer.pick(0, 1, 2, 12, 13, -1, -(2**31))
    date.day = writer.pick(0, 1, 2, 29, 30, 31, 32, -1, 2**31 - 1)


def _fill_time_of_day(writer: _Writer, time: Any) -> None:
    if not writer.is_hostile():
        time.hours, time.minutes = writer.between(0, 24), writer.pick(0, 0, 15, 30, 45)
        return
    time.hours = writer.pick(0, 23, 24, 25, -1, 2**31 - 1)
    time.minutes = writer.pick(0, 1, 59, 60, -1, -(2**31))
    time.seconds = writer.pick(0, 0, 1, 60, -1)
    time.nanos = writer.pick(0, 0, 1, -1, 999_999_999)


_WELL_KNOWN: Final[Mapping[str, Callable[[_Writer, Any], None]]] = {
    "google.protobuf.Timestamp": _fill_timestamp,
    "google.protobuf.Duration": _fill_duration,
    "google.type.Date": _fill_date,
    "google.type.TimeOfDay": _fill_time_of_day,
}


def _cut_off(source: random.Random, payload: bytes) -> bytes:
    return payload[: source.randrange(len(payload))] if payload else b"\x0a"


def _corrupted(source: random.Random, payload: bytes) -> bytes:
    changed = bytearray(payload or b"\0")
    for _ in range(source.randint(1, 8)):
        changed[source.randrange(len(changed))] = source.randrange(256)
    return bytes(changed)


def _with_lone_surrogate(source: random.Random, payload: bytes) -> bytes:
    # Field 1 or 2 of every request is a string; the last value sent is the one that counts.
    return payload + source.choice((b"\x0a", b"\x12")) + b"\x03\xed\xa0\x80"


def _with_unknown_fields(source: random.Random, payload: bytes) -> bytes:
    return payload + b"\xfa\xff\x03\x04" + source.randbytes(4)


def _nonsense(source: random.Random, _payload: bytes) -> bytes:
    return source.randbytes(source.choice((1, 16, 5_000)))


_CORRUPTIONS: Final = (
    _cut_off,
    _corrupted,
    _with_lone_surrogate,
    _with_unknown_fields,
    _nonsense,
)
