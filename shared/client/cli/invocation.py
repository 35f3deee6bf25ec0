"""What a command line says beside its command: organization, output, addresses, patience."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from shared.client.cli.exit_code import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from shared.client.address import Address

TABLE: Final = "table"
JSON: Final = "json"
_DEFAULT_ORGANIZATION: Final = "demo"
_DEFAULT_PATIENCE: Final = timedelta(seconds=10)


class NotRunning(click.ClickException):
    """The system that is meant does not run."""

    exit_code = ExitCode.UNREACHABLE


class Seconds(click.FloatRange):
    """A number of seconds within bounds, which "nan" is not."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Reads the number."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return found


@dataclass(slots=True)
class Invocation:
    """One run of the command; its options are filled in while they are read."""

    # The process's own for commands run without ``main``, as click's tools do.
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    options: dict[str, Any] = field(default_factory=dict)
    # By which clock instants in a refusal are shown; a command that knows better sets it.
    shown_zone: str = "UTC"
    # How the command was called, for commands that are shown to be copied.
    program: str = "holdfast"

    @property
    def organization(self) -> str:
        """Whose bookings these are."""
        found = self.options.get("organization") or self.environment.get("HOLDFAST_ORGANIZATION")
        return str(found or _DEFAULT_ORGANIZATION)

    @property
    def output(self) -> str:
        """``table`` or ``json``."""
        return str(self.options.get("output", TABLE))

    @property
    def timeout(self) -> timedelta:
        """How long one call may take, repetitions included."""
        seconds = self.options.get("timeout")
        return timedelta(seconds=seconds) if seconds else _DEFAULT_PATIENCE

    def addresses(self) -> dict[str, Address]:
        """Returns where the services are.

        Raises:
            click.UsageError: The file of a running system cannot be understood.
            NotRunning: There is data here, and no system runs on it.
        """
        from pathlib import Path  # noqa: PLC0415  # help does without

        from shared.client.address import (  # noqa: PLC0415
            EndpointsUnreadable,
            SystemStopped,
            find_addresses,
        )

        try:
            return find_addresses(self.options, self.environment, Path())
        except EndpointsUnreadable as error:
            raise click.UsageError(
                f"{error}; remove it, or name the addresses with --catalog, --availability and"
                " --presence"
            ) from error
        except SystemStopped as error:
            raise NotRunning(
                f"{error}: start it with `make run`, or name addresses with --catalog,"
                " --availability and --presence"
            ) from error

    def data_folder(self) -> Path:
        """Returns where a system started here keeps its data."""
        from pathlib import Path  # noqa: PLC0415  # help does without

        from shared.client.address import data_folder  # noqa: PLC0415

        return data_folder(self.environment, Path())

    def knows_clock(self) -> bool:
        """Whether every service is of the system here, which has said how its clock goes."""
        from shared.client.address import ENDPOINTS_FILE  # noqa: PLC0415  # as above

        path = str(self.data_folder() / ENDPOINTS_FILE)
        return all(address.source == path for address in self.addresses().values())

    def clock_offset(self) -> timedelta:
        """Returns how far the services' clock is ahead of this machine's, as far as is known."""
        from shared.client.address import clock_offset  # noqa: PLC0415  # as above

        return clock_offset(self.data_folder()) if self.knows_clock() else timedelta(0)

    def now(self) -> datetime:
        """Returns the time by the services' clock, as far as it is known."""
        return datetime.now(UTC) + self.clock_offset()


def shared_options(*, hidden: bool) -> list[click.Parameter]:
    """Returns the options that stand before or after any command."""
    return [
        _option("--organization", metavar="ID", hidden=hidden, help=(
            "Whose bookings.  [default: demo, or HOLDFAST_ORGANIZATION]")),
        _option("-o", "--output", type=click.Choice([TABLE, JSON]), hidden=hidden, help=(
            "Tables for people, JSON for scripts.  [default: table]")),
        *(
            _option(f"--{service}", metavar="ADDRESS", hidden=hidden,
                    help=f"Where {service} listens, as host:port.")
            for service in ("catalog", "availability", "presence")
        ),
        _option("--timeout", metavar="SECONDS", hidden=hidden,
                type=Seconds(min=0, min_open=True, max=3600), help=(
            "How long one call may take.  [default: 10]")),
    ]  # fmt: skip


def current() -> Invocation:
    """Returns the invocation of the command that runs."""
    return click.get_current_context().ensure_object(Invocation)


def _option(*names: str, **settings: Any) -> click.Option:
    return click.Option(list(names), expose_value=False, callback=_remember, **settings)


def _remember(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Keeps a value that was given; the one nearest to the command's name wins."""
    if value is not None and option.name is not None:
        context.ensure_object(Invocation).options[option.name] = value
