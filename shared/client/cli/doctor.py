"""``holdfast doctor``: what is up, where, and how fast."""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Final

import click

from holdfast.availability.v1.booking_pb2 import ListBookingsRequest
from holdfast.catalog.v1.schedule_pb2 import ListSchedulesRequest
from holdfast.presence.v1.presence_pb2 import GetDatePresenceRequest
from shared.client.address import SERVICES, Address
from shared.client.channel import client_version
from shared.client.cli import text
from shared.client.cli.command import Command
from shared.client.cli.exit_code import ExitCode
from shared.client.cli.output import Column, Styled
from shared.client.cli.record import Json
from shared.client.cli.session import Session, gather, with_session
from shared.client.failure import HoldfastError
from shared.client.probe import SERVING, Health, probe
from shared.client.value import to_date, to_timestamp
from shared.slots.zone import tzdata_version

_PATIENCE: Final = timedelta(seconds=3)
_NOT_ASKED: Final = ""
_ANSWERED: Final = "ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one service."""

    service: str
    address: Address
    health: Health
    store: str  # whether a question that its store must answer was answered

    @property
    def is_well(self) -> bool:
        """Whether it does its work."""
        return self.health.status == SERVING and self.store == _ANSWERED


@click.command(cls=Command, examples=["holdfast doctor", "holdfast doctor -o json"])
@with_session
async def doctor(session: Session) -> int:
    """Tell which services are up, and where they were looked for.

    Each is asked for its health, and one thing that its store must answer. Ends with 1 when
    something is down.
    """
    findings = await gather(*(_examine(session, name) for name in SERVICES))
    if session.output.is_json:
        session.output.json(
            {
                "ok": all(finding.is_well for finding in findings),
                "services": [_as_json(finding) for finding in findings],
                "clock": _clock(session),
                "versions": _versions(),
            }
        )
    else:
        _show(session, findings)
    return ExitCode.OK if all(finding.is_well for finding in findings) else ExitCode.REFUSED


async def _examine(session: Session, service: str) -> Finding:
    address = session.client.addresses[service]
    health = await probe(address.target, min(session.invocation.timeout, _PATIENCE))
    store = await _ask(_QUESTIONS[service](session)) if health.status == SERVING else _NOT_ASKED
    return Finding(service, address, health, store)


async def _ask(question: Awaitable[object]) -> str:
    try:
        await question
    except HoldfastError as error:
        return f"{error.reason}: {error.message}"
    return _ANSWERED


async def _ask_catalog(session: Session) -> None:
    client = session.client
    request = ListSchedulesRequest(organization_id=session.organization, page_size=1)
    await client.call(client.catalog.ListSchedules, request)


async def _ask_availability(session: Session) -> None:
    client = session.client
    request = ListBookingsRequest(
        organization_id=session.organization,
        page_size=1,
        start_after=to_timestamp(session.invocation.now()),
    )
    await client.call(client.bookings.ListBookings, request)


async def _ask_presence(session: Session) -> None:
    client = session.client
    request = GetDatePresenceRequest(
        organization_id=session.organization,
        resource_ids=["doctor"],  # one that nobody holds is no error
        dates=[to_date(session.invocation.now().date())],
    )
    await client.call(client.presence.GetDatePresence, request)


_QUESTIONS: Final[Mapping[str, Callable[[Session], Awaitable[None]]]] = {
    "catalog": _ask_catalog,
    "availability": _ask_availability,
    "presence": _ask_presence,
}


def _as_json(finding: Finding) -> Json:
    took = finding.health.round_trip
    return {
        "service": finding.service,
        "address": finding.address.target,
        "address_source": finding.address.source,
        "status": finding.health.status,
        "detail": finding.health.detail,
        "round_trip_milliseconds": _milliseconds(took) if took is not None else None,
        "store": finding.store or "not asked",
        "version": finding.health.version or None,
        "time": text.iso(finding.health.time.replace(microsecond=0))
        if finding.health.time
        else None,
    }


def _clock(session: Session) -> dict[str, Json]:
    """The system's clock; services elsewhere have their own, told with each."""
    if not session.invocation.knows_clock():
        return {"now": None, "offset_seconds": None}
    offset = session.invocation.clock_offset()
    return {
        "now": text.iso(session.invocation.now().replace(microsecond=0)),
        "offset_seconds": offset.total_seconds(),
    }


def _clock_in_words(session: Session) -> str:
    if not session.invocation.knows_clock():
        return "the services' own"
    offset = session.invocation.clock_offset()
    moved = f"moved by {text.offset(offset)}" if offset else "this machine's"
    return f"{_clock(session)['now']}, {moved}"


def _versions() -> dict[str, Json]:
    return {
        "holdfast": client_version(),
        "grpcio": version("grpcio"),
        "tzdata": tzdata_version(),
        "python": platform.python_version(),
    }


def _show(session: Session, findings: Sequence[Finding]) -> None:
    output = session.output
    output.table(_COLUMNS, findings, empty="")
    output.line()
    versions = ", ".join(f"{name} {version}" for name, version in _versions().items())
    output.facts(
        [
            ("Addresses", f"from {_sources(findings)}"),
            ("Clock", _clock_in_words(session)),
            ("Versions", versions),
        ]
    )
    ill = [finding for finding in findings if not finding.is_well]
    output.line()
    if not ill:
        output.line(Styled("All is well.", "bold green"))
        return
    for finding in ill:
        output.line(Styled(f"{finding.service}: ", "bold red"), _complaint(finding))
    if any(finding.health.status != SERVING for finding in ill):
        program = session.invocation.program
        output.line(f"Start the system with `make run`, or name addresses: see {program} --help.")


def _sources(findings: Sequence[Finding]) -> str:
    """Where the addresses were found; each service by itself only where they differ."""
    sources = {finding.address.source for finding in findings}
    if len(sources) == 1:
        return sources.pop()
    return ", ".join(f"{finding.address.source} ({finding.service})" for finding in findings)


def _complaint(finding: Finding) -> str:
    if finding.health.status != SERVING:
        return ": ".join(part for part in (finding.health.status, finding.health.detail) if part)
    return f"its store does not answer: {finding.store}"


def _round_trip(finding: Finding) -> str:
    took = finding.health.round_trip
    return f"{_milliseconds(took)} ms" if took is not None else ""


def _its_clock(finding: Finding) -> str:
    time = finding.health.time
    return text.iso(time.replace(microsecond=0)) if time else ""


def _milliseconds(took: timedelta) -> float:
    return round(took / timedelta(milliseconds=1), 2)


_COLUMNS: Final = (
    Column[Finding]("SERVICE", lambda finding: finding.service),
    Column[Finding]("STATUS", lambda finding: finding.health.status),
    Column[Finding]("STORE", lambda f: f.store if f.store in {"", _ANSWERED} else "failed"),
    Column[Finding]("ROUND TRIP", _round_trip),
    Column[Finding]("VERSION", lambda finding: finding.health.version),
    Column[Finding]("ITS CLOCK", _its_clock),
    Column[Finding]("ADDRESS", lambda finding: finding.address.target),
)
