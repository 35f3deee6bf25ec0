from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from shared.client.cli.main import main, root, run

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Call:
    """Runs one command line where no system was ever started."""
    monkeypatch.chdir(tmp_path)

    def run_it(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments, {"HOLDFAST_CATALOG_ADDRESS": "127.0.0.1:1"})
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_it


def test_help_is_a_success_and_documents_the_exit_codes(call: Call) -> None:
    code, out, _ = call("--help")

    assert code == 0
    for line in (
        "0  done",
        "1  refused",
        "2  the command",
        "3  not found",
        "4  taken",
        "5  a serv",
    ):
        assert f"  {line}" in out


def test_help_lists_every_command(call: Call) -> None:
    _, out, _ = call("--help")

    for name in root().list_commands(click.Context(root())):
        assert f"\n  {name} " in out


def test_version_is_a_success(call: Call) -> None:
    code, out, _ = call("--version")

    assert code == 0
    assert out.startswith("holdfast ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["slots"],
        ["slots", "studio-a", "9.3.2027", "--duration", "60"],
        ["slots", "studio-a", "2027-03-09", "--duration", "long"],
        ["slots", "studio-a", "2027-03-09", "--duration", "60", "--time-zone", "Europe/Berln"],
        ["month", "studio-a", "--month", "2027-13"],
        ["watch", "studio-a"],
        ["watch", "studio-a", "2027-03-09", "--for", "0"],
        ["watch", "studio-a", "2027-03-09", "--for", "nan"],
        ["hold", "studio-a", "10:00"],
        ["hold", "studio-a", "2027-03-09T10:00", "--for", "ever"],
        ["book", "studio-a", "10:00"],
        ["book", "studio-a", "2027-03-09T10:00", "--request-id", "7"],
        ["book", "studio-a", "2027-03-09T10:00", "--units", "0"],
        ["book", "studio-a", "2027-03-09T10:00", "--with", "mic:none"],
        ["book", "studio-a", "2027-03-09T10:00", "--provisional", "soon"],
        ["block", "studio-a", "2027-03-09T10:00"],
        ["block", "studio-a", "2027-03-09T10:00", "2h", "--until", "2027-03-10"],
        ["capacity", "mic", "none"],
        ["capacity", "mic", "0"],
        ["events", "--after", "nonsense"],
        ["events", "--after", "00", "--from-oldest"],
        ["find", "--duration", "60"],
        ["find", "--type", "room"],
        ["find", "--type", "boat", "--duration", "60"],
        ["find", "--event-type", "session", "--from", "soon", "--duration", "60"],
        ["rebuild", "studio-a", "2027-03-09"],
        ["reschedule", "b-1", "10:00"],
        ["-o", "xml", "doctor"],
        ["--timeout", "0", "doctor"],
        ["--timeout", "soon", "doctor"],
        ["--timeout", "nan", "doctor"],
        ["--timeout", "inf", "doctor"],
        ["bookings", "list", "--limit", "0"],
        ["bookings", "list", "--state", "lost"],
        ["bookings", "list", "--kind", "ghost"],
        ["resources", "create", "x", "--name", "X", "--type", "boat", "--time-zone", "UTC"],
        ["resources", "create", "x"],
        ["resources", "update", "x"],
        ["resources", "update", "x", "--description", "a", "--clear", "description"],
        ["resources", "delete", "x"],
        ["schedules", "override", "set", "x", "2027-03-09"],
        ["schedules", "override", "set", "x", "2027-03-09", "--closed", "--hours", "9:00-10:00"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_ends_with_two(call: Call, arguments: list[str]) -> None:
    code, out, err = call(*arguments)

    assert code == 2
    assert out == ""
    assert err


@pytest.mark.parametrize(
    "arguments",
    [
        ["slots", "x", "2027-03-09"],
        ["watch", "x", "2027-03-09"],
        ["month", "x"],
        ["hold", "x", "2027-03-09T10:00"],
        ["book", "x", "2027-03-09T10:00"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_duration_of_nothing_is_said_to_be_too_short(call: Call, arguments: list[str]) -> None:
    code, _, err = call(*arguments, "--duration", "0")

    assert code == 2
    assert "--duration must be longer than 0" in err


def test_a_misspelt_zone_is_answered_with_the_right_one(call: Call) -> None:
    _, _, err = call("slots", "studio-a", "2027-03-09", "--time-zone", "europe/berln")

    assert "did you mean Europe/Berlin" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "json", "nonsense"],
        ["slots", "studio-a", "soon", "-o", "json"],
        ["--output=json", "slots", "studio-a", "2027-03-09", "--nonsense"],
        ["slots", "--nonsense", "-ojson"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_json_where_json_was_asked_for(
    call: Call, arguments: list[str]
) -> None:
    code, out, err = call(*arguments)

    assert code == 2
    assert out == ""
    assert json.loads(err)["error"]["reason"] == "USAGE"
    assert json.loads(err)["error"]["exit_code"] == 2


def test_a_service_that_is_not_there_ends_with_five(call: Call) -> None:
    code, out, err = call("resources", "list", "--timeout", "0.2")

    assert code == 5
    assert out == ""
    assert "holdfast: UNAVAILABLE: catalog at 127.0.0.1:1 cannot be reached" in err


def test_shared_options_are_taken_before_and_after_the_command(
    call: Call, unused_tcp_port: int
) -> None:
    address = f"127.0.0.1:{unused_tcp_port}"

    for arguments in (
        ["--catalog", address, "resources", "list"],
        ["resources", "--catalog", address, "list"],
        ["resources", "list", "--catalog", address],
        ["--catalog", "127.0.0.1:2", "resources", "list", "--catalog", address],
    ):
        code, _, err = call("--timeout", "0.2", *arguments)

        assert code == 5
        assert address in err


def test_an_endpoints_file_that_cannot_be_read_says_what_to_do(call: Call, tmp_path: Path) -> None:
    (tmp_path / ".holdfast").mkdir()
    (tmp_path / ".holdfast" / "endpoints.json").write_text("{")

    code, _, err = call("doctor")

    assert code == 2
    assert "endpoints.json cannot be read" in err
    assert "--catalog" in err


def test_a_stopped_system_ends_with_five_and_says_how_to_go_on(call: Call, tmp_path: Path) -> None:
    (tmp_path / ".holdfast").mkdir()

    code, out, err = call("resources", "list")

    assert code == 5
    assert out == ""
    assert "the system on the data in .holdfast is not running" in err
    assert "make run" in err
    assert "--catalog" in err


def test_a_stopped_system_is_json_where_json_was_asked_for(call: Call, tmp_path: Path) -> None:
    (tmp_path / ".holdfast").mkdir()

    code, _, err = call("resources", "list", "-o", "json")

    assert code == 5
    error = json.loads(err)["error"]
    assert (error["code"], error["reason"]) == ("UNAVAILABLE", "NOT_RUNNING")


def test_an_argument_that_is_not_utf8_is_said_in_one_line(call: Call) -> None:
    code, out, err = call("resources", "list", "--text", "\udcff")

    assert code == 2
    assert out == ""
    assert err == "holdfast: argument 4 is not UTF-8: '\\udcff'\n"


def test_an_organization_that_is_not_utf8_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["resources", "list"], {"HOLDFAST_ORGANIZATION": "\udcff"})

    assert code == 2
    assert "HOLDFAST_ORGANIZATION is not UTF-8" in capsys.readouterr().err


def _shell(tmp_path: Path, command: str) -> subprocess.CompletedProcess[str]:
    script = f"{command.replace('holdfast', f'{sys.executable} -m shared.client.cli.main', 1)}"
    return subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=Path(__file__).parents[3],
        env={"HOLDFAST_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["doctor", "--help"])
def test_a_closed_output_is_said_in_one_line(tmp_path: Path, command: str) -> None:
    done = _shell(tmp_path, f"holdfast {command} >&-")

    assert done.returncode == 1
    assert done.stderr == "holdfast: the output is closed\n"


@pytest.mark.parametrize("command", ["wipe --data none", "wipe --data none -o json", "--help"])
def test_a_full_disk_is_said_in_one_line(tmp_path: Path, command: str) -> None:
    done = _shell(tmp_path, f"holdfast {command} >/dev/full")

    assert done.returncode == 1
    assert "the output: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_stderr_is_no_obstacle(tmp_path: Path) -> None:
    done = _shell(tmp_path, "holdfast resources list 2>&-")

    assert done.returncode == 5
    assert done.stdout == ""


def test_a_closed_stdin_answers_no_question(tmp_path: Path) -> None:
    kept = {"clock_start": None, "clock_offset_seconds": 0.0, "demo_loaded_into": ["embedded"]}
    (tmp_path / "launcher.json").write_text(json.dumps(kept))

    done = _shell(tmp_path, "holdfast wipe <&-")

    assert done.returncode == 2
    assert "say --yes" in done.stderr


@pytest.mark.parametrize(
    ("called", "shown"),
    [
        ("./a folder/holdfast", "'./a folder/holdfast'"),
        ("bin/holdfast", "bin/holdfast"),
        ("holdfast", "holdfast"),
    ],
)
def test_commands_to_copy_call_the_program_as_it_was_called(
    called: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [called, "slots", "x"])

    with pytest.raises(SystemExit):
        main()

    assert f"  see {shown} slots --help\n" in capsys.readouterr().err


def test_a_program_that_its_name_finds_is_called_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "holdfast"
    program.touch(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(program), "slots", "x"])

    with pytest.raises(SystemExit):
        main()

    assert "  see holdfast slots --help\n" in capsys.readouterr().err


def test_help_loads_neither_grpc_nor_rich() -> None:
    program = (
        "import sys\n"
        "from shared.client.cli.main import run\n"
        "run(['--help'], {})\n"
        "print(sorted({'grpc', 'rich', 'google', 'asyncio'} & set(sys.modules)), file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stderr == "[]\n"


def _commands(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found: list[tuple[str, click.Command]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        below = f"{path} {name}"
        found += (
            _commands(command, below) if isinstance(command, click.Group) else [(below, command)]
        )
    return found


def test_every_command_has_help_and_an_example_of_itself() -> None:
    for path, command in _commands(root(), "holdfast"):
        assert command.help, path
        examples = getattr(command, "examples", ())
        assert examples, path
        assert all(example.startswith(path) for example in examples), path


def test_every_commands_help_can_be_shown(call: Call) -> None:
    for path, _ in _commands(root(), "holdfast"):
        code, out, _ = call(*path.split()[1:], "--help")

        assert code == 0
        assert f"Usage: {path}" in out
