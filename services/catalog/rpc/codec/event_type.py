"""Event types on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from holdfast.catalog.v1 import event_type_pb2 as pb
from services.catalog.app.port import EventTypeFilter, Page
from services.catalog.domain import event_type as domain
from services.catalog.domain.event_type import (
    DAY,
    LONGEST_BOOKING,
    MAX_DURATION_OPTIONS,
    MAX_LOCATIONS,
    MINUTE,
    QUARTER_HOUR,
    ClosedHoursPolicy,
    EventType,
    FlexibleDuration,
)
from services.catalog.domain.record import Record
from services.catalog.domain.zone import zone_violations
from services.catalog.rpc.codec import time
from services.catalog.rpc.codec.check import (
    CatalogCheck,
    Field,
    all_fields,
    required,
)
from services.catalog.rpc.codec.page import page_of
from services.catalog.rpc.codec.row import Update, deletion_of, key_of, update_of

_ZERO: Final = timedelta()
_POLICY_NUMBERS: Final = {
    policy: pb.ClosedHoursPolicy.Value(f"CLOSED_HOURS_POLICY_{policy.name}")
    for policy in ClosedHoursPolicy
}
_POLICIES: Final[Mapping[int, ClosedHoursPolicy]] = {
    number: policy for policy, number in _POLICY_NUMBERS.items()
}


def create(request: pb.CreateEventTypeRequest) -> EventType:
    """Decodes what to create; its slug may be empty.

    Raises:
        InvalidFields: Something is missing, malformed or out of range.
    """
    check = CatalogCheck()
    check.header(request)
    required(check, request, "event_type")
    message = request.event_type
    path = "event_type"
    key = check.optional_identifier(f"{path}.event_type_id", message.event_type_id)
    chosen = dict(_FIELDS) if message.slug else _without_slug()
    fields = {"slug": ""} | all_fields(check, message, path, chosen)
    event_type = EventType(event_type_id=key, **fields)
    check.rules(domain.contradictions(path, event_type))
    check.done()
    return event_type


def key(request: pb.GetEventTypeRequest | pb.UndeleteEventTypeRequest) -> str:
    """Decodes which event type is meant.

    Raises:
        InvalidFields: As ``create``.
    """
    return key_of(request, "event_type")


def slug(request: pb.GetEventTypeBySlugRequest) -> str:
    """Decodes which event type is meant.

    Raises:
        InvalidFields: As ``create``.
    """
    check = CatalogCheck()
    check.header(request)
    check.rules(domain.slug_violations("slug", request.slug))
    check.done()
    return request.slug


def page(request: pb.ListEventTypesRequest) -> tuple[EventTypeFilter, Page]:
    """Decodes a list.

    Raises:
        InvalidFields: As ``create``.
        InvalidPageToken: The token is none of this list's.
    """
    check = CatalogCheck()
    check.header(request)
    wanted = EventTypeFilter(
        active=request.active if request.HasField("active") else None,
        text=check.text("text", request.text, maximum=200),
        show_deleted=request.show_deleted,
    )
    return wanted, page_of(check, request)


def update(request: pb.UpdateEventTypeRequest) -> Update:
    """Decodes a change.

    Raises:
        InvalidFields: As ``create``; also for a mask that names nothing, or what is fixed.
    """
    return update_of(request, "event_type", _FIELDS)


def delete(request: pb.DeleteEventTypeRequest) -> tuple[str, str]:
    """Decodes which event type is meant, and as of which etag.

    Raises:
        InvalidFields: As ``create``.
    """
    return deletion_of(request, "event_type")


def encode(organization_id: str, record: Record[EventType]) -> pb.EventType:
    """Writes an event type."""
    event_type = record.value
    return pb.EventType(
        event_type_id=event_type.event_type_id,
        slug=event_type.slug,
        title=event_type.title,
        description=event_type.description,
        duration_options=filter(None, map(time.length, event_type.duration_options)),
        flexible_duration=_encode_flexible(event_type.flexible_duration),
        slot_interval=time.length(event_type.slot_interval),
        schedule_id=event_type.schedule_id,
        buffer_before=time.length(event_type.buffer_before),
        buffer_after=time.length(event_type.buffer_after),
        minimum_notice=time.length(event_type.minimum_notice),
        horizon=time.length(event_type.horizon),
        closed_hours_policy=_POLICY_NUMBERS[event_type.closed_hours_policy],
        locations=event_type.locations,
        time_zone_lock=event_type.time_zone_lock,
        requires_confirmation=event_type.requires_confirmation,
        active=event_type.active,
        organization_id=organization_id,
        **time.history(record),
    )


def _encode_flexible(flexible: FlexibleDuration | None) -> pb.FlexibleDuration | None:
    if flexible is None:
        return None
    return pb.FlexibleDuration(
        minimum=time.length(flexible.minimum),
        maximum=time.length(flexible.maximum),
        step=time.length(flexible.step),
    )


def _slug(check: CatalogCheck, message: pb.EventType, path: str) -> str:
    check.rules(domain.slug_violations(path, message.slug))
    return message.slug


def _options(check: CatalogCheck, message: pb.EventType, path: str) -> tuple[timedelta, ...]:
    if len(message.duration_options) > MAX_DURATION_OPTIONS:
        check.fail(path, f"must have at most {MAX_DURATION_OPTIONS} entries")
        return ()
    options = []
    for index, duration in enumerate(message.duration_options):
        one = f"{path}[{index}]"
        length = check.duration(one, duration, minimum=MINUTE, maximum=LONGEST_BOOKING)
        check.rules(domain.minute_violations(one, length))
        options.append(length)
    if check.is_clean(path):
        check.rules(domain.options_violations(path, options))
    return tuple(sorted(options))


def _flexible(check: CatalogCheck, message: pb.EventType, path: str) -> FlexibleDuration | None:
    if not message.HasField("flexible_duration"):
        return None
    lengths = {}
    for name in ("minimum", "maximum", "step"):
        lengths[name] = check.length(
            f"{path}.{name}",
            message.flexible_duration,
            name,
            minimum=MINUTE,
            maximum=LONGEST_BOOKING,
        )
        check.rules(domain.minute_violations(f"{path}.{name}", lengths[name]))
    flexible = FlexibleDuration(**lengths)
    if check.is_clean(path):
        check.rules(domain.range_violations(path, flexible))
    return flexible


def _slot_interval(check: CatalogCheck, message: pb.EventType, path: str) -> timedelta | None:
    interval = check.optional_length(
        path, message, "slot_interval", minimum=QUARTER_HOUR, maximum=DAY
    )
    if interval is not None:
        check.rules(domain.interval_violations(path, interval))
    return interval


def _horizon(check: CatalogCheck, message: pb.EventType, path: str) -> timedelta | None:
    horizon = check.optional_length(path, message, "horizon", minimum=MINUTE, maximum=3_660 * DAY)
    if horizon is not None:
        check.rules(domain.minute_violations(path, horizon))
    return horizon


def _length(name: str, maximum: timedelta) -> Field[pb.EventType]:
    def field(check: CatalogCheck, message: pb.EventType, path: str) -> timedelta:
        length = check.length(path, message, name, minimum=_ZERO, maximum=maximum, default=_ZERO)
        check.rules(domain.minute_violations(path, length))
        return length

    return field


def _policy(check: CatalogCheck, message: pb.EventType, path: str) -> ClosedHoursPolicy:
    number = check.enum(path, message.closed_hours_policy, pb.ClosedHoursPolicy, required=False)
    return _POLICIES.get(number, ClosedHoursPolicy.OPEN_THROUGHOUT)


def _locations(check: CatalogCheck, message: pb.EventType, path: str) -> tuple[str, ...]:
    if len(message.locations) > MAX_LOCATIONS:
        check.fail(path, f"must have at most {MAX_LOCATIONS} entries")
        return ()
    for index, location in enumerate(message.locations):
        check.text(f"{path}[{index}]", location, minimum=1, maximum=200)
    if len(set(message.locations)) != len(message.locations):
        check.fail(path, "must not name anything twice")
    return tuple(message.locations)


def _time_zone_lock(check: CatalogCheck, message: pb.EventType, path: str) -> str:
    if message.time_zone_lock:
        check.rules(zone_violations(path, message.time_zone_lock))
    return message.time_zone_lock


_FIELDS: Final[Mapping[str, Field[pb.EventType]]] = {
    "slug": _slug,
    "title": lambda check, message, path: check.text(path, message.title, minimum=1, maximum=200),
    "description": lambda check, message, path: check.text(
        path, message.description, maximum=4_000, multiline=True
    ),
    "duration_options": _options,
    "flexible_duration": _flexible,
    "slot_interval": _slot_interval,
    "schedule_id": lambda check, message, path: check.optional_identifier(
        path, message.schedule_id
    ),
    "buffer_before": _length("buffer_before", DAY),
    "buffer_after": _length("buffer_after", DAY),
    "minimum_notice": _length("minimum_notice", 366 * DAY),
    "horizon": _horizon,
    "closed_hours_policy": _policy,
    "locations": _locations,
    "time_zone_lock": _time_zone_lock,
    "requires_confirmation": lambda _, message, __: message.requires_confirmation,
    "active": lambda _, message, __: message.active if message.HasField("active") else True,
}


def _without_slug() -> Mapping[str, Field[pb.EventType]]:
    return {name: field for name, field in _FIELDS.items() if name != "slug"}
