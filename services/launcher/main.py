"""Runs the whole system until it is asked to stop."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from services.launcher.console import Console
from services.launcher.failure import LauncherError
from services.launcher.options import SERVICES, Options, parse
from services.launcher.stopping import StopRequested, StopSignals
from services.launcher.system import System
from shared.embedded.errors import EmbeddedServerError

_SATURDAY = 5


def main(arguments: Sequence[str]) -> int:
    """Starts the system, says that it is ready, waits, and stops it.

    Returns:
        The exit code: 0 after a requested stop, 1 when something made it end.
    """
    project = Path(__file__).resolve().parents[2]
    options = parse(arguments, os.environ, project)
    console = Console()
    system = System(options, project, console)
    signals = StopSignals()
    code = 1
    try:
        system.start()
        _say_ready(system, options, console)
        system.watch(signals)
    except StopRequested:
        code = 0
    except (LauncherError, EmbeddedServerError, ValueError) as error:
        signals.begin_to_stop()
        console.say(f"holdfast: {error}")
    except OSError as error:
        signals.begin_to_stop()
        console.say(f"holdfast: {error.strerror or error}: {error.filename or options.data}")
    finally:
        signals.begin_to_stop()
        if code == 0:
            console.progress("stopping; Ctrl-C again kills at once")
        system.stop()
    if system.was_started:
        console.progress("stopped")
    return code


def _say_ready(system: System, options: Options, console: Console) -> None:
    if system.clock_start is not None:
        console.progress(f"the system's clock began at {system.clock_start} with this data")
    targets = " ".join(f"{name}={system.listeners[name].target}" for name in SERVICES)
    console.answer(f"ready: {targets}")
    day = _next_weekday(system.now)
    holdfast = _command_line(options)
    console.answer(f"  {holdfast} month studio-a --duration 60")
    console.answer(f"  {holdfast} slots studio-a {day} --duration 60")
    console.answer(f"  {holdfast} book studio-a {day}T10:00 --duration 60")


def _command_line(options: Options) -> str:
    """How to call the command line from the folder we were started in."""
    program = Path(sys.executable).with_name("holdfast")
    found = (
        _from_here(program) if program.exists() else f"{sys.executable} -m shared.client.cli.main"
    )
    if options.data == Path.cwd() / ".holdfast":
        return found
    return f"HOLDFAST_DATA={shlex.quote(_from_here(options.data))} {found}"


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _next_weekday(now: datetime) -> date:
    day = now.date() + timedelta(days=1)
    while day.weekday() >= _SATURDAY:
        day += timedelta(days=1)
    return day
