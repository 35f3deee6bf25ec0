from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e.cli.desk import Desk
from tests.e2e.cli.program import running
from tests.e2e.running import HOLDFAST, Running, environment

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

Talk = Callable[..., tuple[int, str]]


@pytest.fixture
def talk(desk: Desk) -> Talk:
    """Runs it in a terminal of 80 columns, typing an answer; returns exit code and screen."""

    def run_it(*arguments: str, answer: str = "", **variables: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [HOLDFAST, *arguments],
            cwd=desk.folder,
            env=environment({"TERM": "xterm", "COLUMNS": "80", **desk.variables, **variables}),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        os.write(ours, answer.encode())
        screen = b""
        with ExitStack() as stack:
            stack.callback(os.close, ours)
            while chunk := _read(ours):
                screen += chunk
        return process.wait(timeout=30), screen.decode().replace("\r\n", "\n")

    return run_it


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how the end of a terminal reads
        return b""


def test_nothing_is_wider_than_the_terminal(desk: Desk, talk: Talk) -> None:
    booked = desk.json(
        "book", "studio-a", "2027-03-09T10:00", "--duration", "60", "--with", "microphone:3"
    )
    desk.ok("block", "studio-b", "2027-03-09T10:00", "1d", "--reason", "the piano is tuned")

    for command in (
        "doctor",
        "resources list",
        "schedules list",
        "event-types list",
        "bookings list",
        "bookings list --state any",
        f"bookings show {booked['booking_id']}",
        f"history {booked['booking_id']}",
        "blocks",
        "blocks --state any",
        "find --type room --duration 60",
        "capacity microphone",
        "day microphone 2027-03-09",
        "slots microphone 2027-03-09 --duration 60",
        "slots studio-a 2027-03-09 --duration 60",
        "month studio-a --duration 60",
        "day studio-a 2027-03-09",
        "watch studio-a 2027-03-09 --duration 60 --for 0.1",
        "hold studio-a 2027-03-09T13:00 --duration 60 --for 0.1",
    ):
        code, screen = talk(*command.split())

        assert code == 0
        assert max(len(line) for line in _ESCAPE.sub("", screen).splitlines()) <= 80, command


def test_a_terminal_gets_colours_and_no_color_takes_them_away(talk: Talk) -> None:
    command = ("month", "studio-a", "--duration", "60", "--month", "2027-03")

    _, coloured = talk(*command)
    _, plain = talk(*command, NO_COLOR="1")

    assert "\x1b[1;32m" in coloured
    assert "32m" not in plain
    assert _ESCAPE.sub("", coloured) == _ESCAPE.sub("", plain)


def test_a_watch_is_drawn_with_a_hidden_cursor_that_comes_back(talk: Talk) -> None:
    watch = ("watch", "studio-a", "2027-03-09", "--duration", "60", "--for", "0.1")

    code, coloured = talk(*watch)
    _, plain = talk(*watch, NO_COLOR="1")

    assert code == 0
    assert "\x1b[?25l" in coloured
    assert coloured.endswith("\x1b[?25h")
    assert "● live" in coloured
    assert "\x1b[32m" in coloured
    assert "32m" not in plain
    assert " 08:00-09:00  available" in _ESCAPE.sub("", plain)


def test_a_watch_draws_who_holds_what_and_when_it_is_closed(desk: Desk, talk: Talk) -> None:
    mine = ("--session", "the-session-of-one-person")
    with (
        running(desk, "hold", "studio-a", "2027-03-09T13:00", "--duration", "60") as other,
        running(desk, "hold", "studio-a", "2027-03-09T15:00", "--duration", "60", *mine) as own,
    ):
        name = other.until(lambda line: line.startswith("Held as "))[8:14]
        own.until(lambda line: line.startswith("Held as "))

        _, screen = talk("watch", "studio-a", "2027-03-09", "--duration", "60", "--for", "1", *mine)

    lines = _ESCAPE.sub("", screen).splitlines()
    assert f" ▒ held by {name}  13:00-14:00" in lines
    assert " ◆ held by you  15:00-16:00" in lines
    assert "│····│▒▒▒▒│····│◆◆◆◆│····│····│····│····│····│····│────│────│" in lines
    assert " █ booked   ▒ held   ◆ yours   · free   ─ closed" in lines
    assert "times of Europe/Berlin, 13 available, 1 reserved" in "\n".join(lines)


def test_a_terminal_that_knows_no_cursor_codes_gets_lines(talk: Talk) -> None:
    watch = ("watch", "studio-a", "2027-03-09", "--duration", "60", "--for", "0.1")

    code, screen = talk(*watch, TERM="dumb")

    assert code == 0
    assert "\x1b" not in screen
    assert "2027-03-09 08:00+0100  2027-03-09 09:00+0100  available" in screen.replace("\n", "")


def test_a_pipe_never_gets_an_escape_even_when_the_terminal_is_capable(desk: Desk) -> None:
    done = desk.run("resources", "list", TERM="xterm-256color", COLORTERM="truecolor")

    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[1].split("  ")[0] == "keyboard-fp88"


def test_a_deletion_shows_what_lies_ahead_and_no_is_the_default(desk: Desk, talk: Talk) -> None:
    desk.ok("book", "studio-a", "2027-03-09T10:00", "--duration", "60", "--name", "Ada")

    code, screen = talk("resources", "delete", "studio-a", answer="\n")

    assert code == 1
    assert "It has 1 upcoming booking:" in screen
    assert "Nobody holds time of it right now." in screen
    assert "Tue 9 March 2027, 10:00 to 11:00 (Europe/Berlin)  studio-a  Ada" in screen
    assert "Nothing was changed." in screen
    assert desk.json("resources", "show", "studio-a")["delete_time"] is None


def test_a_deletion_happens_after_a_yes(desk: Desk, talk: Talk) -> None:
    code, screen = talk("event-types", "delete", "session-5h", answer="y\n")

    assert code == 0
    assert "It has no upcoming booking." in screen
    assert desk.json("event-types", "show", "session-5h")["delete_time"] is not None


@pytest.mark.parametrize(
    "command",
    [
        ("resources", "deactivate", "studio-a"),
        ("resources", "update", "studio-a", "--inactive"),
        ("event-types", "deactivate", "session-1h"),
        ("event-types", "delete", "session-1h"),
    ],
    ids=" ".join,
)
def test_who_holds_is_shown_before_anything_is_switched_off(
    desk: Desk, talk: Talk, command: tuple[str, ...]
) -> None:
    with running(desk, "hold", "studio-a", "2027-03-09T13:00", "--duration", "60") as hold:
        hold.until(lambda line: line.startswith("Held as "))

        code, screen = talk(*command, answer="n\n")

    assert code == 1
    assert "It has no upcoming booking." in screen
    assert "1 person holds time of it right now." in screen
    assert "Nothing was changed." in screen
    assert desk.json(command[0], "show", command[2])["active"] is True


def test_what_was_switched_off_is_switched_on_again(desk: Desk, talk: Talk) -> None:
    code, screen = talk("resources", "deactivate", "studio-a", answer="y\n")

    assert code == 0
    assert "Switch resource studio-a off?" in screen
    assert desk.json("resources", "show", "studio-a")["active"] is False
    assert desk.json("resources", "activate", "studio-a")["active"] is True


def test_without_a_terminal_a_deletion_needs_a_yes(desk: Desk) -> None:
    for command in (
        ("resources", "delete", "studio-a"),
        ("resources", "deactivate", "studio-a"),
        ("resources", "update", "studio-a", "--inactive"),
        ("event-types", "delete", "session"),
        ("schedules", "delete", "studio-hours"),
    ):
        code, error = desk.refused(*command)

        assert code == 2
        assert "--yes" in error["message"]


def test_the_data_of_a_running_system_is_not_wiped(desk: Desk, town: Running) -> None:
    code, error = desk.refused("wipe", "--yes")

    assert code == 1
    assert f"a system runs on the data in {town.data}" in error["message"]
    assert desk.ok("doctor")


def test_a_real_systems_data_is_wiped_once_it_is_stopped(kept_data: Path) -> None:
    done = Desk(kept_data.parent).run("wipe", "--data", str(kept_data), "--yes")

    assert done.returncode == 0
    assert not kept_data.exists()
    assert not list(kept_data.parent.glob("data.wiped-*"))


def test_the_doctor_tells_a_service_that_runs_from_one_that_works(
    desk: Desk, town: Running
) -> None:
    # The catalog's process is healthy, and knows nothing of bookings.
    done = desk.run("doctor", "--availability", town.targets["catalog"])

    assert done.returncode == 1
    assert "availability: its store does not answer: UNIMPLEMENTED" in done.stdout


def test_the_doctor_finds_all_well(desk: Desk, town: Running) -> None:
    found = desk.json("doctor")

    assert found["ok"] is True
    assert {each["service"]: each["address"] for each in found["services"]} == town.targets
    for each in found["services"]:
        assert each["status"] == "serving"
        assert each["store"] == "ok"
        assert each["round_trip_milliseconds"] > 0
        assert each["address_source"] == str(town.data / "endpoints.json")
        assert each["version"] == found["versions"]["holdfast"]
        assert each["time"].startswith("2027-03-0")
    assert found["clock"]["now"].startswith("2027-03-0")
    assert set(found["versions"]) == {"holdfast", "grpcio", "tzdata", "python"}


def test_the_doctor_names_what_is_down(desk: Desk, unused_tcp_port: int) -> None:
    done = desk.run("doctor", "--presence", f"127.0.0.1:{unused_tcp_port}")

    assert done.returncode == 1
    assert "presence: unreachable: Connection refused" in done.stdout
    assert "All is well" not in done.stdout


def test_the_doctor_does_not_guess_the_clock_of_services_elsewhere(
    desk: Desk, town: Running
) -> None:
    named = ("--catalog", town.targets["catalog"])

    assert "Clock      the services' own\n" in desk.ok("doctor", *named)
    assert desk.json("doctor", *named)["clock"] == {"now": None, "offset_seconds": None}


@contextmanager
def _deaf() -> Iterator[str]:
    """An address that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_service_that_does_not_answer_in_time_ends_with_five(desk: Desk) -> None:
    with _deaf() as address:
        code, error = desk.refused("resources", "list", "--catalog", address, "--timeout", "0.5")

    assert code == 5
    assert error["reason"] == "DEADLINE_EXCEEDED"


def test_a_service_that_is_not_there_ends_with_five(desk: Desk, unused_tcp_port: int) -> None:
    address = f"127.0.0.1:{unused_tcp_port}"

    done = desk.run("day", "studio-a", "2027-03-09", "--availability", address)

    assert done.returncode == 5
    assert f"availability at {address} cannot be reached (Connection refused)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_pipe_ends_quietly(desk: Desk) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [HOLDFAST, "-o", "json", "event-types", "list"],
        env=environment(desk.variables),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)

    assert done.returncode == 141
    assert done.stderr == b""


def test_ctrl_c_ends_quietly(desk: Desk) -> None:
    # Interrupts itself once it waits for an answer: no other moment can be told from outside.
    program = (
        "import os, signal, sys, threading\n"
        "from shared.client.cli.main import run\n"
        "import socket\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "never_answered = []\n"
        "def interrupt():\n"
        "    never_answered.append(listener.accept())\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=interrupt, daemon=True).start()\n"
        "address = f'127.0.0.1:{listener.getsockname()[1]}'\n"
        "sys.exit(run(['resources', 'list', '--catalog', address], os.environ))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(desk.variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 128 + signal.SIGINT
    assert done.stdout == ""
    assert done.stderr.strip() == ""
