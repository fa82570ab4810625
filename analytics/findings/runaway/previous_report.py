"""The last report on runaway rules, as its ``summary.json`` tells it, and what is new, worse or fixed since."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

from analytics.errors import UsageError
from analytics.estimates import comparisons
from analytics.estimates.estimators import Estimate
from analytics.findings.failures.stops import is_gone
from analytics.findings.runaway.finding import (
    DailyGrowth,
    Finding,
    FindingType,
    Fixed,
    LimitHits,
    Observed,
    Over,
    StalledLoop,
    Status,
    VersionGrowth,
    Waiting,
)
from analytics.findings.runaway.keys import FamilyKey, Key, key_of
from analytics.storage import typed_json

REPORT = "runaway_rules"
_GRADES = ("good", "rough", "too few")
JsonObject = Mapping[str, Any]
"""An object of JSON, which may say anything; `typed_json` gives its values their types."""
Identity = tuple[FindingType, FamilyKey | None]
"""What makes two findings the same one."""
_HINT = "name the summary.json of an earlier report on runaway rules, or none to compare with the lake's own history"


@dataclass(frozen=True, slots=True)
class PreviousFinding:
    """A finding that was open in the last report.

    Attributes:
        type: What it is about.
        key: Which version, of several the latest; None when it concerned several families.
        count: Logged runs, where it counts runs; of all versions of the family.
        number: Its figure, of several versions the largest.
        unit: Of the number.
        last_seen: When it was last seen.
        runs: Runs of the family among which ``count`` was counted; None when not known.
        runs_since: Runs of the family since then in which it was not seen any more.
    """

    type: FindingType
    key: Key | None
    count: int | None
    number: Estimate | float | None
    unit: str
    last_seen: datetime
    runs: Estimate | None
    runs_since: float

    @property
    def identity(self) -> Identity:
        """What makes it the same finding in another report: versions change, the family stays."""
        return self.type, self.key.family if self.key else None


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
    known: tuple[PreviousFinding, ...]
    realm: str | None = ""

    def of(self, realms: Collection[str | None]) -> Previous:
        """The same of these tenants only: a page about one must not name others.

        Raises:
            UsageError: The report was about another tenant alone, so that it can say nothing of these.
        """
        if self.realm != "" and set(realms) != {self.realm}:
            raise UsageError("the last report is about another tenant, or about one of them only", hint=_HINT)
        here = tuple(one for one in self.known if one.key is None or one.key.realm in realms)
        return replace(self, known=here)


def read(path: Path | str) -> Previous:
    """A report from its ``summary.json``.

    Raises:
        UsageError: The file cannot be read, or is not that of a report on runaway rules.
    """
    try:
        summary = typed_json.document(Path(path).read_text(encoding="utf-8"))
    except (OSError, *typed_json.WRONG) as error:
        raise UsageError(f"the last report {path} cannot be read: {typed_json.said(error)}", hint=_HINT) from None
    if summary.get("report") != REPORT:
        raise UsageError(f"{path} is not the summary of a report on runaway rules", hint=_HINT)
    try:
        since, until = typed_json.moment(summary["since"]), typed_json.moment(summary["until"])
        runs = _runs(typed_json.listed(summary["league"]))
        findings = [one for one in typed_json.listed(summary["findings"]) if typed_json.text(one["kind"]) != "fixed"]
        known = _by_identity(_known(one, until, runs) for one in findings)
        tenant = _tenant(summary.get("scope"))
    except typed_json.WRONG as error:
        raise UsageError(f"{path} is damaged, or no such summary: {typed_json.said(error)}", hint=_HINT) from None
    return Previous(since, until, known, tenant)


def _tenant(scope: object) -> str | None:
    """Which tenant a report was about; summaries of old do not say, and are taken for all."""
    about = scope if isinstance(scope, dict) else {}
    return None if about.get("no_realm") is True else typed_json.text_or_none(about.get("realm")) or ""


def _known(entry: JsonObject, until: datetime, runs: Mapping[FamilyKey, Estimate]) -> PreviousFinding:
    key = None if entry["family"] is None else _key(entry)
    number = entry["number"]
    waiting = entry.get("waiting") or {}
    return PreviousFinding(
        FindingType(typed_json.text(entry["what"])),
        key,
        None if entry["count"] is None else typed_json.whole(entry["count"]),
        _estimate(number) if isinstance(number, dict) else None if number is None else _finite(number),
        typed_json.text(entry["unit"]),
        typed_json.moment(waiting.get("last_seen") or entry["until"] or until.isoformat()),
        _estimate(waiting["runs"]) if waiting.get("runs") else runs.get(key.family) if key else None,
        _finite(waiting.get("runs_since") or 0.0),
    )


def _by_identity(entries: Iterable[PreviousFinding]) -> tuple[PreviousFinding, ...]:
    """What several versions of a family had is one thing: their runs are counted together, as those of the family are."""
    by_identity: dict[Identity, PreviousFinding] = {}
    for one in entries:
        other = by_identity.get(one.identity)
        by_identity[one.identity] = _together(other, one) if other else one
    return tuple(by_identity.values())


def _together(a: PreviousFinding, b: PreviousFinding) -> PreviousFinding:
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


def _runs(league: list[JsonObject]) -> dict[FamilyKey, Estimate]:
    """Runs of each family: its versions together, their intervals as if each erred the same way, which is wide enough."""
    by_family: dict[FamilyKey, Estimate] = {}
    for row in league:
        family = _key(row).family
        runs = _estimate(row["est_runs"])
        by_family[family] = added(by_family[family], runs) if family in by_family else runs
    return by_family


def added(a: Estimate, b: Estimate) -> Estimate:
    """Two estimated numbers of runs together, never surer than they are."""
    grade = max(a.grade, b.grade, key=_GRADES.index)
    return Estimate(a.value + b.value, a.low + b.low, a.high + b.high, a.logged_count + b.logged_count, grade)


def _estimate(entry: JsonObject) -> Estimate:
    value, low, high = (math.nan if entry[name] is None else _finite(entry[name]) for name in ("value", "low", "high"))
    # JSON knows no infinity: an upper end that is missing where there is a lower one is open.
    high = math.inf if math.isnan(high) and not math.isnan(low) else high
    return Estimate(value, low, high, typed_json.whole(entry["logged_count"]), _GRADES[_GRADES.index(entry["grade"])])


def _key(entry: JsonObject) -> Key:
    return key_of(
        typed_json.text_or_none(entry["realm"]), typed_json.text(entry["family"]), typed_json.whole(entry["version"])
    )


def _finite(value: Any) -> float:
    """A number, also one that is larger than any count."""
    found = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    return found if math.isfinite(found) else typed_json.number(value)


_NEARNESS = (FindingType.CLOSE, FindingType.VERSIONS, FindingType.GROWING, FindingType.LIMIT)
"""Findings about the cap, the nearest to it last."""
CHANCE = 0.01
"""Below this probability a rate that rose is not called chance."""
FORGOTTEN = timedelta(days=14)
"""What was not seen for so long, or for two windows, without runs enough to call it fixed, is not carried on."""


@dataclass(frozen=True, slots=True)
class CurrentWindow:
    """What the present window says about families, beside its findings.

    Attributes:
        since, until: The window, UTC.
        runs: Of each version that is logged.
        is_over: Whether what was found of a family can be said to hold no more.
        left: Runs of a kind that a family still has in the window, though too few to be a finding: how many.
    """

    since: datetime
    until: datetime
    runs: Mapping[Key, Estimate]
    is_over: Callable[[FindingType, FamilyKey], bool]
    left: Mapping[tuple[FindingType, FamilyKey], int] = field(default_factory=dict)

    def runs_of(self, family: FamilyKey) -> Estimate | None:
        """Runs of the family in the window; None when none is logged."""
        runs = [runs for key, runs in self.runs.items() if key.family == family]
        return reduce(added, runs) if runs else None


def compare_with_previous(found: Sequence[Finding], previous: Previous, now: CurrentWindow) -> list[Finding]:
    """The findings of a window by what became of them since the last report.

    New: the last report did not have it, nor anything nearer to the cap; a cap that may have been lowered is new to each
    version. Worse: its rate rose
    (`comparisons.rate_change_p`, all versions of the family together), its figure lies beyond the interval of the last one, it
    has grown by another version, or it is growth by the day, which comes nearer every day. Open: known. Fixed:
    the last report had it, and the window shows that it holds no more: of what counts runs, none came where at the earlier rate
    that has a chance of less than one in twenty (`is_gone`). Waiting: not seen, but too few runs went by to call it fixed;
    the next report goes on from there.

    Args:
        found: The findings of the window; what they were called before is not looked at, those that are over are left out.
        previous: The last report.
        now: What the window says otherwise.
    """
    known = {one.identity: one for one in previous.known}
    present = [finding for finding in found if not isinstance(finding, Over)]
    counts: Counter[Identity] = Counter()
    for finding in present:
        counts[_identity(finding)] += finding.count or 0
    compared = [finding.with_status(_status(finding, known, counts[_identity(finding)], now)) for finding in present]
    seen = {_identity(finding) for finding in present}
    gone = [(one, one.key) for one in known.values() if one.key and not one.type.is_event and not _lives_on(one, seen)]
    return [*compared, *(later for one, key in gone if (later := _gone(one, key, now, previous.until)) is not None)]


def runs_without(runs: Mapping[Key, Estimate], key: Key) -> tuple[Estimate | None, bool]:
    """Runs of a window that say whether a version is still stopped: its own, and where it is not live, those of its family.

    Args:
        runs: Of each version in the window.
        key: Which version.

    Returns:
        Their number, None when none is logged; and whether they are its own.
    """
    if key in runs:
        return runs[key], True
    others = [count for version, count in runs.items() if version.family == key.family]
    return (reduce(added, others) if others else None), False


def _identity(finding: Finding) -> Identity:
    return finding.type, finding.key.family if finding.key else None


def _lives_on(one: PreviousFinding, seen: Collection[Identity]) -> bool:
    """Whether it is still found, or something worse of its kind is: what was close to the cap and now hits it is not fixed."""
    nearer = _NEARNESS[_NEARNESS.index(one.type) :] if one.type in _NEARNESS else (one.type,)
    return any((nearer_type, one.identity[1]) in seen for nearer_type in nearer)


def _status(finding: Observed, known: Mapping[Identity, PreviousFinding], count: int, now: CurrentWindow) -> Status:
    finding_type, family = _identity(finding)
    if isinstance(finding, StalledLoop):
        return Status.OPEN
    before = known.get((finding_type, family))
    if before is not None and not _is_another_cap(finding, before):
        return Status.WORSE if _is_worse(finding, before, count, now) else Status.OPEN
    # Who was stopped by the cap and is only close to it now is better off: no news to wake anybody for.
    nearer = _NEARNESS[_NEARNESS.index(finding_type) + 1 :] if finding_type in _NEARNESS else ()
    return Status.OPEN if any((worse, family) in known for worse in nearer) else Status.NEW


def _is_another_cap(finding: Observed, before: PreviousFinding) -> bool:
    """Whether a version that was never stopped seems to be by a lowered cap, so that what stopped an older one was another."""
    if not isinstance(finding, LimitHits):
        return False
    return finding.may_be_lowered and not finding.past.previous_count and finding.key != before.key


def _is_worse(finding: Observed, before: PreviousFinding, count: int, now: CurrentWindow) -> bool:
    if finding.type.counts_runs:
        runs = now.runs_of(finding.key.family) if finding.key else None
        if runs is None or before.runs is None or not before.count or not min(runs.value, before.runs.value) > 0:
            return False
        rose = count / runs.value > before.count / before.runs.value
        return rose and comparisons.rate_change_p((before.count, count), (before.runs, runs)) < CHANCE
    if isinstance(finding, DailyGrowth):
        return True
    if isinstance(finding, VersionGrowth):
        return before.key is not None and finding.key.version > before.key.version
    # Milliseconds or nodes: worse only where both intervals say so.
    if isinstance(finding.number, Estimate) and isinstance(before.number, Estimate):
        return finding.number.low > before.number.high
    return False


def _gone(one: PreviousFinding, key: Key, now: CurrentWindow, told_until: datetime) -> Over | None:
    runs, is_live = runs_without(now.runs, key)
    left = now.left.get((one.type, key.family), 0)
    # What the last report has counted already is not counted again: of a window that overlaps its own, the rest is news.
    begin = max(now.since, told_until if one.runs_since else min(one.last_seen, told_until))
    fresh = max(min((now.until - begin) / (now.until - now.since), 1.0), 0.0)
    passed = 0.0 if left else one.runs_since + (runs.low * fresh if runs else 0.0)
    if one.type.counts_runs:
        is_known = one.count is not None and one.runs is not None and math.isfinite(one.runs.high)
        is_fixed = is_known and is_gone(one.count or 0, one.runs.high if one.runs else 0.0, passed)
    else:
        is_fixed = now.is_over(one.type, key.family)
    if is_fixed:
        return Fixed(
            type=one.type, key=key, since=now.since, until=one.last_seen, previous_count=one.count, runs_since=passed,
            is_live=is_live,
        )  # fmt: skip
    if now.until - one.last_seen > max(FORGOTTEN, 2 * (now.until - now.since)):
        return None
    return Waiting(
        type=one.type, key=key, last_seen=one.last_seen, count=one.count,
        number=math.nan if one.number is None else one.number, unit=one.unit, runs_before=one.runs, runs_since=passed,
        left=left,
    )  # fmt: skip
