"""Settings: read once at the edge, passed down. Nothing else in the package reads the environment."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypedDict, TypeVar, Unpack

from analytics.errors import ConfigurationError
from analytics.estimates.sampling_rates import DEFAULT_SAMPLE_RATE, Rates, checked_rate
from analytics.storage import LakePath, place

T = TypeVar("T")

_UNSAID = Rates((), DEFAULT_SAMPLE_RATE, otherwise_is_default=True)

PATIENCE = timedelta(hours=24)
"""Older than any transaction of the engine or of a nightly job: what is open for longer has been forgotten."""

RETRIES = 5
"""With the pauses between them about a minute: long enough for a restart or a failover."""

_MINUTE = timedelta(minutes=1)

_SECRET_NAME = re.compile(r"PASS(?:WORD|WD|PHRASE)?(?:$|_)|TOKEN|SECRET|CREDENTIAL|KEY(?:$|_)|(?:^|_)DSN$")
_WITH_PASSWORD = re.compile(r"://[^/@\s]*:[^/\s]*@")
_OF_THE_DATABASE = ("ANALYTICS_DATABASE_URL", "DATABASE_URL", "PGPASSFILE", "PGSERVICEFILE", "PGHOST", "PGUSER")

TRACE_LIMIT = 200
NODE_CAP = 1000
DEPTH_CAP = 32
TIME_LIMIT_MS = 500.0
"""The engine's defaults: stored trace entries, visited nodes, depth, milliseconds of the walk."""


class Given(TypedDict, total=False):
    """What may be said in a call or on the command line, each before the variable ``ANALYTICS_…`` of its name and a default.

    ``None`` is not given.

    Attributes:
        database_url: Before ``ANALYTICS_DATABASE_URL``, before ``DATABASE_URL``, before libpq's own variables.
        lake: A folder or ``s3://bucket/prefix``; else ``lake``.
        reports: Folder of rendered reports; else ``reports/out``.
        sample_rate: Where the file of rates says none; else 0.05.
        sample_rates: File of rates, see ``sampling_rates``; empty for no file at all.
        counters: Prometheus server or exported file; else none.
        patience: As text ``90s``, ``45m``, ``24h`` or ``2d``; else 24 hours.
        retries: Else 5.
        source_retention: ``30d`` or ``26w``; else none.
        min_users: 0 counts as not given; else 1.
    """

    database_url: str | None
    lake: str | LakePath | None
    reports: str | Path | None
    sample_rate: float | str | None
    sample_rates: str | Path | None
    counters: str | None
    patience: timedelta | str | None
    retries: int | str | None
    source_retention: str | None
    min_users: int | str | None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command needs to know about where it runs.

    Attributes:
        database_url: SQLAlchemy or libpq URL, or a libpq ``key=value`` string; empty for libpq's own variables. Never
            shown in ``repr``, because it may hold a password.
        lake: Folder of the Parquet lake.
        lake_is_default: Nobody named one.
        reports: Folder of rendered reports.
        rates: Fractions of ok runs the engine logs; where nobody said one, its default, and every command that uses it says so.
        counters: Prometheus server or exported file with the engine's counters; may hold a password; empty for none.
        patience: Open transactions of the source older than this are not waited for.
        retries: How often in a row a run that the source interrupted tries again.
        source_retention: How long the source keeps a row, in whole days; ``None`` where nobody has said that it deletes any.
        pseudonym_key, pseudonym_key_file: The secret that people's ids become pseudonyms with, or the file it is in; empty for
            ids as they are.
        data_fields: Of the fields that an event carries only these are kept; ``None`` for all.
        min_users: Users that whatever a report shows must rest on; 1 where everything may be shown.
    """

    database_url: str = field(default="", repr=False)
    lake: LakePath = Path("lake")
    lake_is_default: bool = True
    reports: Path = Path("reports/out")
    rates: Rates = _UNSAID
    counters: str = field(default="", repr=False)
    patience: timedelta = PATIENCE
    retries: int = RETRIES
    source_retention: timedelta | None = None
    pseudonym_key: str = field(default="", repr=False)
    pseudonym_key_file: str = ""
    data_fields: frozenset[str] | None = None
    min_users: int = 1

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, **given: Unpack[Given]) -> Settings:
        """Build settings from arguments, then the environment, then defaults.

        Args:
            env: The environment; ``os.environ`` when not given.
            **given: What was said in the call or on the command line.

        Raises:
            ConfigurationError: The rate is no number between 0 and 1, the file of rates says something that cannot be, the
                patience is no duration, the retries no count, the retention no number of days; a pseudonym key was said twice,
                or a variable's value stands in quotation marks.
        """
        if unknown := given.keys() - Given.__annotations__.keys():
            raise TypeError(f"there is no setting {', '.join(sorted(unknown))}")
        source = _unquoted(os.environ if env is None else env)

        def first(value: T | None, name: str, default: T) -> str | T:
            """The nearest: the argument, the variable unless it is empty, the default."""
            return value if value is not None else source.get(f"ANALYTICS_{name}") or default

        key, key_file = source.get("ANALYTICS_PSEUDONYM_KEY") or "", source.get("ANALYTICS_PSEUDONYM_KEY_FILE") or ""
        if key and key_file:
            raise ConfigurationError(
                "both ANALYTICS_PSEUDONYM_KEY and ANALYTICS_PSEUDONYM_KEY_FILE are set",
                hint="unset one of them: nobody could say which key the lake's pseudonyms are made with",
            )
        lake: str | LakePath = first(given.get("lake") or None, "LAKE", "")
        return cls(
            database_url=str(
                first(given.get("database_url") or None, "DATABASE_URL", source.get("DATABASE_URL") or "")
            ),
            lake=place(lake or "lake"),
            lake_is_default=not lake,
            reports=_folder(str(first(given.get("reports") or None, "REPORTS", "reports/out"))),
            rates=_rates(
                first(given.get("sample_rate"), "SAMPLE_RATE", None),
                first(given.get("sample_rates"), "SAMPLE_RATES", ""),
            ),
            counters=_at_home(first(given.get("counters") or None, "COUNTERS", "")),
            patience=_duration(first(given.get("patience"), "PATIENCE", PATIENCE)),
            retries=_retries(first(given.get("retries"), "RETRIES", RETRIES)),
            source_retention=_retention(first(given.get("source_retention") or None, "SOURCE_RETENTION", "")),
            pseudonym_key=key,
            pseudonym_key_file=_at_home(key_file),
            data_fields=_data_fields(source.get("ANALYTICS_DATA_FIELDS") or ""),
            min_users=_min_users(first(given.get("min_users") or None, "MIN_USERS", 1)),
        )


def child_environment(package: Path, **more: str) -> dict[str, str]:
    """The environment for a process of our own.

    Args:
        package: Folder that the package lies in; the process finds it there, wherever it stands itself.
        **more: Further variables.
    """
    found = [str(package), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(dict.fromkeys(found))}


def adopt_environment(variables: Mapping[str, str]) -> None:
    """Set variables of this process, which was made for one task and knows only with that where it may write."""
    os.environ.update(variables)
    tempfile.tempdir = None  # found again: where it was forked, something may have asked before


def _unquoted(source: Mapping[str, str]) -> Mapping[str, str]:
    """The variables, none of them in quotation marks, which `docker --env-file` and systemd's cousins hand on as they are."""
    for name, value in source.items():
        if name.startswith("ANALYTICS_") and len(value) > 1 and value[0] in "\"'" and value[0] == value[-1]:
            raise ConfigurationError(
                f"the value of {name} stands in quotation marks, which are a part of it",
                hint=f"write {name}=value without them: no shell reads this file",
            )
    return source


def _folder(said: str) -> Path:
    """A folder of this machine."""
    if re.match(r"[a-z][a-z0-9+.-]+:/", said, re.IGNORECASE):
        raise ConfigurationError(
            f"the folder of reports is an address: {said!r}",
            hint="reports are written to a disk: name a folder, and copy it to the bucket afterwards",
        )
    return Path(_at_home(said))


def home() -> Path | None:
    """The user's own folder; None for a number without an entry among the users, as a container's is."""
    found = _at_home("~")
    return None if found == "~" else Path(found)


def _at_home(said: str) -> str:
    """A path without its tilde, where no shell has seen it. Path's own way raises for strangers, and would change an address."""
    return os.path.expanduser(said)  # noqa: PTH111


def secret_variables(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables of the environment that may hold a secret, or say where one lies.

    Args:
        env: The environment; ``os.environ`` when not given.

    Returns:
        Value by name: those whose name says so, those whose value is an address with a password, and what leads to the
        database. None of it may reach a rendered report.
    """
    source = os.environ if env is None else env
    return {
        name: value
        for name, value in source.items()
        if value and (name in _OF_THE_DATABASE or _SECRET_NAME.search(name.upper()) or _WITH_PASSWORD.search(value))
    }


def _duration(value: timedelta | str) -> timedelta:
    if isinstance(value, timedelta):
        if value >= timedelta(0):
            return value
    elif match := re.fullmatch(r"(\d{1,6})\s*([smhd])", value.strip().lower()):
        return (
            int(match[1]) * {"s": timedelta(seconds=1), "m": _MINUTE, "h": 60 * _MINUTE, "d": 1440 * _MINUTE}[match[2]]
        )
    raise ConfigurationError(
        f"the patience must be a duration such as 24h, not {str(value)!r}",
        hint="write 90s, 45m, 24h or 2d: --patience 24h or ANALYTICS_PATIENCE=24h",
    )


def _retention(value: str) -> timedelta | None:
    if not value.strip():
        return None
    match = re.fullmatch(r"(\d{1,5})\s*([dw])", value.strip().lower())
    days = int(match[1]) * (7 if match[2] == "w" else 1) if match else 0
    if not days:
        raise ConfigurationError(
            f"the source's retention must be a number of days such as 30d, not {value!r}",
            hint="write 30d or 26w: --source-retention 30d or ANALYTICS_SOURCE_RETENTION=30d; empty where nothing is deleted",
        )
    return timedelta(days=days)


def _data_fields(value: str) -> frozenset[str] | None:
    names = [name.strip().removeprefix("data.") for name in value.split(",") if name.strip()]
    if not names:
        return None
    if "none" not in names:
        return frozenset(names)
    if len(names) > 1:
        raise ConfigurationError(
            f"ANALYTICS_DATA_FIELDS names fields and none: {value!r}",
            hint="write level,team for these two, none for not a single one; empty keeps all",
        )
    return frozenset()


def _rates(rate: float | str | None, file: str | Path) -> Rates:
    """The rates of a file, with one for what it does not say."""
    otherwise = DEFAULT_SAMPLE_RATE if rate is None else checked_rate(rate)
    if not file:
        return Rates((), otherwise, rate is None)
    return Rates.read(_at_home(str(file)), otherwise=otherwise, otherwise_is_default=rate is None)


def _retries(value: int | str) -> int:
    count = _whole_number(value)
    if not 0 <= count <= 1000:
        raise ConfigurationError(
            f"the number of retries must be a whole number from 0 to 1000, not {value!r}",
            hint="--retries 5 or ANALYTICS_RETRIES=5; 0 gives up at the first failure",
        )
    return count


def _min_users(value: int | str) -> int:
    count = _whole_number(value)
    if not 1 <= count <= 1_000_000:
        raise ConfigurationError(
            f"the users that a cell must rest on must be a whole number from 1 on, not {value!r}",
            hint="--min-users 5 or ANALYTICS_MIN_USERS=5; 1 leaves nothing out",
        )
    return count


def _whole_number(value: int | str) -> int:
    """Of a word; -1 for what is none."""
    try:
        return int(value)
    except ValueError:
        return -1


def journal_stream(env: Mapping[str, str] | None = None) -> str:
    """Device and inode of the stream that goes to systemd's journal, ``8:4711``; empty where there is none."""
    return (os.environ if env is None else env).get("JOURNAL_STREAM", "")
