"""What is measured: the services as in production, their stores, and the baseline beside them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from services.launcher.listener import Listener, ReservedPort
from shared.embedded.postgres import EmbeddedPostgres
from shared.embedded.process import ChildProcess
from shared.embedded.valkey import EmbeddedValkey
from shared.runtime import poller
from tests.load.echo import LISTENING
from tests.load.process import (
    cpu_of_family,
    cpu_of_process,
    running,
    wait_for_line,
    wait_until_serving,
)

_HOST: Final = "127.0.0.1"
_DATABASES: Final = ("catalog", "availability")
# What a server leans on, in the order in which ``cpu_beside`` tells of it.
BESIDE: Final = ("catalog", "presence", "PostgreSQL", "Valkey")


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers at ``target``, and tells metrics at ``metrics`` if anywhere."""

    target: str
    process: ChildProcess
    metrics: str = ""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid


class System:
    """A durable PostgreSQL, a Valkey, the services and the echo: each its own process."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Starts everything; the stack stops it.

        Raises:
            NotStarted: A process did not get ready.
            EmbeddedServerError: A store did not.
        """
        self._folder = folder
        self._stack = stack
        self.postgres = stack.enter_context(EmbeddedPostgres.start(folder / "postgres"))
        for name in _DATABASES:
            self.postgres.create_database(name)
        self._valkey = stack.enter_context(EmbeddedValkey.start(folder / "valkey"))
        self.echo = self._echo()
        self.catalog = self._service(
            "catalog", {"HOLDFAST_POSTGRES_URL": self.postgres.url("catalog")}
        )
        asks_catalog = {"HOLDFAST_CATALOG_ADDRESS": self.catalog.target}
        self.presence = self._service(
            "presence", {**asks_catalog, "HOLDFAST_REDIS_URL": self._valkey.url}
        )
        self._of_availability = {
            **asks_catalog,
            "HOLDFAST_POSTGRES_URL": self.postgres.url("availability"),
            "HOLDFAST_PRESENCE_ADDRESS": self.presence.target,
            "HOLDFAST_REDIS_URL": self._valkey.url,
            "HOLDFAST_MANAGEMENT_KEY": token_urlsafe(32),
            # VerifyInventory of a long history outlasts the usual bound of a call.
            "HOLDFAST_CALL_TIMEOUT_SECONDS": "300",
        }
        self.availability = self._service("availability", self._of_availability)

    @property
    def availability_database(self) -> str:
        """The address of availability's database."""
        return self.postgres.url("availability")

    def cpu_beside(self, server: Server) -> Callable[[], Sequence[float]]:
        """Tells, whenever called, the CPU seconds of a server and of all that is ``BESIDE`` it."""
        beside = (self.catalog, self.presence)
        stores = (self.postgres.process.pid, self._valkey.process.pid)

        def seconds() -> Sequence[float]:
            return [
                *(cpu_of_process(each.pid) for each in (server, *beside)),
                *(cpu_of_family(pid) for pid in stores),
            ]

        return seconds

    @contextmanager
    def another_availability(self, variables: Mapping[str, str]) -> Iterator[Server]:
        """A second replica with settings of its own, until the block ends."""
        with ExitStack() as stack:
            yield self._service("availability", {**self._of_availability, **variables}, stack, "2")

    def baseline(self, name: str, database: str) -> Server:
        """Starts the module ``tests.load.<name>``, wired as availability is, on a database."""
        variables = {
            **self._of_availability,
            "HOLDFAST_POSTGRES_URL": database,
            poller.VARIABLE: poller.chosen(),  # as the services do, and the echo does not
        }
        return self._service(name, variables, package="tests.load")

    def _service(
        self,
        name: str,
        variables: Mapping[str, str],
        stack: ExitStack | None = None,
        suffix: str = "",
        package: str = "services",
    ) -> Server:
        stack = stack or self._stack
        port = ReservedPort(name, Listener(_HOST, 0))
        stack.callback(port.release)
        log = self._folder / "logs" / f"{name}{suffix}.log"
        metrics = f"{_HOST}:{_free_port()}"
        fixed = {
            "HOLDFAST_LISTEN": port.listener.address,
            "HOLDFAST_METRICS_LISTEN": metrics,
            "HOLDFAST_MIGRATE": "1",
        }
        process = stack.enter_context(running(f"{package}.{name}", log, {**variables, **fixed}))
        wait_until_serving(name, process, port.listener)
        return Server(port.listener.target, process, metrics)

    def _echo(self) -> Server:
        log = self._folder / "logs" / "echo.log"
        process = self._stack.enter_context(running("tests.load.echo", log, {}))
        line = wait_for_line("the echo", process, LISTENING)
        return Server(f"{_HOST}:{line.removeprefix(LISTENING)}", process)


def _free_port() -> int:
    # Of a server that cannot be given a socket that is bound already.
    with socket.create_server((_HOST, 0)) as free:
        port: int = free.getsockname()[1]
        return port
