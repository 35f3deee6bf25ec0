"""Where a service listens: addresses, and ports kept free for it."""

from __future__ import annotations

import errno
import ipaddress
import socket
import time
from dataclasses import dataclass, replace
from typing import Self

from services.launcher.failure import PortTaken

# The services of a launcher that was killed a moment ago may still hold their ports.
_PATIENCE_SECONDS = 0.5
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Listener:
    """A host and a port to listen on; port 0 is any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, address: str) -> Self:
        """Reads ``host:port`` or ``[host]:port``.

        Raises:
            ValueError: It is not an address.
        """
        host, colon, port = address.rpartition(":")
        if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65_535):  # noqa: PLR2004  # ports have 16 bits
            raise ValueError(f"{address!r} is not HOST:PORT")
        return cls(host.strip("[]"), int(port))

    @property
    def address(self) -> str:
        """The address as text, for listening."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def target(self) -> str:
        """The address as text, for calling from this machine."""
        here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  # told apart, not bound
        return replace(self, host=here).address

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class ReservedPort:
    """A port that is bound but not listened on.

    The kernel gives it to nobody else, yet a server that sets SO_REUSEADDR, as gRPC's do, can
    listen on it.
    """

    def __init__(self, service: str, wanted: Listener) -> None:
        """Binds the port.

        Raises:
            PortTaken: Another program listens there, or we may not.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._socket = _bind(wanted)
                break
            except OSError as error:
                if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                    time.sleep(_POLL_SECONDS)
                    continue
                why = error.strerror or str(error)
                raise PortTaken(service, wanted.address, why) from error
        self.listener = replace(wanted, port=self._socket.getsockname()[1])

    def release(self) -> None:
        """Gives the port back."""
        self._socket.close()


def answers(listener: Listener) -> bool:
    """Says whether anything accepts connections there."""
    host, _, port = listener.target.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1):
            return True
    except OSError:
        return False


def _bind(wanted: Listener) -> socket.socket:
    family, kind, protocol, _, place = socket.getaddrinfo(
        wanted.host, wanted.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(place)
    except OSError:
        bound.close()
        raise
    return bound
