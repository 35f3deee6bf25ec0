"""Ports that the launcher keeps for a service."""

from __future__ import annotations

import socket

import pytest

from services.launcher.failure import PortTaken
from services.launcher.listener import Listener, ReservedPort, answers

_ANY = Listener("127.0.0.1", 0)


def test_a_reserved_port_is_left_to_a_server_that_reuses_addresses() -> None:
    port = ReservedPort("catalog", _ANY)

    with socket.create_server(("127.0.0.1", port.listener.port)):
        found = answers(port.listener)
    port.release()

    assert found
    assert not answers(port.listener)


def test_a_port_on_which_somebody_listens_is_refused_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(PortTaken) as caught:
            ReservedPort("presence", Listener("127.0.0.1", port))

    assert str(caught.value) == (
        f"port {port} for presence cannot be used on this machine (Address already in use):"
        " choose another with --presence-port PORT (0 is any free one) or"
        " HOLDFAST_PRESENCE_ADDRESS"
    )


def test_a_host_that_is_not_this_machine_is_refused() -> None:
    with pytest.raises(PortTaken, match="for catalog cannot be used on this machine"):
        ReservedPort("catalog", Listener("192.0.2.1", 50051))
