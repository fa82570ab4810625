"""The post-mortem's facts for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.findings.incident import Side, run_estimate
from analytics.stories import verdict

if TYPE_CHECKING:
    from analytics.stories.post_mortem import PostMortem


def summary(report: PostMortem) -> dict[str, Any]:
    """Plain JSON values: what ``summary.json`` holds."""
    found, parts = report.incident, report.split
    return {
        "report": "post_mortem",
        "title": report.title,
        "nav": report.nav,
        "realm_id": report.family.realm,
        "family_name": report.family.name,
        "since": report.since_time.isoformat(),
        "until": report.until_time.isoformat(),
        "kind": found.kind,
        "verdict": report.verdict.text,
        "before": _side(found.before),
        "after": _side(found.after),
        "points_per_run_change": found.points.change.to_dict() if found.points else None,
        "points_per_run_change_relative": _finite(found.points.relative) if found.points else None,
        "points_per_run_change_says": found.points.words if found.points else None,
        "is_significant": bool(found.points and found.points.is_significant),
        "effect_per_run": parts.effect.to_dict() if parts else None,
        "mix_per_run": parts.mix.to_dict() if parts else None,
        "overpaid": parts.overpaid.to_dict() if parts and found.kind == "version" else None,
        "rollback_at": found.rollback.first.isoformat() if found.rollback else None,
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
            for case in report.cases
        ],
        "activations": [
            {
                "version": span.strategy_version,
                "strategy_id": span.strategy_id,
                "first": span.first.isoformat(),
                "last": span.last.isoformat(),
                "logged_count": span.logged_count,
            }
            for span in report.spans
        ],
        "logged_count": len(report.window),
        "est_runs": run_estimate(report.window).to_dict(),
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
