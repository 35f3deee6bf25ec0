"""Settings of the catalog."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.catalog.settings import CatalogSettings


def test_every_setting_says_what_it_is() -> None:
    for name, field in CatalogSettings.model_fields.items():
        assert field.description, name


@pytest.mark.parametrize(
    "wrong",
    [
        {"postgres_connections": 0},
        {"postgres_pool_timeout_seconds": 0},
        {"postgres_statement_timeout_seconds": -1},
    ],
)
def test_a_limit_that_would_stop_everything_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        CatalogSettings.model_validate({"postgres_url": "postgresql:///catalog", **wrong})


def test_the_database_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDFAST_POSTGRES_URL", raising=False)

    with pytest.raises(ValidationError):
        CatalogSettings.model_validate({})


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_POSTGRES_URL", "postgresql:///catalog")
    monkeypatch.setenv("HOLDFAST_POSTGRES_CONNECTIONS", "3")

    settings = CatalogSettings.model_validate({})

    assert (settings.postgres_url, settings.postgres_connections) == ("postgresql:///catalog", 3)
