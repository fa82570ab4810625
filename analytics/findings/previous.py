"""The last report on runaway rules, as its ``summary.json`` tells it."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from analytics.errors import UsageError
from analytics.estimates import Estimate
from analytics.findings.runaway_keys import Family, Key, key_of

REPORT = "runaway_rules"
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
        told = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"the last report {path} cannot be read: {error}", hint=_HINT) from None
    if not isinstance(told, dict) or told.get("report") != REPORT:
        raise UsageError(f"{path} is not the summary of a report on runaway rules", hint=_HINT)
    try:
        since, until = _moment(told["since"]), _moment(told["until"])
        runs = _runs(told["league"])
        known = _by_identity(_known(one, until, runs) for one in told["findings"] if one["kind"] != "fixed")
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise UsageError(f"{path} lacks something every summary has: {error!r}", hint=_HINT) from None
    return Previous(since, until, known, _tenant(told.get("scope")))


def _tenant(scope: Any) -> str | None:
    """Which tenant a report was about; summaries of old do not say, and are taken for all."""
    about = scope if isinstance(scope, dict) else {}
    return None if about.get("no_realm") is True else str(about.get("realm") or "")


def _known(told: Mapping[str, Any], until: datetime, runs: Mapping[Family, Estimate]) -> Known:
    what = str(told["what"])
    key = None if told["family"] is None else key_of(told["realm"], told["family"], told["version"])
    number = told["number"]
    waiting = told.get("waiting") or {}
    return Known(
        what,
        key,
        None if told["count"] is None else int(told["count"]),
        _estimate(number) if isinstance(number, dict) else None if number is None else float(number),
        str(told["unit"]),
        _moment(waiting.get("last_seen") or told["until"] or until.isoformat()),
        _estimate(waiting["runs"]) if waiting.get("runs") else runs.get(key.family) if key else None,
        float(waiting.get("runs_since") or 0.0),
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
        family = key_of(row["realm"], row["family"], row["version"]).family
        own = _estimate(row["est_runs"])
        found[family] = added(found[family], own) if family in found else own
    return found


def added(a: Estimate, b: Estimate) -> Estimate:
    """Two estimated numbers of runs together, never surer than they are."""
    grade = max(a.grade, b.grade, key=("good", "rough", "too few").index)
    return Estimate(a.value + b.value, a.low + b.low, a.high + b.high, a.logged_count + b.logged_count, grade)


def _estimate(told: Mapping[str, Any]) -> Estimate:
    value, low, high = (math.nan if told[name] is None else float(told[name]) for name in ("value", "low", "high"))
    # JSON knows no infinity: an upper end that is missing where there is a lower one is open.
    high = math.inf if math.isnan(high) and not math.isnan(low) else high
    return Estimate(value, low, high, int(told["logged_count"]), str(told["grade"]))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment
