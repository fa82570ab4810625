"""Finding and opening a lake; what ``analytics.open_lake()`` returns can also explain one run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.config import Settings
from analytics.errors import UsageError
from analytics.lake import Lake
from analytics.warehouse import Warehouse

if TYPE_CHECKING:
    from analytics.stories.explained import Explained


class OpenLake(Warehouse):
    """A lake opened for reading, with what is known of its runs one by one."""

    def explain(
        self,
        execution_id: str,
        *,
        since: str | date | None = None,
        until: str | date | None = None,
        show_users: bool = False,
        versus: int | None = None,
    ) -> Explained:
        """Why one run paid what it paid: its decision path, shown as HTML in a notebook and as text elsewhere.

        Args:
            execution_id: Id of the run, or its first letters where only one run has them.
            since, until: Only look at runs of this time.
            show_users: Show user ids.
            versus: Another version of the strategy, to run on the same inputs.

        Raises:
            UsageError: Several runs have such an id.
            UnknownNameError: No run has it, or the lake holds no program of that version.
        """
        from analytics.stories.explained import explain

        return explain(self, execution_id, since=since, until=until, show_users=show_users, versus=versus)


_LAKES = tuple(Path(place) for place in ("lake", "demo/lake", "../lake", "../demo/lake"))


def open_lake(path: str | Path | None = None, *, realm: str | Sequence[str | None] | None = ()) -> OpenLake:
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
    realms: tuple[str | None, ...] = (realm,) if realm is None or isinstance(realm, str) else tuple(realm)
    return OpenLake(Lake(find_lake(path)), realms=realms or None)


def find_lake(path: str | Path | None = None) -> Path:
    """The folder of the lake to read, as ``open_lake`` looks for it."""
    settings = Settings.from_env(lake=path, sample_rates="")  # the rates of a lake are in its ledger
    if not settings.lake_is_default:
        return settings.lake
    return next((place for place in _LAKES if place.is_dir()), settings.lake)


def warehouse_of(lake: Warehouse | str | Path | None, realm: str | None, any_realm: bool) -> Warehouse:
    """A lake that is open, or is opened, with one tenant in sight or all."""
    if isinstance(lake, Warehouse):
        return lake if any_realm else Warehouse(lake.lake, realms=[realm])
    return open_lake(lake or None, realm=() if any_realm else realm)


def tenant_of(realm: str | None, no_realm: bool) -> tuple[str | None, bool]:
    """The realm, and whether any will do.

    Raises:
        UsageError: A realm and none were asked for.
    """
    if realm is None or no_realm:
        if realm:
            raise UsageError("either a realm or none", hint="leave out --no-realm, or --realm")
        return None, False
    return (realm, False) if realm else (None, True)
