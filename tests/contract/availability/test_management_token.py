"""Management tokens: what lets a booker manage one booking, told once and stored nowhere."""

from __future__ import annotations

import base64
import hmac
import logging
import re
import uuid
from contextlib import suppress
from typing import Any

import grpc
import pytest

from tests.contract.availability.conftest import Serve, StillSettings
from tests.contract.availability.engine import (
    NINE,
    at,
    block,
    everything,
    got,
    listed,
    move,
    moving,
    state_of,
)
from tests.contract.availability.events import following
from tests.contract.availability.world import HOUR, Caller, FakeCatalog
from tests.integration.availability.database import rows, settings_for

KEY = StillSettings.model_fields["management_key"].default.get_secret_value()


@pytest.fixture
async def tokens(caller: Caller, catalog: FakeCatalog) -> dict[str, str]:
    """Tokens of two bookings, by their ids."""
    catalog.offer(caller.organization_id)
    answers = [
        await caller.send("CreateBooking", caller.order(start, booking_id=name))
        for name, start in (("mine", NINE), ("yours", NINE + HOUR))
    ]
    return {answer.booking.booking_id: answer.management_token for answer in answers}


def with_token(caller: Caller, booking_id: str, token: str) -> dict[str, Any]:
    """Every call that takes a token, with one."""
    return {
        "GetBooking": caller.question(
            "GetBooking", NINE, booking_id=booking_id, management_token=token
        ),
        "CancelBooking": caller.cancellation(booking_id, management_token=token),
        "RescheduleBooking": moving(caller, booking_id, at(20), management_token=token),
    }


async def test_a_token_is_the_hmac_of_organization_booking_and_version(
    caller: Caller, tokens: dict[str, str]
) -> None:
    text = f"{caller.organization_id}\0mine\0{1}"
    digest = hmac.digest(KEY.encode(), text.encode(), "sha256")

    assert tokens["mine"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", tokens["mine"])
    assert tokens["mine"] != tokens["yours"]


async def test_a_booking_of_the_same_id_elsewhere_has_another_token(
    caller: Caller, catalog: FakeCatalog, tokens: dict[str, str]
) -> None:
    other = caller.elsewhere()
    catalog.offer(other.organization_id)

    answer = await other.send("CreateBooking", other.order(NINE, booking_id="mine"))

    assert answer.management_token != tokens["mine"]
    for method, asked in with_token(other, "mine", tokens["mine"]).items():
        assert (await other.refusal_of(method, asked)).reason == "NOT_FOUND"


async def test_its_own_token_opens_a_booking(caller: Caller, tokens: dict[str, str]) -> None:
    asked = with_token(caller, "mine", tokens["mine"])

    read = await caller.send("GetBooking", asked["GetBooking"])
    moved = await caller.send("RescheduleBooking", asked["RescheduleBooking"])
    cancelled = await caller.send("CancelBooking", asked["CancelBooking"])

    assert read.booking.booking_id == "mine"
    assert moved.booking.sequence == 1
    assert state_of(cancelled.booking) == "CANCELLED"


async def test_any_other_token_finds_nothing_and_changes_nothing(
    caller: Caller, tokens: dict[str, str], availability_url: str
) -> None:
    before = everything(availability_url, caller)
    own = tokens["mine"]
    for wrong in (tokens["yours"], own[:-1], own + "=", own.swapcase(), "é" * 43, "A" * 128):
        for method, asked in with_token(caller, "mine", wrong).items():
            refusal = await caller.refusal_of(method, asked)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
            assert refusal.metadata == {"kind": "booking", "id": "mine"}
    for method, asked in with_token(caller, "nobody", own).items():
        refusal = await caller.refusal_of(method, asked)
        assert refusal.metadata == {"kind": "booking", "id": "nobody"}
    for method, asked in with_token(caller, "mine", "A" * 129).items():
        refusal = await caller.refusal_of(method, asked)
        assert refusal.fields == ["management_token"]

    assert everything(availability_url, caller) == before


async def test_a_wrong_token_is_told_nothing_of_a_bookings_state(
    caller: Caller, tokens: dict[str, str]
) -> None:
    await caller.cancel("mine")

    for method, asked in with_token(caller, "mine", tokens["yours"]).items():
        assert (await caller.refusal_of(method, asked)).reason == "NOT_FOUND"


async def test_a_token_stays_good_whatever_becomes_of_the_booking(
    caller: Caller, tokens: dict[str, str]
) -> None:
    await move(caller, "mine", at(20))
    await caller.cancel("mine")

    found = await got(caller, "mine", management_token=tokens["mine"])

    assert state_of(found.booking) == "CANCELLED"


async def test_create_and_its_replays_tell_the_token_and_nothing_else_does(
    caller: Caller, catalog: FakeCatalog, serve: Serve, shared_catalog: tuple[FakeCatalog, str]
) -> None:
    catalog.offer(caller.organization_id)
    order = caller.order(NINE, booking_id="mine")
    async with following(caller) as watch:
        await watch.opened()
        first = await caller.send("CreateBooking", order)
        event = await watch.event()
    token = first.management_token
    again = await caller.send("CreateBooking", order)
    async with serve(shared_catalog[1]) as server:
        elsewhere = await server.send("CreateBooking", order)
    answers = [
        event,
        await got(caller, "mine"),
        await caller.send("ListBookings", caller.question("ListBookings", NINE)),
        await caller.send("ListBookingHistory", caller.question("ListBookingHistory", NINE)),
        await move(caller, "mine", at(12)),
        await caller.cancel("mine"),
        await block(caller, at(20), at(21)),
        *await listed(caller, resource_id="studio-a"),
    ]

    assert again == elsewhere == first
    for answer in answers:
        assert token not in str(answer)
        assert token.encode() not in answer.SerializeToString()


async def test_neither_token_nor_key_is_stored_or_logged(
    caller: Caller,
    catalog: FakeCatalog,
    availability_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    catalog.offer(caller.organization_id)
    order = caller.order(NINE, booking_id="mine")
    token = (await caller.send("CreateBooking", order)).management_token
    await caller.send("CreateBooking", order)
    for asked_of in ("mine", "nobody"):
        for method, asked in with_token(caller, asked_of, token).items():
            with suppress(grpc.aio.AioRpcError):
                await caller.send(method, asked)

    stored = str(everything(availability_url, caller))
    written = [str(vars(record)) for record in caplog.records]

    raw = base64.urlsafe_b64decode(token + "=")
    assert any("CreateBooking" in line for line in written)
    for text in (stored, *written):
        for secret in (token, token.encode().hex(), raw.hex(), KEY, KEY.encode().hex()):
            assert secret not in text


async def test_a_token_is_good_at_every_server_of_its_key_and_void_without_its_hash(
    caller: Caller,
    tokens: dict[str, str],
    serve: Serve,
    shared_catalog: tuple[FakeCatalog, str],
    availability_url: str,
) -> None:
    asked = with_token(caller, "mine", tokens["mine"])["GetBooking"]

    async with serve(shared_catalog[1]) as server:
        assert await server.send("GetBooking", asked) == await caller.send("GetBooking", asked)
    rows(
        availability_url,
        "update bookings set token_version = 2 where organization_id = %s",
        caller.organization_id,
    )

    assert (await caller.refusal_of("GetBooking", asked)).reason == "NOT_FOUND"


def test_a_key_is_long_and_no_text_of_the_settings_shows_it() -> None:
    key = uuid.uuid4().hex

    with pytest.raises(ValueError, match="at least 32"):
        settings_for("postgresql://x", management_key=key[:31])
    assert key not in repr(settings_for("postgresql://x", management_key=key))
