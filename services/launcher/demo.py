"""Loads the demo data. Imports the client, and with it gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from services.launcher.failure import DemoDataRefused
from services.launcher.listener import Listener
from shared.client.address import Address
from shared.client.client import Client
from shared.client.demo import ORGANIZATION, load_demo
from shared.client.failure import HoldfastError

_CALL_PATIENCE = timedelta(seconds=20)  # the first calls on a busy machine


def load(listeners: Mapping[str, Listener]) -> None:
    """Creates what is missing of the demo data.

    Raises:
        DemoDataRefused: A service did not take it.
    """
    addresses = {
        name: Address(listener.target, "the launcher") for name, listener in listeners.items()
    }
    try:
        asyncio.run(_load(addresses))
    except HoldfastError as error:
        raise DemoDataRefused(f"{error.service or 'a service'}: {error.message}") from error


async def _load(addresses: Mapping[str, Address]) -> None:
    async with Client(addresses, ORGANIZATION, timeout=_CALL_PATIENCE) as client:
        await load_demo(client)
