"""What help and the README show is run as they show it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest

from services.launcher.kept import Kept, write_kept
from shared.client.cli.main import root
from tests.e2e.cli.desk import Desk, Done
from tests.e2e.running import ROOT

# In this order the examples of all commands make one day's work.
_ORDER = (
    "holdfast",
    "holdfast demo load",
    "holdfast schedules list",
    "holdfast schedules show",
    "holdfast schedules create",
    "holdfast schedules update",
    "holdfast schedules delete",
    "holdfast schedules override set",
    "holdfast schedules override list",
    "holdfast schedules override delete",
    "holdfast event-types list",
    "holdfast event-types show",
    "holdfast event-types create",
    "holdfast event-types update",
    "holdfast resources list",
    "holdfast resources show",
    "holdfast resources create",
    "holdfast resources update",
    "holdfast link",
    "holdfast unlink",
    "holdfast capacity",
    "holdfast month",
    "holdfast slots",
    "holdfast find",
    "holdfast watch",
    "holdfast day",
    "holdfast hold",
    "holdfast holders",
    "holdfast book",
    "holdfast bookings list",
    "holdfast bookings show",
    "holdfast history",
    "holdfast confirm",
    "holdfast decline",
    "holdfast reschedule",
    "holdfast complete",
    "holdfast cancel",
    "holdfast block",
    "holdfast blocks",
    "holdfast events",
    "holdfast verify",
    "holdfast rebuild",
    "holdfast doctor",
    "holdfast event-types deactivate",
    "holdfast event-types activate",
    "holdfast event-types delete",
    "holdfast event-types undelete",
    "holdfast resources deactivate",
    "holdfast resources activate",
    "holdfast resources delete",
    "holdfast resources undelete",
)
# They go on until somebody ends them.
_ENDLESS = {"watch", "hold", "events"}
# Which booking a command is for, where any would not do; HOUR is another one each time.
_BOOK = "book studio-b 2027-04-01THOUR:00 --duration 60"
_BOOKED_BY = {
    "holdfast confirm": f"{_BOOK} --provisional 15m",
    "holdfast decline": f"{_BOOK} --event-type audition",
    # Before the clock of the tests began.
    "holdfast complete": (
        "book studio-b 2027-02-28THOUR:00 --duration 60 --event-type session-1h --override late"
    ),
}
_AUDITION = "event-types create audition --title Audition --duration 60 --requires-confirmation"
# It works on a data folder, and has tests of its own.
_APART = {"holdfast wipe"}


def _examples(command: click.Command, path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    examples = getattr(command, "examples", ())
    if examples:
        yield path, examples
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _examples(below, f"{path} {name}")


@pytest.mark.timeout(300)  # some eighty programs and calls, one after another
def test_every_example_of_help_works(desk: Desk) -> None:
    examples = dict(_examples(root(), "holdfast"))
    assert set(examples) == {*_ORDER, *_APART}
    hours = iter(range(8, 22))
    desk.ok(*_AUDITION.split())
    desk.ok("link", "studio-b", "audition")

    ran: set[str] = set()
    for path in _ORDER:
        for number, example in enumerate(examples[path]):
            if example in ran:
                continue
            ran.add(example)
            # Once as a program: that takes many times longer.
            _run(desk, path, example, hours, as_program=number == 0)


def _run(desk: Desk, path: str, example: str, hours: Iterator[int], *, as_program: bool) -> None:
    """Runs one example, on a booking of its own if it needs one."""
    if "BOOKING" in example.split():
        making = _BOOKED_BY.get(path, f"{_BOOK} --event-type session-1h")
        booked = desk.soon(*making.replace("HOUR", f"{next(hours):02d}").split())
        example = example.replace("BOOKING", booked["booking_id"])
    arguments = shlex.split(example)[1:]
    done = _as_program(desk, arguments) if as_program else desk.call(*arguments)

    assert done.code == 0, f"{example}\n{done.err}"
    assert done.out or "No " in done.err, example


def _as_program(desk: Desk, arguments: Sequence[str]) -> Done:
    done = desk.run(*arguments)
    return Done(done.returncode, done.stdout, done.stderr)


def test_every_command_of_the_readme_works(desk: Desk) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = re.findall(r"^(?:\.venv/bin/)?(holdfast .*)$", readme, re.MULTILINE)
    assert len(commands) >= 5

    for command in commands:
        arguments = shlex.split(command, comments=True)[1:]
        bounds = ["--for", "1"] if arguments[0] in _ENDLESS else []
        done = desk.run(*arguments, *bounds)

        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert done.stdout, command


def test_the_examples_of_wipe_work_on_a_folder_that_nobody_uses(tmp_path: Path) -> None:
    data = tmp_path / ".holdfast"
    data.mkdir()
    write_kept(data, Kept())
    (wipe,) = [each for path, each in _examples(root(), "holdfast") if path == "holdfast wipe"]
    asking, sure = wipe

    asked = Desk(tmp_path).run(*asking.split()[1:])
    assert asked.returncode == 2  # nobody is there to answer
    assert data.exists()

    done = Desk(tmp_path).run(*sure.split()[1:])
    assert done.returncode == 0
    assert not data.exists()
