"""Turns a contract's message into the JSON that scripts may rely on.

Names stay the contract's (snake_case); every field is there, an absent message as null. Instants
are ISO 8601 with a Z, dates YYYY-MM-DD, wall times HH:MM, integers numbers, enum values their
names in lower case without prefix, lengths whole minutes in a field that says so
(``buffer_before`` becomes ``buffer_before_minutes``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from shared.client.cli.text import iso, minute_of_day
from shared.client.value import from_date, from_time_of_day, from_timestamp

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_SECONDS_PER_MINUTE: Final = 60
_NO_PREFIX: Final = frozenset({"google.type.DayOfWeek"})

_SCALARS: Final[Mapping[str, Callable[[Any], Json]]] = {
    "google.protobuf.Timestamp": lambda value: iso(from_timestamp(value)),
    "google.protobuf.Duration": lambda value: _minutes(value.seconds),
    "google.type.Date": lambda value: from_date(value).isoformat(),
    "google.type.TimeOfDay": lambda value: minute_of_day(from_time_of_day(value)),
}


def record(message: Message) -> dict[str, Json]:
    """Returns the message as a map, its fields in the contract's order."""
    fields: Any = message.DESCRIPTOR.fields  # the stubs name two classes for one thing
    return {
        _name(field): _value(message, field)
        for field in sorted(fields, key=lambda field: field.number)
    }


def enum_word(enum: EnumDescriptor, number: int) -> str:
    """Returns an enum's value as a word: RESOURCE_TYPE_ROOM of ResourceType is ``room``."""
    value = enum.values_by_number.get(number)
    if value is None:  # a newer service's
        return str(number)
    if enum.full_name in _NO_PREFIX:
        return value.name.lower()
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return value.name.removeprefix(prefix).lower()


def _name(field: FieldDescriptor) -> str:
    kind = field.message_type
    is_length = kind is not None and kind.full_name == "google.protobuf.Duration"
    return f"{field.name}_minutes" if is_length else field.name


def _value(message: Message, field: FieldDescriptor) -> Json:
    content = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {str(key): content[key] for key in sorted(content)}
    if field.is_repeated:
        return [_single(item, field) for item in content]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _single(content, field)


def _single(content: Any, field: FieldDescriptor) -> Json:
    if field.message_type is not None:
        scalar = _SCALARS.get(field.message_type.full_name)
        return scalar(content) if scalar else record(content)
    if field.enum_type is not None:
        return enum_word(field.enum_type, content)
    if isinstance(content, bytes):
        return content.hex()
    return content if isinstance(content, bool | int | float) else str(content)


def _minutes(seconds: int) -> int | float:
    """Whole minutes wherever the contracts promise them."""
    minutes, rest = divmod(seconds, _SECONDS_PER_MINUTE)
    return minutes if rest == 0 else seconds / _SECONDS_PER_MINUTE
