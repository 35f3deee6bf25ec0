"""``holdfast wipe``: throws the local data of a stopped system away."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import click

from shared.client.cli import local_data
from shared.client.cli.command import Command
from shared.client.cli.exit_code import ExitCode
from shared.client.cli.invocation import current
from shared.client.cli.output import Output
from shared.client.cli.text import clean

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

    Only what the launcher made in the folder, and only while the system is stopped. Other files
    in it stay, and so do databases on servers of your own (HOLDFAST_POSTGRES_URL).
    """
    invocation = current()
    output = Output(invocation.output)
    folder = (data or invocation.data_folder()).resolve()
    if not folder.exists():
        _say_nothing_there(output, folder)
        return ExitCode.OK
    if not local_data.is_launchers(folder):
        raise WipeRefused(f"{folder} was not made by holdfast's launcher: it stays as it is")
    for link in local_data.links(folder):
        raise WipeRefused(f"{link} is a link to {link.resolve()}: nothing is removed through links")
    with _locked(folder):
        if not yes and not _agreed(output, folder):
            return ExitCode.REFUSED
        kept = _remove(folder)
    _say_removed(output, folder, kept)
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
        for part in local_data.LOCKED_FOLDERS:
            path = folder / part / local_data.LOCK_FILE
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


def _remove(folder: Path) -> list[str]:
    """Removes what the launcher made; returns what stays.

    Raises:
        WipeRefused: Part of it cannot be removed.
    """
    try:
        return local_data.remove(folder)
    except OSError as error:
        hint = ": it is a mount" if error.errno == errno.EBUSY else ""
        raise WipeRefused(f"{error.filename} cannot be removed: {error.strerror}{hint}") from error


def _say_nothing_there(output: Output, folder: Path) -> None:
    if output.is_json:
        output.json({"folder": str(folder), "removed": False, "kept": []})
    else:
        output.line(f"There is no data in {folder}.")


def _say_removed(output: Output, folder: Path, kept: list[str]) -> None:
    if output.is_json:
        output.json({"folder": str(folder), "removed": True, "kept": [*kept]})
    elif kept:
        names = ", ".join(kept)
        output.line(f"Removed the data in {folder}; what is not holdfast's stays: {names}.")
    elif folder.exists():  # a mount, or the folder of somebody who waits for it
        output.line(f"Removed the data in {folder}.")
    else:
        output.line(f"Removed {folder}.")
