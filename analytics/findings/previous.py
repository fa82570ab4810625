"""The last report on runaway rules, as its ``summary.json`` tells it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from analytics import shapes
from analytics.errors import UsageError
from analytics.estimates import Estimate
from analytics.findings.runaway_keys import Family, Key, key_of

REPORT = "runaway_rules"
_GRADES = ("good", "rough", "too few")
_HINT = "name the summary.json of an earlier report on runaway rules, or none to compare with the lake's own history"


@dataclass(frozen=True, slots=True)
class Known:
    """A finding that was open in the last report.

    Attributes:
        what: See `Finding`.
        key: Which version, of several the latest; None when it concerned several families.
        count: Logged runs, where it counts runs; of all versions of the family.
        number: Its figure, of several versions the largest.
        unit: Of the number.
        last_seen: When it was last seen.
        runs: Runs of the family among which ``count`` was counted; None when not known.
        runs_since: Runs of the family since then in which it was not seen any more.
    """

    what: str
    key: Key | None
    count: int | None
    number: Estimate | float | None
    unit: str
    last_seen: datetime
    runs: Estimate | None
    runs_since: float

    @property
    def identity(self) -> tuple[str, Family | None]:
        """What makes it the same finding in another report: versions change, the family stays."""
        return self.what, self.key.family if self.key else None


@dataclass(frozen=True, slots=True)
class Previous:
    """A report of earlier times.

    Attributes:
        since, until: Its window, UTC.
        known: Its findings that were open: all but what it called fixed.
        realm: The tenant it was about; empty for all, None for the NULL realm.
    """

    since: datetime
    until: datetime
    known: tuple[Known, ...]
    realm: str | None = ""

    def of(self, realms: Collection[str | None]) -> Previous:
        """The same of these tenants only: a page about one must not name others.

        Raises:
            UsageError: The report was about another tenant alone, so that it can say nothing of these.
        """
        if self.realm != "" and set(realms) != {self.realm}:
            raise UsageError("the last report is about another tenant, or about one of them only", hint=_HINT)
        own = tuple(one for one in self.known if one.key is None or one.key.realm in realms)
        return replace(self, known=own)


def read(path: Path | str) -> Previous:
    """A report from its ``summary.json``.

    Raises:
        UsageError: The file cannot be read, or is not that of a report on runaway rules.
    """
    try:
        told = shapes.document(Path(path).read_text(encoding="utf-8"))
    except (OSError, *shapes.WRONG) as error:
        raise UsageError(f"the last report {path} cannot be read: {shapes.said(error)}", hint=_HINT) from None
    if told.get("report") != REPORT:
        raise UsageError(f"{path} is not the summary of a report on runaway rules", hint=_HINT)
    try:
        since, until = shapes.moment(told["since"]), shapes.moment(told["until"])
        runs = _runs(shapes.listed(told["league"]))
        findings = [one for one in shapes.listed(told["findings"]) if shapes.text(one["kind"]) != "fixed"]
        known = _by_identity(_known(one, until, runs) for one in findings)
        tenant = _tenant(told.get("scope"))
    except shapes.WRONG as error:
        raise UsageError(f"{path} is damaged, or no such summary: {shapes.said(error)}", hint=_HINT) from None
    return Previous(since, until, known, tenant)


def _tenant(scope: Any) -> str | None:
    """Which tenant a report was about; summaries of old do not say, and are taken for all."""
    about = scope if isinstance(scope, dict) else {}
    return None if about.get("no_realm") is True else shapes.text_or_none(about.get("realm")) or ""


def _known(told: Mapping[str, Any], until: datetime, runs: Mapping[Family, Estimate]) -> Known:
    what = shapes.text(told["what"])
    key = None if told["family"] is None else _key(told)
    number = told["number"]
    waiting = told.get("waiting") or {}
    return Known(
        what,
        key,
        None if told["count"] is None else shapes.whole(told["count"]),
        _estimate(number) if isinstance(number, dict) else None if number is None else _finite(number),
        shapes.text(told["unit"]),
        shapes.moment(waiting.get("last_seen") or told["until"] or until.isoformat()),
        _estimate(waiting["runs"]) if waiting.get("runs") else runs.get(key.family) if key else None,
        _finite(waiting.get("runs_since") or 0.0),
    )


def _by_identity(told: Iterable[Known]) -> tuple[Known, ...]:
    """What several versions of a family had is one thing: their runs are counted together, as those of the family are."""
    found: dict[tuple[str, Family | None], Known] = {}
    for one in told:
        other = found.get(one.identity)
        found[one.identity] = _together(other, one) if other else one
    return tuple(found.values())


def _together(a: Known, b: Known) -> Known:
    later = max(a, b, key=lambda one: one.key.version if one.key else 0)
    counts = [one.count for one in (a, b) if one.count is not None]
    numbers = [one.number for one in (a, b) if one.number is not None]
    return replace(
        later,
        count=sum(counts) if counts else None,
        number=max(numbers, key=_size) if numbers else None,
        last_seen=max(a.last_seen, b.last_seen),
        runs_since=min(a.runs_since, b.runs_since),
    )


def _size(number: Estimate | float) -> float:
    value = number.value if isinstance(number, Estimate) else number
    return value if math.isfinite(value) else -math.inf


def _runs(league: list[Mapping[str, Any]]) -> dict[Family, Estimate]:
    """Runs of each family: its versions together, their intervals as if each erred the same way, which is wide enough."""
    found: dict[Family, Estimate] = {}
    for row in league:
        family = _key(row).family
        own = _estimate(row["est_runs"])
        found[family] = added(found[family], own) if family in found else own
    return found


def added(a: Estimate, b: Estimate) -> Estimate:
    """Two estimated numbers of runs together, never surer than they are."""
    grade = max(a.grade, b.grade, key=_GRADES.index)
    return Estimate(a.value + b.value, a.low + b.low, a.high + b.high, a.logged_count + b.logged_count, grade)


def _estimate(told: Mapping[str, Any]) -> Estimate:
    value, low, high = (math.nan if told[name] is None else _finite(told[name]) for name in ("value", "low", "high"))
    # JSON knows no infinity: an upper end that is missing where there is a lower one is open.
    high = math.inf if math.isnan(high) and not math.isnan(low) else high
    return Estimate(value, low, high, shapes.whole(told["logged_count"]), _GRADES[_GRADES.index(told["grade"])])


def _key(told: Mapping[str, Any]) -> Key:
    return key_of(shapes.text_or_none(told["realm"]), shapes.text(told["family"]), shapes.whole(told["version"]))


def _finite(value: Any) -> float:
    """A number, also one that is larger than any count."""
    found = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    return found if math.isfinite(found) else shapes.number(value)
