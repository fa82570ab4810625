"""Where the lake is that somebody means, whose rows of it, and who asks them: what is known before it is opened."""

from __future__ import annotations

from pathlib import Path

from analytics.config import Settings
from analytics.errors import UsageError
from analytics.storage import LakePath, local_path

ENGINES = ("duckdb", "spark")

_LAKES = tuple(Path(place) for place in ("lake", "demo/lake", "../lake", "../demo/lake"))


def find_lake(path: str | LakePath | None = None, settings: Settings | None = None) -> LakePath:
    """The folder of the lake to read, as ``open_lake`` looks for it.

    Args:
        path: What somebody named, if anything; where it is not here, it is looked for above, up to the checkout.
        settings: Made with it, where they have been read already.
    """
    settings = settings or Settings.from_env(lake=path, sample_rates="")  # the rates of a lake are in its ledger
    if not settings.lake_is_default:
        folder = local_path(settings.lake)
        return settings.lake if folder is None else _from_here(folder)
    return next((place for place in _LAKES if place.is_dir()), settings.lake)


def _from_here(folder: Path) -> Path:
    """The folder, or the one of that name further up: a notebook's kernel stands below where the command runs.

    Nothing above the checkout that we are in is looked at; outside of one, nothing but the folder above.
    """
    if folder.is_absolute() or folder.is_dir() or _is_checkout(Path.cwd()):
        return folder
    above = list(Path.cwd().parents)
    levels = next((level for level, place in enumerate(above, 1) if _is_checkout(place)), 1)
    for level in range(1, levels + 1):
        if (found := Path(*[".."] * level, folder)).is_dir():
            return found
    return folder


def _is_checkout(place: Path) -> bool:
    return (place / "pyproject.toml").is_file() or (place / ".git").exists()


def check_engine(engine: str, gathered: str) -> None:
    """Refuse an engine that there is not, or one that does not go with what was gathered.

    Raises:
        UsageError: It is so.
    """
    if engine not in ("", *ENGINES):
        raise UsageError(f"there is no engine {engine!r}", hint=f"{' or '.join(ENGINES)}")
    if gathered and engine == "spark":
        raise UsageError("Spark asks by itself", hint="leave out --gathered, or --engine")


def tenant_of(realm: str | None, no_realm: bool | None) -> tuple[str | None, bool]:
    """The realm, and whether any will do.

    Raises:
        UsageError: A realm and none were asked for, or it is ``None`` though the NULL realm was said not to be meant.
    """
    if realm is None and no_realm is False:
        # A tenant called None, which papermill's -p made into Python's None.
        raise UsageError(
            "the realm is None, and no_realm is False",
            hint="the rows without a realm are no_realm = True; a tenant of that name is a text: -r realm None",
        )
    if realm is None or no_realm:
        if realm:
            raise UsageError("either a realm or none", hint="leave out --no-realm, or --realm")
        return None, False
    return (realm, False) if realm else (None, True)
