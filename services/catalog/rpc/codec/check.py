"""Checks of requests that the catalog's calls have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from shared.runtime.check import FieldCheck
from shared.runtime.failure import Violation

MessageT = TypeVar("MessageT", bound=Message)


_ALL = "*"
_MAX_PATHS = 100
_MAX_SHOWN = 64


class CatalogCheck(FieldCheck):
    """Knows which fields failed, so that rules are not asked about placeholders."""

    def __init__(self) -> None:
        super().__init__()
        self._failed: list[str] = []

    def fail(self, field: str, description: str) -> None:
        """Records that ``field`` is wrong."""
        self._failed.append(field)
        super().fail(field, description)

    def rules(self, violations: Iterable[Violation]) -> None:
        """Records what the domain finds wrong, but for fields that failed already."""
        for field, description in violations:
            known = any(field.startswith(one) or one.startswith(field) for one in self._failed)
            if not known:
                self.fail(field, description)

    def is_clean(self, field: str) -> bool:
        """Says whether nothing failed at or within ``field``."""
        return not any(one.startswith(field) for one in self._failed)

    def header(self, request: Any) -> None:
        """Checks the organization, and the request_id of a call that has one."""
        self.identifier("organization_id", request.organization_id)
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            self.request_id(request.request_id)

    def etag(self, field: str, value: str) -> str:
        """Any short text, or nothing."""
        return self.text(field, value, maximum=128)


Field = Callable[[CatalogCheck, MessageT, str], Any]
"""Decodes one field of a message, given the path to name it by."""


def all_fields(
    check: CatalogCheck, message: MessageT, path: str, fields: Mapping[str, Field[MessageT]]
) -> dict[str, Any]:
    """Decodes every field that callers set."""
    return {name: field(check, message, f"{path}.{name}") for name, field in fields.items()}


def masked_fields(
    check: CatalogCheck,
    message: MessageT,
    path: str,
    mask: FieldMask,
    fields: Mapping[str, Field[MessageT]],
) -> dict[str, Any]:
    """Decodes the fields that an update_mask names; the others may hold anything."""
    named = _named(check, message, mask, fields)
    return all_fields(
        check, message, path, {name: fields[name] for name in fields if name in named}
    )


def _named(
    check: CatalogCheck, message: Message, mask: FieldMask, changeable: Iterable[str]
) -> set[str]:
    found: set[str] = set()
    if not 1 <= len(mask.paths) <= _MAX_PATHS:
        check.fail("update_mask", f"must name 1 to {_MAX_PATHS} fields")
        return found
    for name in mask.paths:
        if name == _ALL:
            found.update(changeable)
        elif name in changeable:
            found.add(name)
        elif name in message.DESCRIPTOR.fields_by_name:
            check.fail("update_mask", f"{name} cannot be changed")
        else:
            check.fail("update_mask", f"{_shown(name)} is not a field")
    return found


def required(check: CatalogCheck, request: Message, field: str) -> None:
    """Checks that a message is there; its own fields are judged as if it were empty."""
    if not request.HasField(field):
        check.fail(field, "is required")


def _shown(name: str) -> str:
    is_plain = name.isascii() and name.isprintable() and 0 < len(name) <= _MAX_SHOWN
    return name if is_plain else "an entry"
