"""A session's secret stays where it came from; this runs the service as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest
import redis

from tests.contract.presence.client import HOUR, START, Client

SENTINEL = "sentinel-Sentinel_0123456789"


@dataclass
class Program:
    """``python -m services.presence``, with what it writes."""

    process: asyncio.subprocess.Process
    client: Client
    metrics: str
    first_lines: bytes

    async def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            written, _ = await self.process.communicate()
        return (self.first_lines + written).decode()


@pytest.fixture
async def program(valkey_url: str, catalog_address: str) -> AsyncIterator[Program]:
    metrics = f"127.0.0.1:{_free_port()}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.presence",
        env=os.environ | {
            "HOLDFAST_REDIS_URL": valkey_url,
            "HOLDFAST_CATALOG_ADDRESS": catalog_address,
            "HOLDFAST_LOG_LEVEL": "DEBUG",
            "HOLDFAST_METRICS_LISTEN": metrics,
            "HOLDFAST_SLOW_CALL_SECONDS": "0.000001",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        address, lines = await _address(process)
        async with grpc.aio.insecure_channel(address) as channel:
            yield Program(process, Client(channel), metrics, lines)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_it_serves_until_it_is_told_to_stop(program: Program) -> None:
    await program.client.heartbeat(SENTINEL)

    await program.stop()

    assert program.process.returncode == 0


async def test_the_session_is_in_no_answer_no_log_no_key_and_no_metric(
    program: Program, valkey_url: str
) -> None:
    client = program.client
    said = [str(await client.heartbeat(SENTINEL)), str(await client.holds())]
    said += [str(answer) for answer in await _refusals(client)]
    said += await _streams(client)
    said.append(await asyncio.to_thread(_page, f"http://{program.metrics}/metrics"))
    with redis.Redis.from_url(valkey_url) as store:
        stored = [key + (store.dump(key) or b"") for key in store.scan_iter()]
    said.append(str(await client.leave(SENTINEL)))
    log = await program.stop()

    assert stored
    assert '"method": "Heartbeat"' in log
    for text in (*said, log, *(value.decode("latin-1") for value in stored)):
        assert SENTINEL not in text


async def _streams(client: Client) -> list[str]:
    """What a watcher and the holder itself are told while a stream holds, and refuses."""
    watch, stream = client.watch("studio-b"), client.hold(SENTINEL)
    said = [str(await watch.next())]
    await stream.say({"studio-b": (START, HOUR), "studio-a": (START + HOUR, HOUR)})
    said += [str(stream.answer), str(await watch.next())]
    wrong = client.hold(f"{SENTINEL}\n")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await wrong.say()
    return [*said, str(caught.value)]


async def _refusals(client: Client) -> list[grpc.aio.AioRpcError]:
    """Refused for its own limit, another's hold, its start, and its own form."""
    await client.heartbeat("another-session-of-22-", start=START + HOUR)
    for number in range(3):
        await client.heartbeat(SENTINEL, hold_id=f"h{number}", start=START - number * HOUR)
    calls = [
        client.heartbeat(SENTINEL, hold_id="h9", start=START - 9 * HOUR),
        client.heartbeat(SENTINEL, length=2 * HOUR),
        client.heartbeat(SENTINEL, start=START.replace(minute=1)),
        client.heartbeat(f"{SENTINEL} "),
        client.heartbeat(SENTINEL * 5),
        client.leave(f"{SENTINEL}\n"),
        client.leave(SENTINEL, "", "h1"),
    ]
    found = []
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        found.append(caught.value)
    return found


async def _address(process: asyncio.subprocess.Process) -> tuple[str, bytes]:
    assert process.stdout is not None
    lines = b""
    async for line in process.stdout:
        lines += line
        entry = json.loads(line) if line.startswith(b"{") else {}
        if entry.get("message") == "serving":
            return str(entry["address"]), lines
    raise AssertionError(lines.decode())


def _page(url: str) -> str:
    with urllib.request.urlopen(url) as page:
        text: str = page.read().decode()
        return text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
