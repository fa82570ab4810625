"""Finding and opening a lake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analytics.config import Settings
from analytics.lake import Lake
from analytics.warehouse import Warehouse

_LAKES = tuple(Path(place) for place in ("lake", "demo/lake", "../lake", "../demo/lake"))


def open_lake(path: str | Path | None = None, *, realm: str | Sequence[str | None] | None = ()) -> Warehouse:
    """Open a lake for reading.

    Args:
        path: Its folder. When not given: ``ANALYTICS_LAKE``, else ``lake``, else the demo's, here or one folder up (where a
            notebook's kernel stands).
        realm: Only this tenant, or these; every view then holds nothing else. ``None`` is the NULL realm, the default
            (an empty tuple) means all.

    Raises:
        LakeError: There is no lake in that folder.
        UnknownNameError: The lake holds nothing of that realm.
    """
    scope: tuple[str | None, ...] = (realm,) if realm is None or isinstance(realm, str) else tuple(realm)
    return Warehouse(Lake(find_lake(path)), realms=scope or None)


def find_lake(path: str | Path | None = None) -> Path:
    """The folder of the lake to read, as ``open_lake`` looks for it."""
    settings = Settings.from_env(lake=path, sample_rates="")  # the rates of a lake are in its ledger
    if not settings.lake_is_default:
        return settings.lake
    return next((place for place in _LAKES if place.is_dir()), settings.lake)
