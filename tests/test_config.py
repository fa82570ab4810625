"""Settings come from arguments, then the environment, then defaults, and what makes no sense is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from analytics.config import Settings
from analytics.errors import ConfigurationError, UsageError


def test_without_anything_the_documented_defaults_hold() -> None:
    found = Settings.from_env({})
    assert (found.database_url, found.lake, found.reports, found.rates.otherwise) == (
        "", Path("lake"), Path("reports/out"), 0.05
    )  # fmt: skip
    assert found.lake_is_default and found.rates.otherwise_is_default
    assert not Settings.from_env({"ANALYTICS_LAKE": "lake"}).lake_is_default


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ("arg", {"ANALYTICS_DATABASE_URL": "ours", "DATABASE_URL": "common"}, "arg"),
        (None, {"ANALYTICS_DATABASE_URL": "ours", "DATABASE_URL": "common"}, "ours"),
        (None, {"DATABASE_URL": "common"}, "common"),
        (None, {"ANALYTICS_DATABASE_URL": "", "DATABASE_URL": "common"}, "common"),
        (None, {}, ""),  # libpq's own variables
    ],
)
def test_the_nearest_database_url_wins(given: str | None, environment: dict[str, str], expected: str) -> None:
    assert Settings.from_env(environment, database_url=given).database_url == expected


def test_the_nearest_folders_win() -> None:
    environment = {"ANALYTICS_LAKE": "/data/lake", "ANALYTICS_REPORTS": "/data/reports"}
    assert Settings.from_env(environment).lake == Path("/data/lake")
    assert Settings.from_env(environment).reports == Path("/data/reports")
    assert Settings.from_env(environment, lake="here", reports=Path("there")).lake == Path("here")
    assert Settings.from_env(environment, lake="here", reports=Path("there")).reports == Path("there")
    assert Settings.from_env({"ANALYTICS_LAKE": ""}).lake == Path("lake")


@pytest.mark.parametrize(
    ("given", "environment", "rate", "is_default"),
    [
        (None, {}, 0.05, True),
        (None, {"ANALYTICS_SAMPLE_RATE": ""}, 0.05, True),
        (None, {"ANALYTICS_SAMPLE_RATE": "0.05"}, 0.05, False),  # said, even if it is the default's value
        (None, {"ANALYTICS_SAMPLE_RATE": "0"}, 0.0, False),
        (None, {"ANALYTICS_SAMPLE_RATE": " 1 "}, 1.0, False),
        (0.0, {"ANALYTICS_SAMPLE_RATE": "0.5"}, 0.0, False),
        ("0.25", {"ANALYTICS_SAMPLE_RATE": "0.5"}, 0.25, False),
        (1, {}, 1.0, False),
    ],
)
def test_the_nearest_sampling_rate_wins_and_a_default_one_is_known_as_such(
    given: float | str | None, environment: dict[str, str], rate: float, is_default: bool
) -> None:
    found = Settings.from_env(environment, sample_rate=given)
    assert (found.rates.otherwise, found.rates.otherwise_is_default) == (rate, is_default)


@pytest.mark.parametrize("value", ["five", "-0.1", "1.01", "5%", "nan", "inf", "0,05", "1e999", "1e-320"])
def test_a_rate_that_is_no_fraction_is_refused(value: str) -> None:
    for call in ({"env": {"ANALYTICS_SAMPLE_RATE": value}}, {"env": {}, "sample_rate": value}):
        with pytest.raises(ConfigurationError, match="must be a number from 0 to 1") as raised:
            Settings.from_env(**call)  # type: ignore[arg-type]
        assert repr(value) in raised.value.message
        assert "ANALYTICS_SAMPLE_RATE" in raised.value.hint
        assert isinstance(raised.value, UsageError)
        assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("given", "environment", "patience"),
    [
        (None, {}, timedelta(hours=24)),
        (None, {"ANALYTICS_PATIENCE": ""}, timedelta(hours=24)),
        (None, {"ANALYTICS_PATIENCE": "90m"}, timedelta(minutes=90)),
        ("2d", {"ANALYTICS_PATIENCE": "90m"}, timedelta(days=2)),
        (" 30 S", {}, timedelta(seconds=30)),
        ("0h", {}, timedelta(0)),
        (timedelta(hours=1), {}, timedelta(hours=1)),
    ],
)
def test_the_nearest_patience_wins(
    given: timedelta | str | None, environment: dict[str, str], patience: timedelta
) -> None:
    assert Settings.from_env(environment, patience=given).patience == patience


@pytest.mark.parametrize("value", ["24", "long", "-1h", "1.5h", "h", "1w", timedelta(seconds=-1)])
def test_a_patience_that_is_no_duration_is_refused(value: str | timedelta) -> None:
    with pytest.raises(ConfigurationError, match="must be a duration such as 24h") as raised:
        Settings.from_env({}, patience=value)
    assert "ANALYTICS_PATIENCE=24h" in raised.value.hint


def test_the_nearest_number_of_retries_wins() -> None:
    assert Settings.from_env({}).retries == 5
    assert Settings.from_env({"ANALYTICS_RETRIES": "0"}).retries == 0
    assert Settings.from_env({"ANALYTICS_RETRIES": "7"}, retries=0).retries == 0


@pytest.mark.parametrize("value", ["-1", "many", "1.5", 1001])
def test_retries_that_are_no_count_are_refused(value: str | int) -> None:
    with pytest.raises(ConfigurationError, match="must be a whole number from 0 to 1000"):
        Settings.from_env({}, retries=value)


def test_the_real_environment_is_the_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_LAKE", "from-the-environment")
    assert Settings.from_env().lake == Path("from-the-environment")


def test_a_password_is_not_in_the_repr() -> None:
    assert "xyzzy" not in repr(Settings.from_env({"DATABASE_URL": "postgresql://u:xyzzy@h/d"}))


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().retries = 1  # type: ignore[misc]


def test_a_setting_that_there_is_not_is_a_fault_of_the_caller() -> None:
    with pytest.raises(TypeError, match="no setting min_usres"):
        Settings.from_env({}, min_usres=5)  # type: ignore[call-arg]
