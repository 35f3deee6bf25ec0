"""What the launcher reads from its command line and its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.launcher.listener import Listener
from services.launcher.options import Options, parse

_CHECKOUT = Path(__file__).parents[3]


def options(*arguments: str, **variables: str) -> Options:
    return parse(arguments, variables, _CHECKOUT)


def test_by_default_the_data_lies_in_the_checkout_and_the_ports_are_known() -> None:
    found = options()

    assert found.data == _CHECKOUT / ".holdfast"
    assert {name: listener.address for name, listener in found.listeners.items()} == {
        "catalog": "127.0.0.1:50051",
        "availability": "127.0.0.1:50052",
        "presence": "127.0.0.1:50053",
    }
    assert not found.is_throwaway


def test_an_option_goes_before_its_variable() -> None:
    found = options(
        *("--data", "/given", "--catalog-port", "7"),
        HOLDFAST_DATA="/variable",
        HOLDFAST_CATALOG_ADDRESS="127.0.0.1:8",
        HOLDFAST_PRESENCE_ADDRESS="[::1]:9",
    )

    assert found.data == Path("/given")
    assert found.listeners["catalog"] == Listener("127.0.0.1", 7)
    assert found.listeners["presence"] == Listener("::1", 9)


def test_without_a_checkout_the_data_lies_where_the_program_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert parse([], {}, tmp_path / "site-packages").data == tmp_path / ".holdfast"


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("true", True), ("0", False)])
def test_data_is_thrown_away_only_when_told(value: str, *, expected: bool) -> None:
    assert options(HOLDFAST_THROWAWAY_DATA=value).is_throwaway is expected


@pytest.mark.parametrize("url", ["nonsense", "myserver:5432/db", "mysql://server/db", "//server"])
def test_a_postgresql_without_its_scheme_is_refused(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        options(HOLDFAST_POSTGRES_URL=url)

    assert caught.value.code == 2
    assert (
        "HOLDFAST_POSTGRES_URL is not the address of a PostgreSQL: write it like"
        " postgresql://user@host:5432/postgres" in capsys.readouterr().err
    )


@pytest.mark.parametrize("url", ["postgres://server/db", "postgresql://server"])
def test_a_postgresql_may_be_given(url: str) -> None:
    assert options(HOLDFAST_POSTGRES_URL=url).postgres_url == url


@pytest.mark.parametrize(
    "name",
    [
        "HOLDFAST_DATA",
        "HOLDFAST_CLOCK_START",
        "HOLDFAST_POSTGRES_URL",
        "HOLDFAST_REDIS_URL",
        "HOLDFAST_THROWAWAY_DATA",
        "HOLDFAST_CATALOG_METRICS_LISTEN",
        "HOLDFAST_AVAILABILITY_METRICS_LISTEN",
        "HOLDFAST_PRESENCE_METRICS_LISTEN",
        "HOLDFAST_ALLOW_PLAINTEXT",
        "python -m services.availability --help",
    ],
)
def test_the_help_names_what_may_be_set(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options("--help")

    assert name in " ".join(capsys.readouterr().out.split())


def test_one_address_for_every_service_s_metrics_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        options(HOLDFAST_METRICS_LISTEN="127.0.0.1:9")

    assert caught.value.code == 2
    assert "HOLDFAST_METRICS_LISTEN is one service's: " in capsys.readouterr().err


@pytest.mark.parametrize("port", ["", "x", "-1", "65536", "1.5"])
def test_a_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        options(f"--catalog-port={port}")

    assert caught.value.code == 2
    assert "is not HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "is_loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("example.org:1", False),
    ],
)
def test_loopback_is_told_from_the_rest(address: str, *, is_loopback: bool) -> None:
    assert Listener.parse(address).is_loopback is is_loopback


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("[::1]:1", "[::1]:1"),
        ("0.0.0.0:1", "127.0.0.1:1"),
        ("[::]:1", "[::1]:1"),
    ],
)
def test_a_listener_on_every_address_is_called_on_loopback(address: str, target: str) -> None:
    assert Listener.parse(address).target == target
