"""A walk through every call that changes a catalog, at random; refusals are part of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import grpc

from tests.contract.catalog.caller import Caller, date, hourly, override, room, weekly, window

KEYS = ("a", "b", "c", "d")


class Walk:
    """Changes one organization through several servers, in turn."""

    def __init__(self, callers: Sequence[Caller], seed: int) -> None:
        self._callers = callers
        self._random = random.Random(seed)

    async def steps(self, count: int) -> None:
        """Makes so many calls."""
        for _ in range(count):
            await self.step()

    async def step(self) -> None:
        """Makes one call, which may be refused."""
        caller = self._random.choice(self._callers)
        method, fields = self._random.choice(_CALLS)(self._random)
        try:
            await caller.ask(method, **fields)
        except grpc.aio.AioRpcError as error:
            assert error.code() in {  # noqa: PT017  # any other is a bug
                grpc.StatusCode.NOT_FOUND,
                grpc.StatusCode.ALREADY_EXISTS,
                grpc.StatusCode.FAILED_PRECONDITION,
            }


def _some(source: random.Random) -> str:
    return source.choice(KEYS)


def _schedule_or_none(source: random.Random) -> str:
    return source.choice(("", *KEYS))


def _create_resource(source: random.Random) -> tuple[str, dict[str, Any]]:
    fields = {"schedule_id": _schedule_or_none(source), "pool": source.random() < 0.5}
    return "CreateResource", {"resource": room(_some(source), **fields)}


def _update_resource(source: random.Random) -> tuple[str, dict[str, Any]]:
    fields = {"name": str(source.random()), "schedule_id": _schedule_or_none(source)}
    changed = {"paths": ["name", "schedule_id", "active"]}
    resource = room(_some(source), active=source.random() < 0.5, **fields)
    return "UpdateResource", {"resource": resource, "update_mask": changed}


def _create_event_type(source: random.Random) -> tuple[str, dict[str, Any]]:
    key = _some(source)
    return "CreateEventType", {"event_type": hourly(key, schedule_id=_schedule_or_none(source))}


def _update_event_type(source: random.Random) -> tuple[str, dict[str, Any]]:
    fields = {"title": str(source.random()), "schedule_id": _schedule_or_none(source)}
    changed = {"paths": ["title", "schedule_id", "requires_confirmation"]}
    event_type = hourly(_some(source), requires_confirmation=source.random() < 0.5, **fields)
    return "UpdateEventType", {"event_type": event_type, "update_mask": changed}


def _create_schedule(source: random.Random) -> tuple[str, dict[str, Any]]:
    schedule = weekly(_some(source), is_default=source.random() < 0.3)
    return "CreateSchedule", {"schedule": schedule}


def _update_schedule(source: random.Random) -> tuple[str, dict[str, Any]]:
    schedule = weekly(_some(source), name=str(source.random()), is_default=source.random() < 0.5)
    changed = {"paths": ["name", "is_default"]}
    return "UpdateSchedule", {"schedule": schedule, "update_mask": changed}


def _set_override(source: random.Random) -> tuple[str, dict[str, Any]]:
    hours = [window(0, 60 * source.randint(1, 24))] if source.random() < 0.7 else []
    day = override(2027, 3, source.randint(1, 4), *hours, note=str(source.random()))
    return "SetDateOverride", {"schedule_id": _some(source), "date_override": day}


def _delete_override(source: random.Random) -> tuple[str, dict[str, Any]]:
    return "DeleteDateOverride", {
        "schedule_id": _some(source),
        "date": date(2027, 3, source.randint(1, 4)),
    }


def _set_resources(source: random.Random) -> tuple[str, dict[str, Any]]:
    keys = source.sample(KEYS, source.randint(0, 3))
    return "SetResources", {"event_type_id": _some(source), "resource_ids": keys}


def _set_event_types(source: random.Random) -> tuple[str, dict[str, Any]]:
    keys = source.sample(KEYS, source.randint(0, 3))
    return "SetEventTypes", {"resource_id": _some(source), "event_type_ids": keys}


def _by_key(method: str, field: str) -> Any:
    return lambda source: (method, {field: _some(source)})


def _pair(method: str) -> Any:
    return lambda source: (
        method,
        {"resource_id": _some(source), "event_type_id": _some(source)},
    )


_CALLS: Sequence[Any] = (
    _create_resource,
    _update_resource,
    _create_event_type,
    _update_event_type,
    _create_schedule,
    _update_schedule,
    _set_override,
    _set_override,
    _delete_override,
    _set_resources,
    _set_event_types,
    _by_key("DeleteResource", "resource_id"),
    _by_key("UndeleteResource", "resource_id"),
    _by_key("DeleteEventType", "event_type_id"),
    _by_key("UndeleteEventType", "event_type_id"),
    _by_key("DeleteSchedule", "schedule_id"),
    _pair("Link"),
    _pair("Link"),
    _pair("Unlink"),
)
