"""The post-mortem's facts for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.findings.post_mortem.incident import NO_CASE, Incident, Side, run_estimate
from analytics.findings.post_mortem.post_mortem import Inquiry
from analytics.findings.replay.replayed import Counterfactual, Replayed
from analytics.reports import common
from analytics.reports.common import state_of
from analytics.reports.post_mortem import failing, verdict, version_story
from analytics.reports.small_cells import SmallCells
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    from analytics.findings.post_mortem.case_split import Case
    from analytics.findings.post_mortem.incident import Incident
    from analytics.findings.post_mortem.node_changes import NodeChanges
    from analytics.findings.replay.trials import VersionTrial


class Shown:
    """What is told of an inquiry.

    Args:
        inquiry: The facts.
        small: What may be shown of few users.
    """

    def __init__(self, inquiry: Inquiry, small: SmallCells) -> None:
        self._inquiry, self.small = inquiry, small

    @cached_property
    def incident(self) -> Incident:
        """What stands out, and what else, without what few users met."""
        found = self._inquiry.incident
        if not self.small:
            return found
        failed = self._inquiry.window[self._inquiry.window["status"] != "ok"]
        hidden = self.small.hidden(failed["error_code"].astype(object).fillna(""), failed["external_user_id"])
        return replace(found, also=type(found.also)(other for other in found.also if other.code not in hidden))

    @cached_property
    def hidden_cases(self) -> frozenset[str]:
        """Cases that too few users reached, on either side."""
        found = self.incident
        hidden: set[str] = set()
        for side in (found.before, found.after):
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
    def telling(self) -> Replayed | None:
        """The counterfactual that says how much was overpaid, where there is one."""
        return self._shown(self._inquiry.telling)

    def _shown(self, tried: Replayed | None) -> Replayed | None:
        if tried is None or not self.small:
            return tried
        return replace(tried, cases=[case for case in tried.cases if case.name not in self.hidden_cases], users=[])

    @cached_property
    def nodes(self) -> NodeChanges | None:
        """Nodes that differ, and that enough runs came by."""
        found = self._inquiry.nodes
        if found is None or not self.small or found.frame.empty:
            return found
        counts = found.frame[["before_count", "after_count"]].min(axis=1)
        return replace(found, frame=found.frame[counts >= self.small.least])


_MOST_NODES = 10


def summary(asked: Inquiry, shown: Shown, *, title: str, said: str, nav: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Plain JSON values: what ``summary.json`` holds.

    Args:
        asked: What was looked for, and where.
        shown: What of it the readers may see.
        title: Of the page.
        said: The verdict's sentence.
        nav: Links to the page's sections, with their words.
    """
    found, parts = shown.incident, asked.split
    missing = [str(day) for day in asked.coverage.missing]
    counts = _counts(found)
    return {
        "report": "post_mortem",
        "state": state_of(counts, missing),
        "counts": counts,
        "missing_days": missing,
        "lost_days": [str(day) for day in asked.coverage.lost],
        "digest": common.sentence(f"{title}: {said}"),
        "title": title,
        "nav": nav,
        "realm_id": asked.family.realm,
        "family_name": asked.family.name,
        "since": asked.since.isoformat(),
        "until": asked.until.isoformat(),
        "kind": found.kind,
        "verdict": said,
        "before": _side(found.before),
        "after": _side(found.after),
        "points_per_run_change": found.points.change.to_dict() if found.points else None,
        "points_per_run_change_relative": _finite(found.points.relative) if found.points else None,
        "points_per_run_change_relative_low": _finite(found.points.relative_low) if found.points else None,
        "points_per_run_change_relative_high": _finite(found.points.relative_high) if found.points else None,
        "points_per_run_change_says": found.points.words if found.points else None,
        "is_significant": bool(found.points and found.points.is_significant),
        "effect_per_run": parts.effect.to_dict() if parts else None,
        "mix_per_run": parts.mix.to_dict() if parts else None,
        "overpaid": (beyond := version_story.overpaid(found, parts)) and beyond.to_dict(),
        "overpaid_by": None if beyond is None else "replay" if version_story.is_tried(found) else "cases",
        "percent": _percent(found),
        "versions": [_trial(trial) for trial in asked.trials],
        "stories": [
            _story(one, shown) for one in (found, *found.also) if one.kind not in ("quiet", "single", "nothing")
        ],
        "live_version": _live(asked),
        "counterfactual": _tried(shown.counterfactual),
        "replay": {
            "looked_at": asked.replays.looked_at,
            "reproduced": asked.replays.reproduced,
            "undecided": asked.replays.undecided,
            "unfit": asked.replays.unfit,
        },
        "nodes": _nodes(shown),
        "change_since": _moment(found.since),
        "change_since_low": _moment(found.since_low),
        "change_since_high": _moment(found.since_high),
        "change_until": _moment(found.until),
        "coincides_with": found.border.label if found.border else None,
        "duration_median_change": found.median.change.to_dict() if found.median else None,
        "duration_p95_change": found.tail.change.to_dict() if found.tail else None,
        "reason": found.reason or None,
        "baseline": found.baseline or None,
        "also": [
            {
                "kind": other.kind,
                "since": _moment(other.since),
                "until": _moment(other.until),
                "error_code": other.code,
                "points_per_run_change": other.points.change.to_dict() if other.points else None,
            }
            for other in found.also
        ],
        "rollback_at": found.rollback.first.isoformat() if found.rollback else None,
        "succeeded_by": found.successor.label if found.successor else None,
        "error_code": found.code,
        "error_code_since": found.code_since.isoformat() if found.code_since else None,
        "cases": [
            {
                "case_name": case.name,
                "points_before": case.points_before.to_dict(),
                "points_after": case.points_after.to_dict(),
                "amount_changed": case.amount_changed,
                "overpaid": case.overpaid.to_dict(),
            }
            for case in shown.cases
        ],
        "activations": [
            {
                "version": span.strategy_version,
                "strategy_id": span.strategy_id,
                "first": span.first.isoformat(),
                "last": span.last.isoformat(),
                "logged_count": span.logged_count,
            }
            for span in asked.spans
        ],
        "min_users": shown.small.least,
        "logged_count": len(asked.window),
        "est_runs": run_estimate(asked.window).to_dict(),
    }


def _counts(found: Incident) -> dict[str, int]:
    """What a calendar and an alert need: a change that goes on is new, one that is over is fixed."""
    if found.kind not in ("version", "failures", "data", "duration", "window"):
        return {"new": 0, "worse": 0, "finding": 0, "fixed": 0}
    told = [one for one in (found, *found.also) if not failing.is_steady(one)]
    if not told:
        return {"new": 0, "worse": 0, "finding": 1, "fixed": 0}  # a rate that has always been there is no news
    over = sum(one.is_over for one in told)
    # One page tells several: it is new while one of them goes on.
    return {"new": int(over < len(told)), "worse": 0, "finding": 0, "fixed": int(over == len(told))}


def _percent(found: Incident) -> dict[str, Any] | None:
    """The headline's change: of the same runs where the programs were tried on them, else between two groups of runs."""
    if found.kind == "version" and (share := found.relative) is not None:
        return {**share.to_dict(), "of": "same runs"}
    if found.points is None or not np.isfinite(found.points.relative):
        return None
    change = found.points
    ends = {"low": _finite(change.relative_low), "high": _finite(change.relative_high)}
    return {"value": _finite(change.relative), **ends, "of": "groups"}


def _trial(trial: VersionTrial) -> dict[str, Any]:
    forward = trial.forward
    return {
        "version": trial.after.strategy_version,
        "strategy_id": trial.after.strategy_id,
        "earlier": trial.before.strategy_version,
        "earlier_strategy_id": trial.before.strategy_id,
        "since": trial.after.since.isoformat(),
        "until": trial.after.until.isoformat(),
        "verdict": trial.verdict,
        "reason": trial.reason or None,
        "basis": trial.basis or None,
        "logged_count": len(trial.after.paid),
        "failed_count": trial.failed_count,
        "tried_count": forward.tried_count if forward else 0,
        "decided_count": forward.decided_count if forward else 0,
        "differing_count": forward.differing_count + forward.surely_count if forward else 0,
        "difference": trial.difference.to_dict() if trial.difference else None,
        "relative": trial.relative.to_dict() if trial.relative else None,
        "worst": {"low": _finite(trial.worst.low), "high": _finite(trial.worst.high)} if trial.worst else None,
        "most_differing": _finite(trial.most_differing),
    }


def _story(found: Incident, shown: Shown) -> dict[str, Any]:
    moved = shown.nodes.moved_fields if shown.nodes is not None and found is shown.incident else []
    times = [step.span.last for step in (*found.steps, *found.again)]
    end = max(times, default=found.after.until if found.after else None)
    return {
        "kind": found.kind,
        "version": found.after.strategy_version if found.after and found.kind == "version" else None,
        "versions": [step.span.strategy_version for step in found.steps],
        "cause": found.cause or "unknown",
        "field": moved[0] if moved and found.kind == "data" else None,
        "code": found.code,
        "since": _moment(found.since),
        "until": _moment(found.until or found.code_until or (end if found.is_over else None)),
        "is_over": found.is_over,
        "points": found.total.to_dict() if found.total else None,
        "per_day": found.slope.per_day.to_dict() if found.slope else None,
    }


def _live(asked: Inquiry) -> int | None:
    return None if asked.window.empty else int(asked.window["strategy_version"].iloc[-20:].mode().iloc[-1])


def _moment(when: datetime | None) -> str | None:
    return when.isoformat() if when else None


def _nodes(shown: Shown) -> list[dict[str, Any]]:
    found = shown.nodes
    return records(found.frame.head(_MOST_NODES)) if found is not None else []


def _tried(found: Counterfactual) -> dict[str, Any]:
    return {
        "reason": found.reason or None,
        "forward": _replayed(found.forward),
        "backward": _replayed(found.backward),
    }


def _replayed(one: Replayed | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "inputs": one.inputs_label,
        "program": one.program_label,
        "logged_count": one.logged_count,
        "tried_count": one.tried_count,
        "own_count": one.own_count,
        "decided_count": one.decided_count,
        "differing_count": one.differing_count,
        "undecided_count": one.undecided_count,
        "failed": one.failed,
        "missing": one.missing,
        "paid": one.paid.to_dict(),
        "would_pay": one.would_pay.to_dict(),
        "difference": one.difference.to_dict(),
        "difference_per_run": one.per_run.to_dict(),
        "undecided_low": _finite(one.undecided_low),
        "undecided_high": _finite(one.undecided_high),
        "cases": [
            {
                "case_name": case.name,
                "logged_count": case.logged_count,
                "paid": case.paid.to_dict(),
                "would_pay": case.would_pay.to_dict(),
                "difference": case.difference.to_dict(),
            }
            for case in one.cases
        ],
    }


def _side(side: Side | None) -> dict[str, Any] | None:
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
