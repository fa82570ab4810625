"""Two strategies that are compared: which are meant by two names or experiment tags."""

from __future__ import annotations

from collections.abc import Iterable

from analytics.errors import UnknownNameError, UsageError, did_you_mean
from analytics.findings.family import Family, find_family
from analytics.warehouse import Warehouse, records

TAG = "tag:"
"""Stands before the name of an experiment's tag, for it not to be taken for a strategy's name."""

_NAMES = "select distinct family_name from strategy_days where family_name is not null order by 1"
_TAGS = "select distinct experiment_tag from definitions where experiment_tag is not null order by 1"
_MOST_NAMES = 30


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
        listed = ", ".join(repr(one) for one in known[:_MOST_NAMES])
        raise UnknownNameError(
            f"no strategy and no experiment tag {name!r} in this realm of the lake",
            hint=f"{did_you_mean(name, known)}known: {listed or 'none, for names come from definitions: give an id'}",
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
    rows = records(lake.run("tagged_members", realm=realm, any_realm=any_realm, tag=tag))
    if not rows:
        return None
    if len({row["realm_id"] for row in rows}) > 1:
        raise UsageError(
            f"the experiment tag {tag!r} is in {len({row['realm_id'] for row in rows})} realms",
            hint="say which: --realm NAME, or --no-realm",
        )
    names = list(dict.fromkeys(str(row["family_name"]) for row in rows))
    if len(names) > 1:
        raise UsageError(
            f"the experiment tag {tag!r} is on {len(names)} strategies: {', '.join(map(repr, names))}",
            hint=f"compare them with each other: --family {names[0]!r} --against {names[1]!r}",
        )
    members = sorted({(str(row["strategy_id"]), int(row["strategy_version"])) for row in rows}, key=lambda m: m[::-1])
    return Family(rows[0]["realm_id"], f"{TAG}{tag}", True, tuple(members), frozenset(members))


def _elsewhere(lake: Warehouse, name: str) -> list[str | None]:
    """Tenants in sight of whom a strategy or tag is called so."""
    rows = records(lake.run("family_members", any_realm=True, family=name, strategy=name))
    rows += records(lake.run("tagged_members", any_realm=True, tag=name.removeprefix(TAG)))
    return list(dict.fromkeys(row["realm_id"] for row in rows))


def _realm(realm: str | None) -> str:
    return "no realm" if realm is None else f"realm {realm!r}"


def _first(lake: Warehouse, statement: str) -> Iterable[str]:
    return (str(row[0]) for row in lake.asked(lambda: lake.connection.execute(statement).fetchall()))
