"""Starts the services as processes of their own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from services.launcher.kept import management_key
from services.launcher.listener import Listener
from services.launcher.options import Options
from services.launcher.store import DATABASES, Stores
from shared.embedded.database import drop_client_variables
from shared.embedded.process import ChildProcess

_DRAIN_SECONDS = 3  # all of them and the stores are to end within ten
# What the launcher reads itself, or decides for each service.
_OWN_VARIABLES = frozenset(
    {
        "HOLDFAST_CLOCK_OFFSET_SECONDS",
        "HOLDFAST_CLOCK_START",
        "HOLDFAST_DATA",
        "HOLDFAST_LISTEN",
        "HOLDFAST_METRICS_LISTEN",
        "HOLDFAST_MIGRATE",
        "HOLDFAST_POSTGRES_URL",
        "HOLDFAST_REDIS_URL",
        "HOLDFAST_THROWAWAY_DATA",
    }
)
_CALLS = {"catalog": (), "presence": ("catalog",), "availability": ("catalog", "presence")}
_REDIS_USERS = frozenset({"availability", "presence"})


def environment_of(
    name: str,
    options: Options,
    listeners: Mapping[str, Listener],
    stores: Stores,
    clock_offset_seconds: float,
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """Returns the environment that a service is started with."""
    variables = {key: value for key, value in inherited.items() if key not in _OWN_VARIABLES}
    if options.postgres_url is None:
        drop_client_variables(variables)
    variables["HOLDFAST_LISTEN"] = listeners[name].address
    variables["HOLDFAST_MIGRATE"] = "1"
    variables.setdefault("HOLDFAST_DRAIN_SECONDS", str(_DRAIN_SECONDS))
    # A machine's proxy is not for calls to the machine itself.
    variables.setdefault("no_grpc_proxy", "127.0.0.1,::1,localhost")
    if name in DATABASES:
        variables["HOLDFAST_POSTGRES_URL"] = stores.database_url(name)
    if name in _REDIS_USERS:
        variables["HOLDFAST_REDIS_URL"] = stores.redis_url
    for other in _CALLS[name]:
        variables[f"HOLDFAST_{other.upper()}_ADDRESS"] = listeners[other].target
    if name == "availability":
        if "HOLDFAST_MANAGEMENT_KEY" not in variables:
            variables["HOLDFAST_MANAGEMENT_KEY"] = management_key(options.data)
        # A system of one's own on one machine: whoever reaches it is its administrator.
        variables.setdefault("HOLDFAST_ADMINISTRATION", "1")
    if clock_offset_seconds:
        variables["HOLDFAST_CLOCK_OFFSET_SECONDS"] = repr(clock_offset_seconds)
    if options.is_throwaway:
        variables["HOLDFAST_THROWAWAY_DATA"] = "1"
    if name in options.metrics:
        variables["HOLDFAST_METRICS_LISTEN"] = options.metrics[name].address
    return variables


def start_service(
    name: str, environment: Mapping[str, str], log: Path, project: Path
) -> ChildProcess:
    """Starts a service; it is not ready yet."""
    return ChildProcess(
        [sys.executable, "-m", f"services.{name}"],
        log=log,
        environment=environment,
        working_folder=project,
    )
