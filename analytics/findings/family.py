"""Which strategy is meant, and its logged runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from analytics import losses
from analytics.errors import UnknownNameError, UsageError, did_you_mean
from analytics.status import coverage
from analytics.warehouse import Warehouse, records
from analytics.window import Window

if TYPE_CHECKING:
    import pandas as pd

NO_CODE = "(no code)"
"""Stands for a failure whose ``errorCode`` is NULL."""

_NAMES = "select distinct family_name from strategy_days where family_name is not null order by 1"
_MOST_NAMES = 30

_REPEATED = ("strategy_id", "status", "error_code", "external_game_id", "external_task_id", "external_user_id")


@dataclass(frozen=True, slots=True)
class Family:
    """One strategy as people speak of it: all its versions.

    Attributes:
        realm: Tenant; ``None`` is the NULL realm.
        name: Family name; the strategy id where no definition tells one.
        is_named: The name comes from a definition.
        members: (strategy id, version), oldest version first.
        defined: Those of them whose definition the lake holds.
    """

    realm: str | None
    name: str
    is_named: bool
    members: tuple[tuple[str, int], ...]
    defined: frozenset[tuple[str, int]]

    @property
    def strategy_ids(self) -> list[str]:
        """Ids of all versions."""
        return sorted({strategy for strategy, _ in self.members})


def find_family(
    lake: Warehouse,
    *,
    realm: str | None,
    any_realm: bool = False,
    family: str | None = None,
    strategy: str | None = None,
) -> Family:
    """The strategy of a name or id.

    Args:
        lake: Where to look.
        realm: Tenant; ``None`` is the NULL realm.
        any_realm: Look in every realm; the name must then be in one only.
        family: Name of the strategy.
        strategy: Id of any of its versions.

    Raises:
        UsageError: Neither name nor id, or the name is in several realms.
        UnknownNameError: Nothing of that name was ever logged or defined.
    """
    if not family and not strategy:
        raise UsageError(
            "which strategy?",
            hint="give --family NAME or --strategy ID; this lists them: "
            'strategy-analytics query --all-realms "select distinct realm_id, family_name from strategy_days"',
        )
    rows = records(lake.run("family_members", realm=realm, any_realm=any_realm, family=family, strategy=strategy))
    wanted = family or strategy
    if not rows:
        known = [row[0] for row in lake.asked(lambda: lake.connection.execute(_NAMES).fetchall())]
        listed = ", ".join(repr(name) for name in known[:_MOST_NAMES])
        nameless = "none, for names come from definitions and the lake holds none of them: give --strategy ID"
        raise UnknownNameError(
            f"no strategy {wanted!r} in this realm of the lake",
            hint=f"{losses.perhaps(lake.lost())}{did_you_mean(wanted, known)}known: {listed or nameless}",
            name=wanted,
        )
    realms = {row["realm_id"] for row in rows}
    if len(realms) > 1:
        raise UsageError(
            f"{wanted!r} is the name of a strategy in {len(realms)} realms",
            hint="say which: --realm NAME, or --no-realm",
        )
    names = [row["family_name"] for row in rows if row["family_name"] is not None]
    members = [(str(row["strategy_id"]), int(row["strategy_version"])) for row in rows]
    return Family(
        realm=next(iter(realms)),
        name=names[0] if names else str(wanted),
        is_named=bool(names),
        members=tuple(sorted(set(members), key=lambda member: (member[1], member[0]))),
        defined=frozenset(m for m, row in zip(members, rows, strict=True) if row["has_definition"]),
    )


def family_runs(lake: Warehouse, family: Family, since: datetime, until: datetime) -> pd.DataFrame:
    """Logged runs of a family in a window, oldest first, with ``label`` (``v3``) and ``window_rate``. Grain: logged run.

    Texts that repeat are categoricals: a selection then copies a small number for each row and not its text.
    """
    asked = {"realm": family.realm, "strategy_ids": family.strategy_ids, "since": since, "until": until}
    table = lake.table("strategy_runs", **asked)
    for name in _REPEATED:
        table = table.set_column(table.schema.get_field_index(name), name, table[name].dictionary_encode())
    rows: pd.DataFrame = table.to_pandas()
    # Categories in the order of text, so that a group by names groups in the order it would have for texts.
    for name in _REPEATED:
        rows[name] = rows[name].cat.set_categories(sorted(rows[name].cat.categories))
    rows["label"] = labels_of(rows, family)
    codes = rows["error_code"].cat
    if NO_CODE not in codes.categories:
        rows["error_code"] = codes.set_categories(sorted([*codes.categories, NO_CODE]))
    rows["error_code"] = rows["error_code"].where(rows["error_code"].notna() | (rows["status"] == "ok"), NO_CODE)
    window = Window(since, until)
    rows["window_rate"] = coverage(lake, window).smallest_rate
    return rows


def labels_of(rows: pd.DataFrame, family: Family) -> pd.Categorical:
    """``v3`` for each row; with the beginning of the id where two ids have the same version number.

    Args:
        rows: ``strategy_id`` (categorical), ``strategy_version``.
        family: Knows which ids there are.
    """
    import numpy as np
    import pandas as pd

    # Two ids may carry the same version number, after an import: then the number alone would mix two programs.
    doubled = {v for v in {v for _, v in family.members} if sum(version == v for _, version in family.members) > 1}
    ids, (numbers, versions) = rows["strategy_id"].cat, pd.factorize(rows["strategy_version"])
    pairs, places = np.unique(ids.codes.to_numpy(np.int64) * max(len(versions), 1) + numbers, return_inverse=True)
    names = []
    for pair in pairs.tolist():
        strategy, version = ids.categories[pair // len(versions)], versions[pair % len(versions)]
        names.append(f"v{version} ({str(strategy)[:8]})" if version in doubled else f"v{version}")
    return pd.Categorical(names, categories=sorted(set(names))).take(places)
