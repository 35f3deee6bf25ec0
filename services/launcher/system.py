"""The running system: started in order, watched, stopped in reverse."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.launcher.clock import settle_clock
from services.launcher.console import Console
from services.launcher.failure import (
    AlreadyRunning,
    ChildEnded,
)
from services.launcher.kept import (
    Kept,
    claim,
    read_kept,
    remove_endpoints,
    write_endpoints,
    write_kept,
)
from services.launcher.listener import Listener, ReservedPort, answers
from services.launcher.log_end import log_end
from services.launcher.options import SERVICES, Options
from services.launcher.service import environment_of, start_service
from services.launcher.stopping import StopSignals
from services.launcher.store import Stores
from shared.embedded.errors import DataFolderInUse
from shared.embedded.folder import FolderLock
from shared.embedded.process import ChildProcess, Deadline, how_it_ended

_START_ORDER = ("catalog", "presence", "availability")
_READY_PATIENCE = timedelta(seconds=60)
# A stop: each service gets a moment alone, then all of them together the rest.
_STOP_ALONE = timedelta(seconds=1)
_STOP_TOGETHER = timedelta(seconds=4)


class System:
    """PostgreSQL, Valkey and the services on one machine."""

    def __init__(self, options: Options, project: Path, console: Console) -> None:
        self._options = options
        self._project = project
        self._console = console
        self._stores = Stores(options, console)
        self._services: dict[str, ChildProcess] = {}
        self._lock: FolderLock | None = None
        self._ports: list[ReservedPort] = []
        self._kept = Kept()
        self.listeners: dict[str, Listener] = {}

    def start(self) -> None:
        """Starts everything and returns when every service serves and the demo data is there.

        Raises:
            LauncherError: It cannot start.
            EmbeddedServerError: An embedded store cannot start.
            OSError: The data folder cannot be written.
            ValueError: What is kept in the data folder cannot be understood.
        """
        self._lock = self._lock_data()
        claim(self._options.data)
        kept = read_kept(self._options.data)
        self._kept = settle_clock(self._options, kept, datetime.now(UTC))
        for name in SERVICES:
            port = ReservedPort(name, self._options.listeners[name])
            self._ports.append(port)
            self.listeners[name] = port.listener
        self._stores.start()
        write_kept(self._options.data, self._kept)
        self._start_services()
        self._wait_until_serving()
        targets = {name: self.listeners[name].target for name in SERVICES}
        write_endpoints(self._options.data, targets)
        if self._stores.name not in self._kept.demo_loaded_into:
            self._load_demo()

    @property
    def was_started(self) -> bool:
        """Whether there was anything to stop."""
        return bool(self._stores.children() or self._services)

    @property
    def now(self) -> datetime:
        """The time by the system's clock."""
        return datetime.now(UTC) + timedelta(seconds=self._kept.clock_offset_seconds)

    @property
    def clock_start(self) -> str | None:
        """The instant that the system's clock began with; None for the machine's clock."""
        return self._kept.clock_start

    def watch(self, signals: StopSignals) -> None:
        """Watches over every child; does not return.

        Raises:
            ChildEnded: One ended by itself.
            StopRequested: Somebody asked the system to stop.
        """
        while True:
            self._refuse_ended_children()
            signals.wait()

    def stop(self) -> None:
        """Stops what was started: services first, in reverse order, then the stores."""
        leaving = [
            self._services[name] for name in reversed(_START_ORDER) if name in self._services
        ]
        for service in leaving:
            service.send(signal.SIGTERM)
            service.wait(_STOP_ALONE)
        deadline = Deadline(_STOP_TOGETHER)
        while any(service.exit_code() is None for service in leaving) and deadline.pause():
            pass
        for service in leaving:
            service.stop(signal.SIGKILL, timedelta(seconds=1))
        self._stores.stop()
        for port in self._ports:
            port.release()
        if self._lock is not None:
            remove_endpoints(self._options.data)
            self._lock.release()

    def _lock_data(self) -> FolderLock:
        try:
            return FolderLock(self._options.data)
        except DataFolderInUse as error:
            raise AlreadyRunning(error.folder, error.holder) from error

    def _start_services(self) -> None:
        self._console.progress(f"starting {', '.join(SERVICES)}")
        for name in _START_ORDER:
            environment = environment_of(
                name,
                self._options,
                self.listeners,
                self._stores,
                self._kept.clock_offset_seconds,
                os.environ,
            )
            self._services[name] = start_service(name, environment, self._log(name), self._project)

    def _wait_until_serving(self) -> None:
        from services.launcher.health import is_serving  # noqa: PLC0415  # while they import, too

        deadline = Deadline(_READY_PATIENCE)
        waiting = list(SERVICES)
        while waiting:
            self._refuse_ended_children()
            name = waiting[0]
            if answers(self.listeners[name]) and is_serving(self.listeners[name]):
                waiting.pop(0)
            elif not deadline.pause():
                child = self._services[name]
                fact = f"was not ready after {_READY_PATIENCE.total_seconds():g} s"
                raise ChildEnded(name, fact, child.log, log_end(child))

    def _refuse_ended_children(self) -> None:
        for name, child in (self._stores.children() | self._services).items():
            code = child.exit_code()
            if code is not None:
                raise ChildEnded(name, how_it_ended(code), child.log, log_end(child))

    def _load_demo(self) -> None:
        from services.launcher.demo import load  # noqa: PLC0415  # on a first start only

        self._console.progress("loading the demo data")
        load(self.listeners)
        loaded = (*self._kept.demo_loaded_into, self._stores.name)
        self._kept = replace(self._kept, demo_loaded_into=loaded)
        write_kept(self._options.data, self._kept)

    def _log(self, name: str) -> Path:
        return self._options.data / "logs" / f"{name}.log"
