"""``holdfast wipe``: throws the local data of a stopped system away."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import click

from shared.client.address import LAUNCHER_FILE
from shared.client.cli.command import Command
from shared.client.cli.exit_code import ExitCode
from shared.client.cli.invocation import current
from shared.client.cli.output import Output
from shared.client.cli.text import clean

_LOCK_FILE: Final = "lock"
# The launcher's own, and those of the servers that it starts.
_LOCKED_FOLDERS: Final = ("", "postgres", "valkey")
_MEGABYTE: Final = 1_000_000


class WipeRefused(click.ClickException):
    """The folder is not ours to throw away, or not now."""

    exit_code = ExitCode.REFUSED


@click.command(cls=Command, examples=["holdfast wipe", "holdfast wipe --yes"])
@click.option(
    "--data",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Which data.  [default: HOLDFAST_DATA, or .holdfast here]",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def wipe(data: Path | None, *, yes: bool) -> int:
    """Throw everything away that a system started here has kept, bookings too.

    Only the folder that the launcher made, and only while the system is stopped. Databases on
    servers of your own (HOLDFAST_POSTGRES_URL) stay.
    """
    invocation = current()
    output = Output(invocation.output)
    folder = (data or invocation.data_folder()).resolve()
    if not folder.exists():
        _say(output, folder, removed=False)
        return ExitCode.OK
    if not (folder / LAUNCHER_FILE).is_file():
        raise WipeRefused(f"{folder} was not made by holdfast's launcher: it stays as it is")
    with _locked(folder):
        if not yes and not _agreed(output, folder):
            return ExitCode.REFUSED
        _remove(folder)
    _say(output, folder, removed=True)
    return ExitCode.OK


def _agreed(output: Output, folder: Path) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("this asks before it wipes: say --yes where nobody answers")
    size = f"{folder_size(folder) / _MEGABYTE:,.0f} MB"
    question = f"Throw away all bookings and everything else in {clean(str(folder))} ({size})?"
    agreed = click.confirm(question, err=True)
    if not agreed:
        output.note("Nothing was removed.")
    return agreed


def folder_size(folder: Path) -> int:
    """Returns how many bytes the files in a folder have, as far as they can be read."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except OSError:
                continue
    return total


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the locks that a running system would hold.

    Raises:
        WipeRefused: It runs.
    """
    with ExitStack() as held:
        for part in _LOCKED_FOLDERS:
            path = folder / part / _LOCK_FILE
            try:
                file = held.enter_context(path.open("rb"))
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                process = file.read(32).decode("ascii", "replace").strip()
                raise WipeRefused(
                    f"a system runs on the data in {folder}"
                    f"{f' (process {process})' if process else ''}: stop it first"
                ) from error
        yield


def _remove(folder: Path) -> None:
    """Removes the folder: gone under its name at once, so that a new start finds nothing old.

    Raises:
        WipeRefused: Part of it cannot be removed.
    """
    leaving = folder.with_name(f"{folder.name}.wiped-{os.getpid()}")
    try:
        folder.rename(leaving)
        shutil.rmtree(leaving)
    except OSError as error:
        hint = ": it is a mount" if error.errno == errno.EBUSY else ""
        raise WipeRefused(f"{error.filename} cannot be removed: {error.strerror}{hint}") from error


def _say(output: Output, folder: Path, *, removed: bool) -> None:
    if output.is_json:
        output.json({"folder": str(folder), "removed": removed})
    elif removed:
        output.line(f"Removed {folder}.")
    else:
        output.line(f"There is no data in {folder}.")
