"""Settings and what they are refused for."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.presence.settings import PresenceSettings
from services.presence.storage.server import refuse_old
from shared.runtime.failure import StartRefused

REQUIRED = {"redis_url": "redis://127.0.0.1", "catalog_address": "127.0.0.1:1"}


def test_defaults_are_the_terms_of_the_contract() -> None:
    terms = PresenceSettings.model_validate(REQUIRED).terms()

    assert (terms.timeout.total_seconds(), terms.holds_per_resource) == (10, 4)


def test_by_default_an_end_is_told_within_a_second_and_a_hold_is_overdue_after_six() -> None:
    settings = PresenceSettings.model_validate(REQUIRED)

    overdue_after = settings.terms().timeout - settings.terms().overdue_before_expiry
    assert overdue_after.total_seconds() == 6
    assert settings.sweep_interval().total_seconds() <= 0.5
    assert settings.hold_log_length >= 10_000


@pytest.mark.parametrize("name", REQUIRED)
def test_where_the_others_are_must_be_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"HOLDFAST_{name.upper()}", raising=False)

    with pytest.raises(ValidationError, match=name):
        PresenceSettings.model_validate({k: v for k, v in REQUIRED.items() if k != name})


@pytest.mark.parametrize(
    "wrong",
    [
        {"hold_timeout_seconds": 0},
        {"holds_per_resource": 0},
        {"redis_timeout_seconds": 0},
        {"sweep_interval_seconds": 0},
        {"sweep_interval_seconds": 1},
        {"hold_log_length": 0},
        {"watch_patience_seconds": 0},
        {"watch_linger_seconds": -1},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        PresenceSettings.model_validate(REQUIRED | wrong)


@pytest.mark.parametrize("version", ["6.0.20", "5.0.7", "2.8"])
def test_a_store_too_old_is_refused(version: str) -> None:
    with pytest.raises(StartRefused, match=version):
        refuse_old(version)


@pytest.mark.parametrize("version", ["6.2.0", "7.2.4", "10.0"])
def test_a_store_new_enough_is_not(version: str) -> None:
    refuse_old(version)
