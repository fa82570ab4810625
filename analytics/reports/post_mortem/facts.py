"""The post-mortem's facts for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from analytics.findings.post_mortem.finding import (
    Cause,
    ComparisonFinding,
    DataFinding,
    DurationFinding,
    FailuresFinding,
    Incident,
    NoFinding,
    NoRuns,
    OneGroup,
    VersionFinding,
)
from analytics.findings.post_mortem.groups import NO_CASE, Group, run_estimate
from analytics.findings.post_mortem.post_mortem import Investigation
from analytics.findings.replay.replayed import Counterfactual, Replayed
from analytics.reports import common, missing_days
from analytics.reports.common import state_of
from analytics.reports.post_mortem import verdict, version_story
from analytics.reports.post_mortem.phrases import reason_sentence
from analytics.reports.small_cells import SmallCells
from analytics.storage.typed_json import Json
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    from analytics.findings.post_mortem.groups import Case, Split
    from analytics.findings.post_mortem.node_changes import Activation, NodeChanges
    from analytics.findings.replay.trials import VersionTrial


class VisibleFacts:
    """What is told of an inquiry.

    Args:
        inquiry: The facts.
        small: What may be shown of few users.
    """

    def __init__(self, inquiry: Investigation, small: SmallCells) -> None:
        self._inquiry, self.small = inquiry, small

    @cached_property
    def incident(self) -> Incident:
        """What stands out, and what else, without what few users met."""
        found = self._inquiry.incident
        if not self.small:
            return found
        failed = self._inquiry.window[self._inquiry.window["status"] != "ok"]
        hidden = self.small.hidden(failed["error_code"].astype(object).fillna(""), failed["external_user_id"])
        is_shown = (other for other in found.also if not (isinstance(other, FailuresFinding) and other.code in hidden))
        return replace(found, also=tuple(is_shown))

    @cached_property
    def hidden_cases(self) -> frozenset[str]:
        """Cases that too few users reached, on either side."""
        finding = self.incident
        hidden: set[str] = set()
        for side in (finding.before, finding.after):
            if self.small and side is not None:
                rows = side.rows[side.rows["status"] == "ok"]
                hidden |= self.small.hidden(rows["case_name"].astype(object).fillna(NO_CASE), rows["external_user_id"])
        return frozenset(hidden)

    @cached_property
    def cases(self) -> list[Case]:
        """Cases of both sides that may be shown."""
        return [case for case in self._inquiry.cases if case.name not in self.hidden_cases]

    @cached_property
    def counterfactual(self) -> Counterfactual:
        """Each version's program on the other's inputs, by the cases that may be shown."""
        tried = self._inquiry.counterfactual
        return replace(tried, forward=self._shown(tried.forward), backward=self._shown(tried.backward))

    @cached_property
    def conclusive_replay(self) -> Replayed | None:
        """The counterfactual that says how much was overpaid, where there is one."""
        return self._shown(self._inquiry.conclusive_replay)

    def _shown(self, tried: Replayed | None) -> Replayed | None:
        if tried is None or not self.small:
            return tried
        return replace(tried, cases=[case for case in tried.cases if case.name not in self.hidden_cases], users=[])

    @cached_property
    def nodes(self) -> NodeChanges | None:
        """Nodes that differ, and that enough runs came by."""
        found = self._inquiry.nodes
        return found.seen_by(self.small.least) if found is not None and self.small else found


_MOST_NODES = 10


def summary(
    investigation: Investigation, shown: VisibleFacts, *, title: str, sentence: str, nav: Sequence[tuple[str, str]]
) -> dict[str, Json]:
    """Plain JSON values: what ``summary.json`` holds.

    Args:
        investigation: What was looked for, and where.
        shown: What of it the readers may see.
        title: Of the page.
        sentence: The verdict's sentence.
        nav: Links to the page's sections, with their words.
    """
    finding = shown.incident
    days = missing_days.facts(investigation.coverage)
    counts = _counts(finding)
    return {
        "report": "post_mortem",
        # What it has found and is over is over, whatever other days would tell.
        "state": state_of(counts, [] if any(counts.values()) else days["missing_days"]),
        "counts": counts,
        **days,
        "digest": common.sentence(f"{title}: {sentence}"),
        "title": title,
        "nav": nav,
        "realm_id": investigation.family.realm,
        "family_name": investigation.family.name,
        "since": investigation.since.isoformat(),
        "until": investigation.until.isoformat(),
        "kind": finding.kind.value,
        "verdict": sentence,
        **_points(finding, investigation.split),
        "versions": [_trial(trial) for trial in investigation.trials],
        "stories": [
            _story(story, shown)
            for story in (finding, *finding.also)
            if not isinstance(story, NoFinding | OneGroup | NoRuns)
        ],
        "live_version": _live(investigation),
        "counterfactual": _counterfactual(shown.counterfactual),
        "replay": {
            "looked_at": investigation.replays.looked_at,
            "reproduced": investigation.replays.reproduced,
            "undecided": investigation.replays.undecided,
            "unfit": investigation.replays.unfit,
        },
        "nodes": _nodes(shown),
        **_times(finding),
        "cases": [_case(case) for case in shown.cases],
        "activations": [_activation(span) for span in investigation.spans],
        "min_users": shown.small.least,
        "logged_count": len(investigation.window),
        **({"part_read": investigation.part} if investigation.part < 1 else {}),
        "est_runs": run_estimate(investigation.window).to_dict(),
    }


def _points(finding: Incident, parts: Split | None) -> dict[str, Json]:
    """Both groups, and by how much points per run moved between them."""
    points = finding.points
    beyond = version_story.overpaid(finding, parts) if isinstance(finding, VersionFinding) else None
    is_tried = isinstance(finding, VersionFinding) and version_story.is_tried(finding)
    return {
        "before": _side(finding.before),
        "after": _side(finding.after),
        "points_per_run_change": points.change.to_dict() if points else None,
        "points_per_run_change_relative": _finite(points.relative) if points else None,
        "points_per_run_change_relative_low": _finite(points.relative_low) if points else None,
        "points_per_run_change_relative_high": _finite(points.relative_high) if points else None,
        "points_per_run_change_says": points.words if points else None,
        "is_significant": bool(points and points.is_significant),
        "effect_per_run": parts.effect.to_dict() if parts else None,
        "mix_per_run": parts.mix.to_dict() if parts else None,
        "overpaid": beyond.to_dict() if beyond else None,
        "overpaid_by": None if beyond is None else "replay" if is_tried else "cases",
        "percent": _percent(finding),
    }


def _times(finding: Incident) -> dict[str, Json]:
    """When it began and ended, what came with it, and what else was found."""
    slow = finding if isinstance(finding, DurationFinding) else None
    version = finding if isinstance(finding, VersionFinding) else None
    failures = finding if isinstance(finding, FailuresFinding) else None
    return {
        "change_since": _moment(finding.since),
        "change_since_low": _moment(finding.since_low),
        "change_since_high": _moment(finding.since_high),
        "change_until": _moment(finding.until),
        "coincides_with": finding.border.label if finding.border else None,
        "duration_median_change": slow.median.change.to_dict() if slow else None,
        "duration_p95_change": slow.tail.change.to_dict() if slow else None,
        "reason": reason_sentence(finding) or None if isinstance(finding, NoFinding | OneGroup) else None,
        "baseline": finding.baseline or None,
        "also": [
            {
                "kind": other.kind.value,
                "since": _moment(other.since),
                "until": _moment(other.until),
                "error_code": other.code if isinstance(other, FailuresFinding) else None,
                "points_per_run_change": other.points.change.to_dict() if other.points else None,
            }
            for other in finding.also
        ],
        "rollback_at": version.rollback.first.isoformat() if version and version.rollback else None,
        "succeeded_by": version.successor.label if version and version.successor else None,
        "error_code": failures.code if failures else None,
        "error_code_since": _moment(failures.code_since) if failures else None,
    }


def _case(case: Case) -> dict[str, Json]:
    return {
        "case_name": case.name,
        "points_before": case.points_before.to_dict(),
        "points_after": case.points_after.to_dict(),
        "amount_changed": case.amount_changed,
        "overpaid": case.overpaid.to_dict(),
    }


def _activation(span: Activation) -> dict[str, Json]:
    return {
        "version": span.strategy_version,
        "strategy_id": span.strategy_id,
        "first": span.first.isoformat(),
        "last": span.last.isoformat(),
        "logged_count": span.logged_count,
    }


def _counts(finding: Incident) -> dict[str, int]:
    """What a calendar and an alert need: a change that goes on is new, one that is over is fixed."""
    if isinstance(finding, ComparisonFinding | NoFinding | OneGroup | NoRuns):
        return {"new": 0, "worse": 0, "finding": 0, "fixed": 0}
    news = [item for item in (finding, *finding.also) if not (isinstance(item, FailuresFinding) and item.is_steady)]
    if not news:
        return {"new": 0, "worse": 0, "finding": 1, "fixed": 0}  # a rate that has always been there is no news
    over = sum(item.is_over for item in news)
    # One page tells several: it is new while one of them goes on.
    return {"new": int(over < len(news)), "worse": 0, "finding": 0, "fixed": int(over == len(news))}


def _percent(finding: Incident) -> dict[str, Json] | None:
    """The headline's change: of the same runs where the programs were tried on them, else between two groups of runs."""
    if isinstance(finding, VersionFinding) and (share := finding.relative) is not None:
        return {**share.to_dict(), "of": "same runs"}
    if finding.points is None or not np.isfinite(finding.points.relative):
        return None
    change = finding.points
    ends = {"low": _finite(change.relative_low), "high": _finite(change.relative_high)}
    return {"value": _finite(change.relative), **ends, "of": "groups"}


def _trial(trial: VersionTrial) -> dict[str, Json]:
    forward = trial.forward
    return {
        "version": trial.after.strategy_version,
        "strategy_id": trial.after.strategy_id,
        "earlier": trial.before.strategy_version,
        "earlier_strategy_id": trial.before.strategy_id,
        "since": trial.after.since.isoformat(),
        "until": trial.after.until.isoformat(),
        "verdict": trial.verdict.value,
        "reason": trial.reason or None,
        "basis": trial.basis.value or None,
        "logged_count": trial.after.paid_count,
        "failed_count": trial.failed_count,
        "tried_count": forward.tried_count if forward else 0,
        "decided_count": forward.decided_count if forward else 0,
        "differing_count": forward.differing_count + forward.surely_count if forward else 0,
        "difference": trial.difference.to_dict() if trial.difference else None,
        "relative": trial.relative.to_dict() if trial.relative else None,
        "worst": {"low": _finite(trial.worst.low), "high": _finite(trial.worst.high)} if trial.worst else None,
        "most_differing": _finite(trial.most_differing),
    }


def _story(finding: Incident, shown: VisibleFacts) -> dict[str, Json]:
    version = finding if isinstance(finding, VersionFinding) else None
    failures = finding if isinstance(finding, FailuresFinding) else None
    drift = finding.slope if isinstance(finding, DataFinding) else None
    moved = shown.nodes.moved_fields if shown.nodes is not None and finding is shown.incident else []
    times = [step.span.last for step in (*version.steps, *version.again)] if version else []
    end = max(times, default=finding.after.until if finding.after else None)
    return {
        "kind": finding.kind.value,
        "version": version.after.strategy_version if version else None,
        "versions": [step.span.strategy_version for step in version.steps] if version else [],
        "cause": (finding.cause or Cause.UNKNOWN).value,
        "field": moved[0] if moved and isinstance(finding, DataFinding) else None,
        "code": failures.code if failures else None,
        "since": _moment(finding.since),
        "until": _moment(
            finding.until or (failures.code_until if failures else None) or (end if finding.is_over else None)
        ),
        "is_over": finding.is_over,
        "points": finding.total.to_dict() if finding.total else None,
        "per_day": drift.per_day.to_dict() if drift else None,
    }


def _live(investigation: Investigation) -> int | None:
    return (
        None if investigation.window.empty else int(investigation.window["strategy_version"].iloc[-20:].mode().iloc[-1])
    )


def _moment(when: datetime | None) -> str | None:
    return when.isoformat() if when else None


def _nodes(shown: VisibleFacts) -> list[dict[str, Json]]:
    found = shown.nodes
    return records(found.frame.head(_MOST_NODES)) if found is not None else []


def _counterfactual(found: Counterfactual) -> dict[str, Json]:
    return {
        "reason": found.reason or None,
        "forward": _replayed(found.forward),
        "backward": _replayed(found.backward),
    }


def _replayed(tried: Replayed | None) -> dict[str, Json] | None:
    if tried is None:
        return None
    return {
        "inputs": tried.inputs_label,
        "program": tried.program_label,
        "logged_count": tried.logged_count,
        "tried_count": tried.tried_count,
        "own_count": tried.own_count,
        "decided_count": tried.decided_count,
        "differing_count": tried.differing_count,
        "undecided_count": tried.undecided_count,
        "failed": tried.failed,
        "missing": tried.missing,
        "paid": tried.paid.to_dict(),
        "would_pay": tried.would_pay.to_dict(),
        "difference": tried.difference.to_dict(),
        "difference_per_run": tried.per_run.to_dict(),
        "undecided_low": _finite(tried.undecided_low),
        "undecided_high": _finite(tried.undecided_high),
        "cases": [
            {
                "case_name": case.name,
                "logged_count": case.logged_count,
                "paid": case.paid.to_dict(),
                "would_pay": case.would_pay.to_dict(),
                "difference": case.difference.to_dict(),
            }
            for case in tried.cases
        ],
    }


def _side(side: Group | None) -> dict[str, Json] | None:
    if side is None:
        return None
    return {
        "label": side.label,
        "strategy_id": side.strategy_id,
        "version": side.strategy_version,
        "since": side.since.isoformat(),
        "until": side.until.isoformat(),
        "logged_count": len(side.rows),
        "points_per_run": verdict.mean_points(side.rows).to_dict(),
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
