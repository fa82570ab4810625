"""The post-mortem's chart frames: estimates per bin of time and per case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import estimators
from analytics.findings.post_mortem.finding import Incident, VersionFinding
from analytics.findings.post_mortem.groups import Case, paid, run_estimate
from analytics.findings.post_mortem.node_changes import Activation

if TYPE_CHECKING:
    import pandas as pd

_BINS = 60
"""About how many bins the time axis has room for."""

_USED = (
    "created_at", "label", "status", "points", "duration_ms", "sampled", "sample_weight", "window_rate",
)  # fmt: skip

_STEPS = ("5min", "15min", "30min", "1h", "2h", "3h", "6h", "12h", "1D")


def timeline_frames(rows: pd.DataFrame, spans: Sequence[Activation], finding: Incident) -> tuple[pd.DataFrame, ...]:
    """The five frames of ``charts.timeline``, in its order: versions, points, runs, failures, durations."""
    import pandas as pd

    role = roles(finding)
    step = step_of(rows)
    # Only the columns that are used: a selection copies all that a frame has.
    narrow = rows[[name for name in _USED if name in rows]].assign(bin=rows["created_at"].dt.floor(step))
    usable = paid(narrow)
    versions = pd.DataFrame(
        [
            {
                "label": span.label,
                "since": span.first,
                "until": span.last,
                "role": role(span),
                "est_points_mean": _mean_of(usable, span),
            }
            for span in spans
        ],
        columns=["label", "since", "until", "role", "est_points_mean"],
    )
    failures = rows[rows["status"] != "ok"][["created_at", "error_code"]]
    by_label = {span.label: role(span) for span in spans}
    return versions, _points(usable, step, by_label), _runs(narrow, step), failures, _durations(narrow)


def _points(usable: pd.DataFrame, step: str, roles: Mapping[str, str]) -> pd.DataFrame:
    """Points per run by bin and version."""
    import pandas as pd

    rows = [
        {
            "since": start,
            "until": start + pd.Timedelta(step),
            "label": label,
            "role": roles.get(str(label), "other"),
            **_bounds("est_points_mean", estimators.mean(group["points"], group["sample_weight"])),
            "logged_count": len(group),
        }
        for (start, label), group in usable.groupby(["bin", "label"])
    ]
    return pd.DataFrame(rows, columns=["since", "until", "label", "role", *_columns("est_points_mean"), "logged_count"])


def _runs(rows: pd.DataFrame, step: str) -> pd.DataFrame:
    """Estimated runs by bin."""
    import pandas as pd

    lines = [
        {"since": start, "until": start + pd.Timedelta(step), **_bounds("est_runs", run_estimate(group))}
        for start, group in rows.groupby("bin")
    ]
    return pd.DataFrame(lines, columns=["since", "until", *_columns("est_runs")])


def _durations(rows: pd.DataFrame) -> pd.DataFrame:
    """The 99th percentile of the duration of ok runs by day."""
    import pandas as pd

    lines = []
    ok = rows[["created_at", "duration_ms", "sample_weight"]][rows["status"] == "ok"]
    for day, group in ok.groupby(ok["created_at"].dt.floor("1D")):
        p99 = estimators.quantile(group["duration_ms"], group["sample_weight"], 0.99)
        lines.append(
            {"since": day, "until": day + pd.Timedelta("1D"), **_bounds("est_duration_p99_ms", p99), "grade": p99.grade}
        )
    return pd.DataFrame(lines, columns=["since", "until", *_columns("est_duration_p99_ms"), "grade"])


def case_frame(cases: Sequence[Case], before: str, after: str) -> pd.DataFrame:
    """The frame of ``charts.cases``."""
    import pandas as pd

    rows = []
    for case in cases:
        for label, role, share, points in (
            (before, "before", case.share_before, case.points_before),
            (after, "finding", case.share_after, case.points_after),
        ):
            rows.append(
                {
                    "case_name": case.name,
                    "label": label,
                    "role": role,
                    "share": share.value,
                    "share_low": share.low,
                    "share_high": share.high,
                    # A mean that moved within chance is shown once, as it was: the chart prints an arrow for two.
                    "points_mean": points.value if case.amount_changed else _either(case),
                }
            )
    return pd.DataFrame(rows)


def _either(case: Case) -> float:
    return case.points_before.value if case.points_before.logged_count else case.points_after.value


def roles(finding: Incident) -> Callable[[Activation], str]:
    """A function from an activation to its colour's meaning."""

    def role(span: Activation) -> str:
        if isinstance(finding, VersionFinding):
            if span.label == finding.after.label or span.label in {step.span.label for step in finding.steps}:
                return "finding"
            return "before" if span.label == finding.before.label else "other"
        return "before"

    return role


def _mean_of(usable: pd.DataFrame, span: Activation) -> float:
    inside = usable[
        (usable["label"] == span.label) & (usable["created_at"] >= span.first) & (usable["created_at"] <= span.last)
    ]
    return estimators.mean(inside["points"], inside["sample_weight"]).value if len(inside) else float(np.nan)


def step_of(rows: pd.DataFrame) -> str:
    """The length of a bin of the timeline, as pandas spells it."""
    import pandas as pd

    length = rows["created_at"].max() - rows["created_at"].min()
    return next((step for step in _STEPS if length / pd.Timedelta(step) <= _BINS), _STEPS[-1])


def _columns(name: str) -> list[str]:
    return [name, f"{name}_low", f"{name}_high"]


def _bounds(name: str, estimate: estimators.Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
