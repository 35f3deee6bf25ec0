"""Options that set the fields of a message, for create and update alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from shared.client.value import to_duration

_Command = TypeVar("_Command", bound=Callable[..., Any])
Write = Callable[[Any, Any], None]


@dataclass(frozen=True)
class Field:
    """One option and what it sets."""

    declaration: tuple[str, ...]  # click's: ("--buffer-before",) or ("--type", "kind")
    paths: tuple[str, ...]  # the fields it decides, as an update mask names them
    write: Write
    settings: Mapping[str, Any] = field(default_factory=dict)  # click's
    is_clearable: bool = False  # whether --clear may name it

    @property
    def parameter(self) -> str:
        """The name by which click hands the value over."""
        named = [name for name in self.declaration if not name.startswith("-")]
        return named[0] if named else self.declaration[0].split("/")[0][2:].replace("-", "_")

    @property
    def word(self) -> str:
        """What --clear calls it."""
        return self.declaration[0].split("/")[0][2:]


def fields_options(
    fields: Sequence[Field], *, required: Sequence[str] = (), can_clear: bool = False
) -> Callable[[_Command], _Command]:
    """Adds an option for each field; the command gets them as keywords.

    Args:
        fields: The fields.
        required: Parameters without which the command does not run.
        can_clear: Adds --clear, for an update.
    """

    def decorate(command: _Command) -> _Command:
        if can_clear:
            words = [each.word for each in fields if each.is_clearable]
            command = click.option(
                "--clear", multiple=True, type=click.Choice(words), metavar="FIELD",
                help=f"Empty a field: {', '.join(words)}.",
            )(command)  # fmt: skip
        for each in reversed(fields):
            # An explicit default would count as given, and nothing would be required any more.
            more = {"required": True} if each.parameter in required else {"default": None}
            command = click.option(*each.declaration, **{**each.settings, **more})(command)
        return command

    return decorate


def fill(message: Message, fields: Sequence[Field], given: Mapping[str, Any]) -> FieldMask:
    """Sets the fields whose options were given, and returns which.

    Raises:
        click.UsageError: A field is both set and cleared.
    """
    cleared = set(given.get("clear", ()))
    paths: list[str] = []
    for each in fields:
        value = given.get(each.parameter)
        is_given = value is not None and value != ()
        if is_given and each.word in cleared:
            raise click.UsageError(f"--{each.word} and --clear {each.word} exclude each other")
        if is_given:
            each.write(message, value)
        if is_given or each.word in cleared:
            paths += [path for path in each.paths if path not in paths]
    return FieldMask(paths=paths)


def plain(path: str) -> Write:
    """Sets a string or a flag."""

    def write(message: Any, value: Any) -> None:
        setattr(message, path, value)

    return write


def zone_name(path: str) -> Write:
    """Sets the name of a zone."""

    def write(message: Any, value: ZoneInfo) -> None:
        setattr(message, path, value.key)

    return write


def length(path: str) -> Write:
    """Sets a duration."""

    def write(message: Any, value: timedelta) -> None:
        getattr(message, path).CopyFrom(to_duration(value))

    return write


def many(path: str) -> Write:
    """Sets a list of strings."""

    def write(message: Any, values: Sequence[str]) -> None:
        getattr(message, path).extend(values)

    return write


def choice(path: str, values: Mapping[str, int]) -> tuple[Write, click.Choice[str]]:
    """Sets an enum by one of its words; returns the option's type too."""

    def write(message: Any, word: str) -> None:
        setattr(message, path, values[word])

    return write, click.Choice(list(values))


def require_changes(mask: FieldMask) -> None:
    """Refuses an update of nothing.

    Raises:
        click.UsageError: No field was given.
    """
    if not mask.paths:
        raise click.UsageError("nothing to change: name a field, such as --name")
