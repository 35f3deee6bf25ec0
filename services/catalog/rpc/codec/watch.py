"""Entries of a catalog as a watch tells them: encoded once, for all who watch it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final, NamedTuple

from holdfast.catalog.v1 import watch_pb2 as pb
from services.catalog.domain.entry import Entry, EntryName
from services.catalog.domain.failure import Kind
from services.catalog.rpc.codec import event_type, resource, schedule, time
from services.catalog.rpc.codec.check import CatalogCheck
from shared.runtime.resume import Position, ResumeTokens
from shared.runtime.wire import bytes_field

_Response = pb.WatchCatalogResponse
_FIELDS: Final = {
    Kind.RESOURCE: _Response.RESOURCES_FIELD_NUMBER,
    Kind.EVENT_TYPE: _Response.EVENT_TYPES_FIELD_NUMBER,
    Kind.SCHEDULE: _Response.SCHEDULES_FIELD_NUMBER,
    Kind.DATE_OVERRIDE: _Response.DATE_OVERRIDES_FIELD_NUMBER,
    Kind.LINK: _Response.LINKS_FIELD_NUMBER,
}
_REMOVED: Final = _Response.REMOVED_FIELD_NUMBER


class CatalogWatch(NamedTuple):
    """What WatchCatalog asks for."""

    organization_id: str
    tokens: ResumeTokens
    resumed: Position | None


def watch(request: pb.WatchCatalogRequest) -> CatalogWatch:
    """Decodes WatchCatalog.

    Raises:
        InvalidFields: The organization is malformed.
        InvalidResumeToken: The token is not one that a watch of the organization gave.
    """
    check = CatalogCheck()
    check.header(request)
    check.done()
    tokens = ResumeTokens(request, scopes=1)
    token = request.resume_token
    return CatalogWatch(request.organization_id, tokens, tokens.decode(token)[0] if token else None)


def encode(organization_id: str, name: EntryName, entry: Entry) -> bytes:
    """Writes an entry as the field of a message that has it."""
    message = _message(organization_id, name, entry)
    return bytes_field(_FIELDS[name.kind], message.SerializeToString())


def encode_removed(names: Iterable[EntryName]) -> bytes:
    """Writes what is gone as the field of a message that says so."""
    removed = pb.CatalogRemovals()
    for name in names:
        match name.kind:
            case Kind.RESOURCE:
                removed.resource_ids.append(name.key)
            case Kind.EVENT_TYPE:
                removed.event_type_ids.append(name.key)
            case Kind.SCHEDULE:
                removed.schedule_ids.append(name.key)
            case Kind.DATE_OVERRIDE:
                day = time.civil_date(date.fromisoformat(name.second))
                removed.dates.add(schedule_id=name.key, date=day)
            case Kind.LINK:
                removed.links.add(event_type_id=name.key, resource_id=name.second)
    return bytes_field(_REMOVED, removed.SerializeToString())


def _message(organization_id: str, name: EntryName, entry: Any) -> Any:
    match name.kind:
        case Kind.RESOURCE:
            return resource.encode(organization_id, entry)
        case Kind.EVENT_TYPE:
            return event_type.encode(organization_id, entry)
        case Kind.SCHEDULE:
            return schedule.encode(organization_id, entry)
        case Kind.DATE_OVERRIDE:
            override = schedule.encode_override(entry)
            return pb.ScheduleDateOverride(schedule_id=name.key, date_override=override)
        case Kind.LINK:
            return pb.CatalogLink(event_type_id=name.key, resource_id=name.second)
