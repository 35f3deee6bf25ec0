"""Holds time in a process of its own until its input ends.

``holder.py TARGETS ORGANIZATION RESOURCE START MINUTES`` writes each state of the hold as a line:
its name, when that was, and when the hold expires, as seconds since 1970.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import datetime, timedelta

from shared.client.address import Address
from shared.client.client import Client
from shared.client.hold import Hold


async def main(
    targets: str, organization_id: str, resource_id: str, start: str, minutes: str
) -> None:
    addresses = {name: Address(at, "the test") for name, at in json.loads(targets).items()}
    length = timedelta(minutes=int(minutes))
    async with Client(addresses, organization_id) as client:
        hold = client.hold(resource_id, datetime.fromisoformat(start), length)
        async with hold:
            telling = asyncio.create_task(_tell(hold))
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await telling


async def _tell(hold: Hold) -> None:
    async for status in hold.states():
        expires = status.expires_at.timestamp() if status.expires_at else 0.0
        sys.stdout.write(f"{status.state.name} {time.time()} {expires}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
