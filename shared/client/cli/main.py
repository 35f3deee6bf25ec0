"""The ``holdfast`` command: what it offers, and how it ends."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from itertools import pairwise
from typing import Final

import click

from shared.client.cli.command import Lazy, LazyGroup
from shared.client.cli.exit_code import EXIT_CODES, ExitCode
from shared.client.cli.invocation import JSON, Invocation
from shared.client.cli.output import Output, PipeClosed, folded, mistake_as_json
from shared.client.cli.text import clean

_HERE: Final = "shared.client.cli"

_SECTIONS: Final[Mapping[str, Mapping[str, Lazy]]] = {
    "See what is free": {
        "month": Lazy(f"{_HERE}.month:month", "A month's calendar, the free days marked."),
        "slots": Lazy(f"{_HERE}.slots:slots", "The free starts of one day."),
        "watch": Lazy(
            f"{_HERE}.watch:watch", "The same day live: holds and bookings as they come."
        ),
        "find": Lazy(f"{_HERE}.find:find", "Which resources are free, and when."),
        "day": Lazy(f"{_HERE}.day:day", "A day's quarter hours as they are stored, drawn."),
    },
    "Book": {
        "hold": Lazy(f"{_HERE}.hold:hold", "Keep others from a time while you decide."),
        "holders": Lazy(f"{_HERE}.holders:holders", "Who is doing so right now."),
        "book": Lazy(f"{_HERE}.book:book", "Book a resource, or several at once."),
        "bookings": Lazy(f"{_HERE}.bookings:bookings", "List and show bookings."),
        "confirm": Lazy(f"{_HERE}.decide:confirm", "Accept one that waits for it."),
        "decline": Lazy(f"{_HERE}.decide:decline", "Turn one down."),
        "reschedule": Lazy(f"{_HERE}.reschedule:reschedule", "Move one."),
        "cancel": Lazy(f"{_HERE}.decide:cancel", "Cancel one, or end a block."),
        "complete": Lazy(f"{_HERE}.decide:complete", "Say that one took place."),
        "history": Lazy(f"{_HERE}.bookings:history", "What happened to one: when, by whom, why."),
        "events": Lazy(f"{_HERE}.events:events", "What happens to all of them, as it happens."),
    },
    "Take out of use": {
        "block": Lazy(f"{_HERE}.block:block", "Let nobody book some time."),
        "blocks": Lazy(f"{_HERE}.block:blocks", "What is out of use."),
    },
    "Set up": {
        "resources": Lazy(f"{_HERE}.resource:resources", "What can be booked."),
        "capacity": Lazy(f"{_HERE}.capacity:capacity", "How many units a pool has."),
        "schedules": Lazy(f"{_HERE}.schedule:schedules", "When it is open, with exceptions."),
        "event-types": Lazy(f"{_HERE}.event_type:event_types", "For how long, by which rules."),
        "link": Lazy(f"{_HERE}.link:link", "Let an event type book a resource."),
        "unlink": Lazy(f"{_HERE}.link:unlink", "End that."),
    },
    "Look after it": {
        "doctor": Lazy(f"{_HERE}.doctor:doctor", "What is up, where, and how fast."),
        "verify": Lazy(f"{_HERE}.verify:verify", "Compare what is stored with the bookings."),
        "rebuild": Lazy(f"{_HERE}.rebuild:rebuild", "Write a stored day anew from its bookings."),
        "demo": Lazy(f"{_HERE}.demo:demo", "Data to try things with."),
        "wipe": Lazy(f"{_HERE}.wipe:wipe", "Throw a stopped system's local data away."),
    },
}

_EXAMPLES: Final = (
    "holdfast month studio-a --duration 60 --month 2027-03",
    "holdfast slots studio-a 2027-03-09 --duration 5h",
    "holdfast book studio-a 2027-03-09T10:00 --duration 60",
    "holdfast bookings list --resource studio-a -o json",
)

# Those that go to a service, or say where it is.
_SENT_VARIABLES: Final = (
    "HOLDFAST_ORGANIZATION",
    "HOLDFAST_CATALOG_ADDRESS",
    "HOLDFAST_AVAILABILITY_ADDRESS",
    "HOLDFAST_PRESENCE_ADDRESS",
)


def main() -> None:
    """Runs the command line of this process."""
    sys.exit(run(sys.argv[1:], os.environ, _program(sys.argv[0], os.environ)))


def run(arguments: Sequence[str], environment: Mapping[str, str], program: str = "holdfast") -> int:
    """Runs one command line and returns its exit code.

    Args:
        arguments: What stands behind the command's name.
        environment: Where variables are looked up.
        program: The command's name, as a shell takes it.
    """
    # gRPC writes about its own business to stderr otherwise.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A name that the terminal's encoding lacks is shown as an escape, not a traceback.
            stream.reconfigure(errors="backslashreplace")
    invocation = Invocation(environment, program=program)
    try:
        _check(arguments, environment)
        result = root().main(list(arguments), "holdfast", obj=invocation, standalone_mode=False)
        Output(invocation.output).flush()
    except click.ClickException as error:
        _tell_mistake(error, invocation, as_json=_wants_json(invocation, arguments))
        return error.exit_code
    except click.Abort:
        return ExitCode.INTERRUPTED
    except PipeClosed:
        _drop_output()
        return ExitCode.PIPE_CLOSED
    except OSError as error:
        _drop_output()
        told = click.ClickException(f"{error.filename or 'the output'}: {error.strerror}")
        _tell_mistake(told, invocation, as_json=_wants_json(invocation, arguments))
        return told.exit_code
    except Exception as error:  # noqa: BLE001  # what is none of ours is raised again
        return _tell(error, invocation)
    return result if isinstance(result, int) else ExitCode.OK


def _program(called: str, environment: Mapping[str, str]) -> str:
    """Returns how to call this program again: by its path, where its name is not enough."""
    if "/" not in called or called.endswith(".py"):
        return "holdfast"
    # A shell that found it by its name hands the whole path on, too.
    is_found = shutil.which("holdfast", path=environment.get("PATH")) == called
    return "holdfast" if is_found else shlex.quote(called)


def _open_closed_streams() -> None:
    """Gives a process that was started without stdin or stderr empty ones."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  # no path; the process's own
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # as above


def _check(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Refuses what no command can work with.

    Raises:
        click.ClickException: There is no output, or something given is not UTF-8.
    """
    if sys.stdout is None:
        raise click.ClickException("the output is closed")
    given = {f"argument {number}": text for number, text in enumerate(arguments, start=1)}
    given |= {name: environment.get(name, "") for name in _SENT_VARIABLES}
    for name, text in given.items():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise click.UsageError(f"{name} is not UTF-8: {text!a}") from error


def _drop_output() -> None:
    """Drops what is still buffered and nobody takes; Python would complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def root() -> LazyGroup:
    """Returns the command with all its commands, none of them loaded."""
    group = LazyGroup(
        "holdfast",
        sections=_SECTIONS,
        examples=_EXAMPLES,
        closing=EXIT_CODES,
        help="Holdfast books rooms, studios, equipment and people, and never twice.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
        no_args_is_help=True,
    )
    return click.version_option(package_name="holdfast", message="holdfast %(version)s")(group)


def _tell(error: Exception, invocation: Invocation) -> int:
    """Says why a call did not succeed.

    Raises:
        Exception: ``error`` itself, when no service and no rule explains it.
    """
    from shared.client.cli import report  # noqa: PLC0415  # loads gRPC, as calls do
    from shared.client.failure import HoldfastError  # noqa: PLC0415

    if not isinstance(error, HoldfastError):
        raise error
    is_json = invocation.output == JSON
    text = (
        report.as_json(error) if is_json else folded(report.as_text(error, invocation), sys.stderr)
    )
    click.echo(text, err=True)
    return report.exit_code(error)


def _tell_mistake(error: click.ClickException, invocation: Invocation, *, as_json: bool) -> None:
    """Says what is wrong with the command line."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    message = clean(error.format_message())
    if as_json:
        click.echo(mistake_as_json(message, error.exit_code), err=True)
        return
    click.echo(folded(f"holdfast: {message}", sys.stderr), err=True)
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        command = context.command_path.removeprefix("holdfast")
        click.echo(f"  see {invocation.program}{command} --help", err=True)


def _wants_json(invocation: Invocation, arguments: Sequence[str]) -> bool:
    """Whether JSON was asked for, also on a line that could not be read to its end."""
    pairs = pairwise(arguments)
    return (
        invocation.output == JSON
        or any(name in {"-o", "--output"} and value == JSON for name, value in pairs)
        or bool({"-ojson", "-o=json", "--output=json"} & set(arguments))
    )


if __name__ == "__main__":
    main()
