"""Says what went wrong: the reason, the values that decided, what to do; and the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from shared.client.cli.exit_code import ExitCode
from shared.client.cli.invocation import Invocation
from shared.client.cli.output import error_as_json
from shared.client.cli.param import zone_or_utc
from shared.client.cli.record import Json
from shared.client.cli.text import clean, count, moment, span
from shared.client.failure import HoldfastError, cause
from shared.slots.bitmap import runs
from shared.slots.quantum import QUANTUM

_TAKEN_PREFIX: Final = "quanta."
_WORDS_FOR_TAKEN: Final = {"SLOT_HELD": "held"}
_INSTANTS: Final = frozenset({"earliest", "latest"})
_LISTS: Final[Mapping[str, str]] = {"bookings": "in its way", "dates": "in use on (UTC)"}
_MORE_DATES: Final = "more_dates"


_BY_CODE: Final[Mapping[str, ExitCode]] = {
    "ABORTED": ExitCode.CONFLICT,
    "ALREADY_EXISTS": ExitCode.CONFLICT,
    "CANCELLED": ExitCode.UNREACHABLE,
    "DEADLINE_EXCEEDED": ExitCode.UNREACHABLE,
    "FAILED_PRECONDITION": ExitCode.REFUSED,
    "INVALID_ARGUMENT": ExitCode.USAGE,
    "NOT_FOUND": ExitCode.NOT_FOUND,
    "OUT_OF_RANGE": ExitCode.USAGE,
    "PERMISSION_DENIED": ExitCode.REFUSED,
    "RESOURCE_EXHAUSTED": ExitCode.UNREACHABLE,
    "UNAUTHENTICATED": ExitCode.REFUSED,
    "UNAVAILABLE": ExitCode.UNREACHABLE,
}
_BY_REASON: Final[Mapping[str, ExitCode]] = {
    # How a hold ends whose time another has got.
    "BLOCKED": ExitCode.CONFLICT,
    "BOOKED": ExitCode.CONFLICT,
    "SLOT_HELD": ExitCode.CONFLICT,
    "SLOT_UNAVAILABLE": ExitCode.CONFLICT,
}

_ADVICE: Final[Mapping[str, str]] = {
    "CONTENDED": "run it again: nothing was changed",
    "ID_TAKEN": "choose another id; those of deleted things stay taken (undelete restores them)",
    "IN_USE": "cancel or move what uses it first",
    "INTERNAL": "the message carries an id: find it in the service's log",
    "INVALID_RESUME_TOKEN": "watch without a token, or with one of the same organization",
    "INVALID_STATE": "`holdfast history BOOKING` tells what happened to it",
    "NOT_ALLOWED": (
        "blocks and overrides are for administrators: availability allows them when it is started"
        " with HOLDFAST_ADMINISTRATION=1"
    ),
    "NOT_A_POOL": "only a pool has more than one unit: `holdfast resources create … --pool`",
    "NOT_LINKED": "`holdfast link RESOURCE EVENT_TYPE` lets the event type book the resource",
    "NOT_OFFERED_START": "`holdfast slots` lists the starts on offer",
    "NOT_STANDALONE": "an add-on is booked with something else: `holdfast book RESOURCE … --with`",
    "OFF_GRID": "start at a quarter hour: :00, :15, :30 or :45",
    "OUTSIDE_SCHEDULE": "`holdfast slots` lists the starts on offer",
    "OVERLOADED": "wait a moment, then run it again",
    "REQUEST_ID_REUSED": "a new intent needs a new request id",
    "SLOT_HELD": "somebody is choosing it right now: wait some seconds, or take another time",
    "SLOT_UNAVAILABLE": "`holdfast slots` lists the starts that are free",
    "SLUG_TAKEN": "choose another slug",
    "STALE_ETAG": "read it again and decide anew: somebody changed it meanwhile",
    "TOKEN_EXPIRED": (
        "`holdfast events --from-oldest` begins with what is still kept; read what was missed with"
        " `holdfast bookings list`"
    ),
    "DEADLINE_EXCEEDED": (
        "`holdfast doctor` shows what is up; a write may have happened: repeat it with the same"
        " --request-id"
    ),
}


def exit_code(error: HoldfastError) -> ExitCode:
    """Returns the exit code for a call that did not succeed."""
    by_code = _BY_CODE.get(error.code.name, ExitCode.FAULT)
    return _BY_REASON.get(error.reason, by_code)


def as_text(error: HoldfastError, invocation: Invocation) -> str:
    """Returns what a person should know, one fact a line."""
    lines = [f"holdfast: {error.reason}: {message_of(error, invocation)}"]
    if error.fields:  # which the service's sentence only repeats
        lines = [f"holdfast: {error.reason}: {count(len(error.fields), 'value')} cannot be taken"]
        lines += [f"  {field}: {description}" for field, description in error.fields]
    lines += [f"  {fact}" for fact in _facts(error, zone_or_utc(invocation.shown_zone))]
    advice = getattr(error, "__notes__", None) or [
        _advice(error).replace("`holdfast ", f"`{invocation.program} ")
    ]
    lines += [f"  {text}" for text in advice if text]
    return "\n".join(clean(line) for line in lines)


def as_json(error: HoldfastError) -> str:
    """Returns the same as a JSON object."""
    fields: list[Json] = [
        {"field": field, "description": description} for field, description in error.fields
    ]
    return error_as_json(
        error.code.name,
        error.reason,
        error.message,
        exit_code(error),
        metadata=dict(error.metadata),
        fields=fields,
        service=error.service,
    )


def message_of(error: HoldfastError, invocation: Invocation) -> str:
    """Returns the one sentence; of a service that did not speak, which one and where."""
    if error.is_answer or not error.service:
        return error.message
    where = f"{error.service} at {invocation.addresses()[error.service].target}"
    if error.code.name == "UNAVAILABLE":
        return f"{where} cannot be reached ({cause(error.message)})"
    if error.code.name == "DEADLINE_EXCEEDED":
        return f"{where} did not answer within {invocation.timeout.total_seconds():g} s"
    return f"{where}: {error.message}"


def _facts(error: HoldfastError, zone: ZoneInfo) -> list[str]:
    """The metadata that people can use; the rest is in the message."""
    facts = []
    for key, value in sorted(error.metadata.items()):
        if key.startswith(_TAKEN_PREFIX):
            word = _WORDS_FOR_TAKEN.get(error.reason, "taken")
            facts += _taken(word, key.removeprefix(_TAKEN_PREFIX), value, zone)
        elif key in _INSTANTS:
            facts.append(f"{key}: {_instant(value, zone)}")
        elif key in _LISTS:
            facts.append(f"{_LISTS[key]}: {', '.join(value.split(','))}")
    if more := error.metadata.get(_MORE_DATES):
        facts.append(f"and on {more} more dates")
    return facts


def _taken(word: str, day: str, indexes: str, zone: ZoneInfo) -> list[str]:
    """Quarter hours as times, or as they came when they cannot be read."""
    try:
        midnight = datetime.fromisoformat(f"{day}T00:00Z")
        ranges = runs(sum({1 << int(index) for index in indexes.split(",")}))
    except ValueError:
        return [f"{word}: {day} {indexes}"]
    return [
        f"{word}: {span(midnight + first * QUANTUM, midnight + stop * QUANTUM, zone)} ({zone.key})"
        for first, stop in ranges
    ]


def _instant(value: str, zone: ZoneInfo) -> str:
    try:
        return f"{moment(datetime.fromisoformat(value), zone)} ({zone.key})"
    except ValueError:
        return value


def _advice(error: HoldfastError) -> str:
    if error.code.name == "UNAVAILABLE" and not error.is_answer:
        return (
            "start the system with `make run`, or name the address with"
            f" --{error.service}; `holdfast doctor` shows what is up"
        )
    if error.reason == "INACTIVE":
        group = "event-types" if error.metadata.get("kind") == "event_type" else "resources"
        return f"switch it on with `holdfast {group} activate {error.metadata.get('id', 'ID')}`"
    return _ADVICE.get(error.reason, "")
