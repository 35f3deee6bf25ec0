"""What the command line and the environment ask for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.launcher.listener import Listener

SERVICES = ("catalog", "availability", "presence")
_DEFAULT_PORTS = {"catalog": 50051, "availability": 50052, "presence": 50053}
_DEFAULT_HOST = "127.0.0.1"
_METRICS = {name: f"HOLDFAST_{name.upper()}_METRICS_LISTEN" for name in SERVICES}
_POSTGRES_SCHEMES = ("postgres://", "postgresql://")
_FALSE = {"", "0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Options:
    """Everything a start depends on.

    Attributes:
        data: The folder for everything that is kept.
        listeners: Where each service listens.
        metrics: Where each service serves its metrics, for those that do.
        clock_start: The instant that the system's clock shows at its first start, as given.
        postgres_url: A server to use instead of an embedded one.
        redis_url: The same for Redis or Valkey.
        is_throwaway: Whether the stores may lose acknowledged writes.
    """

    data: Path
    listeners: Mapping[str, Listener]
    metrics: Mapping[str, Listener]
    clock_start: str | None
    postgres_url: str | None
    redis_url: str | None
    is_throwaway: bool


def parse(arguments: Sequence[str], environment: Mapping[str, str], project: Path) -> Options:
    """Reads the options; an option goes before its variable.

    Args:
        arguments: The command line without the program's name.
        environment: The variables.
        project: The checkout, or the folder that holds the packages.

    Raises:
        SystemExit: They make no sense, or help was asked for.
    """
    parser = _parser()
    found = parser.parse_args(arguments)
    try:
        listeners = {name: _listener(name, found, environment) for name in SERVICES}
        metrics = {
            name: Listener.parse(environment[variable])
            for name, variable in _METRICS.items()
            if environment.get(variable)
        }
        _refuse_shared_metrics(environment)
        postgres_url = _postgres_url(environment)
    except ValueError as error:
        parser.error(str(error))
    data = found.data or environment.get("HOLDFAST_DATA")
    return Options(
        data=Path(data).absolute() if data else _default_data_folder(project),
        listeners=listeners,
        metrics=metrics,
        clock_start=environment.get("HOLDFAST_CLOCK_START") or None,
        postgres_url=postgres_url,
        redis_url=environment.get("HOLDFAST_REDIS_URL") or None,
        is_throwaway=environment.get("HOLDFAST_THROWAWAY_DATA", "").lower() not in _FALSE,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services",
        description="Starts PostgreSQL, Valkey and the services on this machine; Ctrl-C stops.",
        epilog=(
            "HOLDFAST_POSTGRES_URL and HOLDFAST_REDIS_URL name servers to use instead of embedded"
            " ones; HOLDFAST_CLOCK_START=2027-03-01T08:00:00Z moves the system's clock;"
            f" {', '.join(_METRICS.values())} =HOST:PORT serve metrics;"
            " HOLDFAST_THROWAWAY_DATA=1 trades durability for speed; HOLDFAST_ALLOW_PLAINTEXT=1 is"
            " needed to listen beyond this machine. Every service gets the other HOLDFAST_"
            " variables as they are: python -m services.availability --help lists them, and so do"
            " services.catalog and services.presence."
        ),
    )
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        help="where everything is kept (HOLDFAST_DATA; default .holdfast beside the Makefile)",
    )
    for name in SERVICES:
        parser.add_argument(
            f"--{name}-port",
            metavar="PORT",
            help=f"0 is any free one (HOLDFAST_{name.upper()}_ADDRESS as HOST:PORT;"
            f" default {_DEFAULT_PORTS[name]})",
        )
    return parser


def _listener(name: str, found: argparse.Namespace, environment: Mapping[str, str]) -> Listener:
    port = getattr(found, f"{name}_port")
    if port is not None:
        return Listener.parse(f"{_DEFAULT_HOST}:{port}")
    address = environment.get(f"HOLDFAST_{name.upper()}_ADDRESS")
    return Listener.parse(address or f"{_DEFAULT_HOST}:{_DEFAULT_PORTS[name]}")


def _refuse_shared_metrics(environment: Mapping[str, str]) -> None:
    if environment.get("HOLDFAST_METRICS_LISTEN"):
        raise ValueError(
            "HOLDFAST_METRICS_LISTEN is one service's: here each has its own,"
            f" {', '.join(_METRICS.values())}"
        )


def _postgres_url(environment: Mapping[str, str]) -> str | None:
    url = environment.get("HOLDFAST_POSTGRES_URL")
    if url and not url.startswith(_POSTGRES_SCHEMES):
        # libpq takes it for something else, and uses a server on this machine. Not shown: it may
        # have a password.
        raise ValueError(
            "HOLDFAST_POSTGRES_URL is not the address of a PostgreSQL: write it like"
            " postgresql://user@host:5432/postgres"
        )
    return url or None


def _default_data_folder(project: Path) -> Path:
    is_checkout = (project / "pyproject.toml").exists()
    return (project if is_checkout else Path.cwd()) / ".holdfast"
