"""Why did points per run change: effect and mix, cases, nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from analytics.findings.post_mortem.case_split import Case, Split
from analytics.findings.post_mortem.incident import Incident
from analytics.findings.post_mortem.node_changes import NodeChanges
from analytics.reports import charts, page
from analytics.reports.post_mortem import chart_frames, comparison_tables, verdict

if TYPE_CHECKING:
    from analytics.reports.page import Block

_QUESTION = "Why did points per run change?"


def section(
    found: Incident,
    parts: Split | None,
    cases: Sequence[Case],
    nodes: NodeChanges | None,
    *,
    question: str = _QUESTION,
    said: str | None = None,
) -> Block:
    """The split of the change, and the nodes that differ; ``said`` is the answer where it is not the usual one."""
    how: list[Any] = [["Effect: the case pays another amount."], ["Mix: other shares of runs reach it."]]
    if not (found.before and found.after and parts):
        return page.section("why", question, how, "Cannot tell: nothing to compare with.")
    before, after = found.before.label, found.after.label
    frame = chart_frames.case_frame(cases, before, after)
    drawn = charts.responsive(
        lambda width: charts.cases(frame, width=width), "cases", "Share of runs per case, both versions"
    )
    effect, mix = page.est(parts.effect, sign=True), page.est(parts.mix, sign=True)
    body: list[Any] = [
        page.Markup(drawn),
        page.note(["Effect ", effect, " points per run · mix ", mix, " points per run"]),
    ]
    if nodes is None or nodes.frame.empty:
        reason = nodes.reason if nodes else "nothing to compare"
        body.append(page.note(f"Nodes are not compared one by one: {reason}."))
    else:
        body += comparison_tables.nodes(nodes.frame, before, after)
    return page.section("why", question, how, said or verdict.why_sentence(parts, found), body)
