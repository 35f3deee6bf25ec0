"""The command line of a server: serve, or migrate and stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable
from typing import Final

from pydantic import ValidationError

from shared.runtime import log
from shared.runtime.failure import StartRefused
from shared.runtime.server import SettingsT, Wiring, serve_until_signalled

# Python's own begin with 700 objects.
_COLLECTOR_THRESHOLDS: Final = (10_000, 10, 10)

logger = logging.getLogger("holdfast.server")


def run(
    name: str,
    settings_class: type[SettingsT],
    wired: Wiring[SettingsT],
    *,
    migrate: Callable[[SettingsT], None] | None = None,
) -> None:
    """Runs ``python -m services.<name> [migrate]``; does not return.

    Exit status: 0 after a requested stop or a migration, 1 when the start was refused, 2 for
    bad arguments or settings. A refusal is one line on stderr.
    """
    sys.exit(_run(name, settings_class, wired, migrate, sys.argv[1:]))


def _run(
    name: str,
    settings_class: type[SettingsT],
    wired: Wiring[SettingsT],
    migrate: Callable[[SettingsT], None] | None,
    arguments: list[str],
) -> int:
    commands = ["migrate"] if migrate else []
    if arguments in (["-h"], ["--help"]):
        _say(_help(name, settings_class, commands))
        return 0
    if arguments and arguments not in [[command] for command in commands]:
        _say(f"usage: python -m services.{name} [{'|'.join(['--help', *commands])}]")
        return 2
    try:
        settings = settings_class()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            variable = "_".join(["HOLDFAST", *map(str, problem["loc"])]).upper()
            _say(f"holdfast {name}: {variable}: {problem['msg']}")
        return 2
    log.configure(name, settings.log_level)
    try:
        if migrate and (arguments or settings.migrate):
            migrate(settings)
        if not arguments:
            _event_loop_run(settings, wired)
    except StartRefused as refusal:
        logger.error("start refused", extra={"cause": str(refusal)})  # noqa: TRY400  # told in one line
        return 1
    return 0


def _event_loop_run(settings: SettingsT, wired: Wiring[SettingsT]) -> None:
    try:
        import uvloop  # noqa: PLC0415  # absent on platforms it does not support
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    # What is loaded by now stays, and need not be looked at again and again. Of what comes, most
    # is gone before the next look; a thousand streams' objects are not, and each look at all of
    # them is a pause for everybody.
    gc.freeze()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve_until_signalled(settings, wired))


def _help(name: str, settings_class: type[SettingsT], commands: list[str]) -> str:
    lines = [f"usage: python -m services.{name} [{'|'.join(['--help', *commands])}]", ""]
    for field, info in settings_class.model_fields.items():
        default = "required" if info.is_required() else f"default {info.default}"
        lines.append(f"  HOLDFAST_{field.upper()}: {info.description} ({default})")
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
