"""Which strategy is meant, by its name or a tag, and its logged runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from analytics import sql
from analytics.errors import UnknownNameError, UsageError, did_you_mean
from analytics.lake import losses
from analytics.lake.shell import word
from analytics.sql import Row
from analytics.warehouse.coverage import coverage
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

NO_CODE = "(no code)"
"""Stands for a failure whose ``errorCode`` is NULL."""

_NAMES = "select distinct family_name from strategy_days where family_name is not null order by 1"
_MOST_NAMES = 30

_REPEATED = ("strategy_id", "status", "error_code", "external_game_id", "external_task_id", "external_user_id")
_NOT_OF_PAY = ("execution_id", "case_name", "duration_ms", "external_game_id", "external_task_id", "is_truncated")


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


class _Member(NamedTuple):
    """A version that a query found; columns as of ``family_members``."""

    realm_id: str | None
    family_name: str | None
    strategy_id: str
    strategy_version: int
    has_definition: bool

    @classmethod
    def of(cls, rows: Iterable[Row]) -> list[_Member]:
        """The versions of an answer; those of ``tagged_members`` have a definition, for it carries the tag."""
        return [
            cls(
                row["realm_id"],
                row["family_name"],
                str(row["strategy_id"]),
                int(row["strategy_version"]),
                bool(row.get("has_definition", True)),
            )
            for row in rows
        ]

    @property
    def version(self) -> tuple[str, int]:
        """Strategy id and version."""
        return self.strategy_id, self.strategy_version


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
            hint=f"give --family NAME or --strategy ID; {_known(list(_first(lake, _NAMES)))}",
        )
    found = _Member.of(lake.rows("family_members", realm=realm, any_realm=any_realm, family=family, strategy=strategy))
    wanted = family or strategy
    if not found:
        known = list(_first(lake, _NAMES))
        raise UnknownNameError(
            f"no strategy {wanted!r} in this realm of the lake",
            hint=f"{losses.perhaps(lake.lost())}{did_you_mean(wanted, known)}{_known(known)}",
            name=wanted,
        )
    realms = {member.realm_id for member in found}
    if len(realms) > 1:
        raise UsageError(
            f"{wanted!r} is the name of a strategy in {len(realms)} realms",
            hint="say which: --realm NAME, or --no-realm",
        )
    names = [member.family_name for member in found if member.family_name is not None]
    return Family(
        realm=next(iter(realms)),
        name=names[0] if names else str(wanted),
        is_named=bool(names),
        members=tuple(sorted({member.version for member in found}, key=lambda version: version[::-1])),
        defined=frozenset(member.version for member in found if member.has_definition),
    )


MOST_ROWS = 1_000_000
"""Drawn runs that are read; of more, an even part is taken, and each stands for more runs."""
_BATCH = 50_000


def part_to_read(lake: Warehouse, family: Family, since: datetime, until: datetime, *, most: int = MOST_ROWS) -> float:
    """The part of a family's drawn runs that a report reads: all of them, but where they are very many.

    A run that is drawn at one rate, and of those at another, is drawn at their product: the part is again a Bernoulli sample, and
    with weights to match every estimate and its interval hold as they are.

    Args:
        lake: Where to look.
        family: Whose runs.
        since, until: When they ran.
        most: How many may be read.
    """
    if lake.engine is not None:  # Spark hashes otherwise than DuckDB, which reads the traces
        return 1.0
    [(count,)] = lake.sql(sql.text("variants", "family_count"), **_asked(family, since, until)).fetchall()
    # Which runs are taken is told by a hash in millionths.
    return 1.0 if count <= most else max(1, int(1_000_000 * most / count)) / 1_000_000


def family_runs(
    lake: Warehouse, family: Family, since: datetime, until: datetime, *, part: float = 1.0, only_pay: bool = False
) -> pd.DataFrame:
    """Logged runs of a family in a window, oldest first, with ``label`` (``v3``) and ``window_rate``. Grain: logged run.

    Texts that repeat are categoricals: a selection then copies a small number for each row and not its text.

    Args:
        lake: Where they are.
        family: Whose they are.
        since, until: When they ran.
        part: The part of the drawn runs to take; ``sample_weight`` and ``window_rate`` make up for it. Failures are all there.
        only_pay: Without the columns of ``_NOT_OF_PAY``, which cost more than all others to read and to hold.
    """
    asked = _asked(family, since, until)
    if lake.engine is not None:
        table = _coded(lake.table("strategy_runs", **asked))
        rows = _frame(table.drop_columns(list(_NOT_OF_PAY)) if only_pay else table)
    else:
        rows = _frame(_read(lake, "pay_rows" if only_pay else "family_rows", {**asked, "part": part}))
    rows["label"] = labels_of(rows, family)
    codes = rows["error_code"].cat
    if NO_CODE not in codes.categories:
        rows["error_code"] = codes.set_categories(sorted([*codes.categories, NO_CODE]))
    rows["error_code"] = rows["error_code"].where(rows["error_code"].notna() | (rows["status"] == "ok"), NO_CODE)
    window = Window(since, until)
    rows["window_rate"] = coverage(lake, window).smallest_rate * part
    return rows


def _asked(family: Family, since: datetime, until: datetime) -> dict[str, Any]:
    return {"realm": family.realm, "strategy_ids": family.strategy_ids, "since": since, "until": until}


def _read(lake: Warehouse, statement: str, asked: dict[str, Any]) -> pa.Table:
    """The rows, batch by batch: the texts of all rows are never there at once."""
    import pyarrow as pa

    def read() -> pa.Table:
        found = lake.connection.sql(sql.text("variants", statement), params=asked)
        reader = found.to_arrow_reader(_BATCH)
        batches = [_coded(pa.Table.from_batches([batch])) for batch in reader]
        return pa.concat_tables(batches or [_coded(reader.schema.empty_table())]).unify_dictionaries()

    return lake.ask(read)


def _coded(table: pa.Table) -> pa.Table:
    """With texts that repeat as dictionaries."""
    for name in set(_REPEATED) & set(table.column_names):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].dictionary_encode())
    return table


def _frame(table: pa.Table) -> pd.DataFrame:
    """The rows as a frame, oldest first: one column after the other, for two copies of a million rows are many bytes."""
    import pandas as pd

    order, columns = _order(table), {}
    for name in table.column_names:
        column = table.select([name]) if order is None else table.select([name]).take(order)
        columns[name] = column.to_pandas()[name]
        table = table.drop([name])
        if name in _REPEATED:
            # Categories in the order of text, so that a group by names groups in the order it would have for texts.
            columns[name] = columns[name].cat.set_categories(sorted(columns[name].cat.categories))
    return pd.DataFrame(columns, copy=False)


def _order(table: pa.Table) -> npt.NDArray[np.int64] | None:
    """Places of the rows by time, then by id, or where they have none as they were; None where they are in that order."""
    import numpy as np

    time = table["created_at"].cast("int64").to_numpy()
    if (time[1:] > time[:-1]).all():
        return None
    order = np.argsort(time, kind="stable")
    is_tied = time[order][1:] == time[order][:-1]
    tied = np.flatnonzero(np.r_[is_tied, False] | np.r_[False, is_tied])
    if len(tied) and "execution_id" in table.column_names:
        ids = table["execution_id"].take(order[tied]).to_pylist()
        order[tied] = order[tied][np.lexsort((np.array(ids, dtype=object), time[order[tied]]))]
    return None if (order[1:] > order[:-1]).all() else order


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


TAG = "tag:"
"""Stands before the name of an experiment's tag, for it not to be taken for a strategy's name."""

_TAGS = "select distinct experiment_tag from definitions where experiment_tag is not null order by 1"


def find_group(lake: Warehouse, name: str, *, realm: str | None, any_realm: bool = False) -> Family:
    """The strategy of a name, or the versions of one strategy that carry an experiment's tag.

    Args:
        lake: Where to look.
        name: Of a strategy; of a tag, where no strategy has that name or ``tag:`` stands before it; or an id of any version.
        realm: Tenant; ``None`` is the NULL realm.
        any_realm: Look in every realm; the name must then be in one only.

    Raises:
        UsageError: It is the name of a strategy and a tag in one, the tag is on several strategies, or it is in several realms.
        UnknownNameError: Nothing is called so.
    """
    named = _named(lake, name, realm, any_realm)
    tagged = _tagged(lake, name.removeprefix(TAG), realm, any_realm) if named is None or name.startswith(TAG) else None
    if named is not None and tagged is not None:
        raise UsageError(
            f"{name!r} is the name of a strategy, and {tagged.name!r} an experiment's tag",
            hint=f"say which by the id of any version: {named.strategy_ids[0]} or {tagged.strategy_ids[0]}",
        )
    if found := named or tagged:
        return found
    try:
        return find_family(lake, realm=realm, any_realm=any_realm, strategy=name)
    except UnknownNameError:
        known = [*_first(lake, _NAMES), *(f"{TAG}{tag}" for tag in _first(lake, _TAGS))]
        raise UnknownNameError(
            f"no strategy and no experiment tag {name!r} in this realm of the lake",
            hint=f"{did_you_mean(name, known)}{_known(known)}",
            name=name,
        ) from None


def find_other(lake: Warehouse, first: Family, name: str) -> Family:
    """What a strategy is to be compared with, of the same tenant.

    Args:
        lake: Where to look; where it shows other tenants, theirs are told from names that nobody has.
        first: The strategy.
        name: As ``find_group`` takes it.

    Raises:
        UsageError: It is the same strategy, shares a version with it, or is another tenant's.
        UnknownNameError: Nothing is called so.
    """
    try:
        found = find_group(lake.scoped([first.realm]), name, realm=first.realm)
    except UnknownNameError:
        elsewhere = _elsewhere(lake, name)
        if not elsewhere:
            raise
        raise UsageError(
            f"{first.name!r} and {name!r} are strategies of different tenants: {_realm(first.realm)} and "
            f"{', '.join(_realm(realm) for realm in elsewhere)}",
            hint="who plays and what is sent is another matter there: compare two strategies of one tenant",
        ) from None
    shared = set(first.members) & set(found.members)
    if shared == set(first.members) == set(found.members):
        raise UsageError(
            f"{first.name!r} would be compared with itself",
            hint="name another strategy, or its versions with --baseline v1",
        )
    if shared:
        raise UsageError(
            f"{first.name!r} and {found.name!r} share {', '.join(f'v{version}' for _, version in sorted(shared))}: the same "
            "runs would be on both sides",
            hint="versions of one strategy are compared with --baseline v1",
        )
    return found


def _named(lake: Warehouse, name: str, realm: str | None, any_realm: bool) -> Family | None:
    try:
        return find_family(lake, realm=realm, any_realm=any_realm, family=name)
    except UnknownNameError:
        return None


def _tagged(lake: Warehouse, tag: str, realm: str | None, any_realm: bool) -> Family | None:
    found = _Member.of(lake.rows("tagged_members", realm=realm, any_realm=any_realm, tag=tag))
    if not found:
        return None
    realms = {member.realm_id for member in found}
    if len(realms) > 1:
        raise UsageError(
            f"the experiment tag {tag!r} is in {len(realms)} realms",
            hint="say which: --realm NAME, or --no-realm",
        )
    names = list(dict.fromkeys(str(member.family_name) for member in found))
    if len(names) > 1:
        raise UsageError(
            f"the experiment tag {tag!r} is on {len(names)} strategies: {', '.join(map(repr, names))}",
            hint=f"compare them with each other: family={names[0]!r}, against={names[1]!r}",
            command_hint=f"compare them with each other: --family={word(names[0])} --against={word(names[1])}",
        )
    members = sorted({member.version for member in found}, key=lambda version: version[::-1])
    return Family(found[0].realm_id, f"{TAG}{tag}", True, tuple(members), frozenset(members))


def _elsewhere(lake: Warehouse, name: str) -> list[str | None]:
    """Tenants in sight of whom a strategy or tag is called so."""
    found = _Member.of(lake.rows("family_members", any_realm=True, family=name, strategy=name))
    found += _Member.of(lake.rows("tagged_members", any_realm=True, tag=name.removeprefix(TAG)))
    return list(dict.fromkeys(member.realm_id for member in found))


def _realm(realm: str | None) -> str:
    return "no realm" if realm is None else f"realm {realm!r}"


def _known(names: Sequence[str]) -> str:
    """The names that could have been given, the end of a hint."""
    if not names:
        return "no name is known, for names come from definitions and the lake holds none: give --strategy ID"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"known: {', '.join(map(repr, names[:_MOST_NAMES]))}{more}"


def _first(lake: Warehouse, statement: str) -> Iterable[str]:
    return (str(row[0]) for row in lake.ask(lambda: lake.connection.execute(statement).fetchall()))
