"""The post-mortem's tables: measures of both sides, nodes, failures; and the box that says what data they rest on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from analytics import sql
from analytics.estimates import comparisons, estimators
from analytics.estimates.comparisons import Difference
from analytics.estimates.estimators import Estimate
from analytics.findings.failures.silences import Silences
from analytics.findings.post_mortem.family import Family
from analytics.findings.post_mortem.finding import DataFinding, Incident, VersionFinding
from analytics.findings.post_mortem.groups import NO_CASE, Case, Group, run_estimate
from analytics.findings.post_mortem.node_changes import Measured, NodeChange
from analytics.findings.post_mortem.post_mortem import Investigation
from analytics.findings.replay.trials import Basis
from analytics.lake import shell
from analytics.program.error_codes import is_canary, is_unknown, meaning
from analytics.reports import commands, log_notes, page
from analytics.reports.page import Column, number
from analytics.reports.small_cells import SmallCells
from analytics.warehouse.coverage import coverage
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

if TYPE_CHECKING:
    import pandas as pd

    from analytics.reports.page import Block
    from analytics.reports.page.inline import Inline


def in_words(lake: Warehouse, since: datetime, until: datetime) -> str:
    """One clause: is the log complete for the window?"""
    found = coverage(lake, Window(since, until))
    partial, complete_until = found.partial, found.complete_until
    gone = f"log lost in the lake for {len(found.lost)} of the window's days" if found.lost else ""
    ahead = f"{len(found.to_come)} of the window's days still to come" if found.to_come else ""
    if found.never:
        never = f"log not extracted for {len(found.never)} of the window's days{found.of_them_expired}"
        return "; ".join(filter(None, [never, gone, ahead]))
    if gone:
        return f"{gone}; {ahead}" if ahead else gone
    if partial:
        return f"log complete through {number.when(complete_until)}" if complete_until else "log not complete yet"
    return ahead or "log complete for the window"


def facts(
    investigation: Investigation,
    sampling: str,
    silences: Silences,
    compared: str = "a week before it is read as baseline",
) -> list[tuple[str, Inline]]:
    """The data box: coverage, sampling, truncation, definitions, and what is not known.

    Args:
        investigation: Whose runs the page rests on.
        sampling: What is known of the sampling rate, in a sentence.
        silences: Stretches without a row of any strategy of the tenant.
        compared: What is read besides the window.
    """
    rows, found = investigation.runs, coverage(investigation.lake, Window(investigation.since, investigation.until))
    ok = rows["points"][rows["status"] == "ok"]
    set_aside = int((~np.isfinite(ok.astype(float))).sum())
    weights = sorted({round(1 / w / investigation.part, 6) for w in rows["sample_weight"].unique() if w > 1})
    cut = int(rows["is_truncated"].sum())
    gaps = log_notes.extent(found)
    rate = " and ".join(number.percent(w) for w in weights) or "not known, for no drawn row tells it,"
    return [
        (
            "Window",
            f"{number.span(investigation.since, investigation.until)}, {log_notes.gaps(gaps, silences)}; {compared}",
        ),
        (
            "Rows used",
            f"{number.counted(len(ok), 'ok row')} and {number.counted(len(rows) - len(ok), 'failure')}, logged counts; "
            f"{number.counted(set_aside, 'ok row')} set aside (points NULL, NaN or infinite)"
            f"{log_notes.part_read(investigation.part)}",
        ),
        (
            "Sampling rate",
            f"{rate} of ok runs, as configured at extraction; failures are all kept. The rate is not stored in the log. {sampling}",
        ),
        ("Intervals", "95 %, for the sampling of ok runs; comparisons also count chance between runs"),
        ("Traces", f"{cut:,} cut at the storage limit; {investigation.replays}"),
        ("Definitions", log_notes.programs(investigation.lake) + _definitions(investigation.family)),
        (
            "Not known",
            "Rows the database refused (NaN or U+0000 in a trace), the queue dropped or a kill lost. "
            f"{log_notes.not_looked_for()}",
        ),
    ]


def _definitions(family: Family) -> str:
    """Which versions have a program in the lake."""
    if not family.defined:
        return "none readable: families are by strategy id"
    undefined = [f"v{version}" for strategy, version in family.members if (strategy, version) not in family.defined]
    return f"missing for {', '.join(undefined)}" if undefined else "all versions readable"


def queries(family: Family, since: datetime, until: datetime) -> str:
    """The SQL behind the page, with its parameters, ready for ``strategy-analytics query``."""
    # An author's text in a command that somebody pastes: quoted for the shell, and nothing that cannot be seen.
    tenant = {} if family.realm is None else {"realm": family.realm}
    named = {"family": family.name} if family.is_named else {}
    values = {
        "strategy_runs": {**tenant, "strategy_ids": json.dumps(family.strategy_ids, ensure_ascii=False)},
        "failures": named,
        "points_by_hour": named,
    }
    parts = [
        f"-- {commands.query(name, shell.realm(family.realm), since, until, **given)}\n{sql.text('queries', name).strip()}"
        for name, given in values.items()
    ]
    # An id with a line break would end the comment: what follows would be run by whoever pastes it.
    ids = page.visible(", ".join(family.strategy_ids))
    return f"-- strategy ids of this family: {ids}\n\n" + "\n\n".join(parts)


_MOST_NODES = 8
_WIDEST = 1.5  # the axis of relative changes ends here; a larger change is in the number


def table(before: Group, after: Group, cases: Sequence[Case], finding: Incident) -> Block:
    """Measures per run on both sides, with the interval of the change.

    Args:
        before, after: The two sides.
        cases: What each case paid on both.
        finding: What stands out: its change of points per run may compare like hours with like, or one program with itself.
    """
    rows = [*_same_runs(finding), *_one_program(finding)]
    if isinstance(finding, DataFinding) and finding.is_one_program:
        rows.append(_points(before, after, None, "Points per run, as each version paid"))
    else:
        rows.append(_points(before, after, finding.points))
    is_negative = any((side.values[0] < 0).any() for side in (before, after))
    for case in [case for case in cases if case.amount_changed][:3]:
        pays = page.Markup("Points when {} pays").format(page.author(case.name))
        amounts = comparisons.between(case.points_before, case.points_after, is_negative_possible=is_negative)
        rows.append(_measure(pays, case.points_before, case.points_after, is_hot=True, change=amounts))
    for case in [case for case in cases if case.name != NO_CASE][:2]:
        reach = page.Markup("Runs that reach {}").format(page.author(case.name))
        rows.append(_measure(reach, case.share_before, case.share_after, unit="%"))
    rows.append(_failure_rate(before, after))
    for label, q in (("Median duration, ok runs", 0.5), ("p99 duration, ok runs", 0.99)):
        rows.append(_measure(label, *(_quantile(side, "duration_ms", q) for side in (before, after)), unit="ms"))
    nodes = (_quantile(side, "nodes_executed", 0.5) for side in (before, after))
    rows.append(_measure("Nodes per run, median", *nodes))
    most = min(_WIDEST, max([0.1, *(abs(x) for row in rows for x in row.bounds or () if math.isfinite(x))]))
    ticks = [(0.0, "0"), (most, number.percent(most, sign=True))]
    columns = [
        Column("what", "Per run", role="name"),
        Column("before", f"{before.label}, est.", align="right"),
        Column("after", f"{after.label}, est.", align="right"),
        Column("change", "change", align="right"),
        Column("interval", page.interval_axis("95 % interval of the change", (-most, most), ticks), role="wide"),
        Column("grade", "", kind="grade"),
    ]
    return page.table([row.cells(most) for row in rows], columns, row_class="weight")


def nodes(changes: Sequence[NodeChange], before: str, after: str) -> list[Block]:
    """Nodes whose outcome or values differ most."""
    rows = [_node_row(change) for change in changes[:_MOST_NODES]]
    columns = [
        Column("node", "Node", role="name"),
        Column("before", before, align="right", role="before"),
        Column("after", after, align="right", role="finding"),
        Column("q", "chance alone (q)", align="right"),
    ]
    return [
        page.subhead("Nodes that differ most"),
        page.table(rows, columns, row_class="weight"),
        page.note(
            f"{len(changes)} nodes that both groups came by, found by their place in the program; logged runs. "
            "q is corrected for looking at many. ~ could be chance."
        ),
    ]


def _node_row(change: NodeChange) -> dict[str, object]:
    values, is_sure = change.values, change.q < 0.05
    what = "is true" if values.measured is Measured.TRUE else values.what
    texts = [_value(value, values.is_share) for value in (values.before, values.after)]
    if values.is_share:
        texts = [f"{text} of {n:,}" for text, n in zip(texts, (values.before_count, values.after_count), strict=True)]
    chance = ("< 0.001" if change.q < 0.001 else f"{change.q:.2g}") + ("" if is_sure else " ~")
    return {
        "node": page.Markup("{} {} {}").format(page.author(change.place), page.mute(change.type), page.mute(what)),
        "before": texts[0],
        "after": texts[1],
        "q": chance,
        "weight": "hot" if is_sure else "quiet",
    }


def failures(
    rows: pd.DataFrame, before: pd.DataFrame | None, small: SmallCells | None = None, refused: str = ""
) -> Block:
    """Failures by code; without those of few users, and single runs, where the report is to be passed on.

    Args:
        rows, before: Logged runs of both sides.
        small: What may be shown of few users.
        refused: That ok rows may be missing, in a sentence.
    """
    how = [
        "Logged counts. Every failure is meant to be kept; rows the database refused or the queue dropped are not here."
    ]
    failed = rows[rows["status"] != "ok"]
    if failed.empty:
        return page.section(
            "fail", "What failed?", how, "No failed run is logged." if len(rows) else "No run is logged."
        )
    earlier = before[before["status"] != "ok"] if before is not None else None
    lines = []
    codes = failed["error_code"].fillna("(no code)")
    small = small or SmallCells()
    hidden = small.hidden(codes, failed["external_user_id"])
    shown = ~codes.isin(hidden)
    failed, codes = failed[shown], codes[shown]
    for code, group in sorted(failed.groupby(codes), key=lambda item: -len(item[1])):
        example = group.iloc[-1]
        lines.append(
            {
                "code": _code(str(code)),
                "count": len(group),
                "before": int((earlier["error_code"].fillna("(no code)") == code).sum())
                if earlier is not None
                else None,
                "when": number.span(group["created_at"].min(), group["created_at"].max()),
                "example": page.mono(str(example["execution_id"])),
                "where": page.Markup("{} › {}").format(
                    page.author(_known(example["external_game_id"])), page.author(_known(example["external_task_id"]))
                ),
            }
        )
    columns = [Column("code", "Code", kind="mono", role="name"), Column("count", "logged", kind="count")]
    if earlier is not None:
        columns.append(Column("before", "before", kind="count"))
    if not small:
        columns += [
            Column("when", "first – last"),
            Column("example", "newest example"),
            Column("where", "its game › task"),
        ]
    text = f"{number.counted(len(failed), 'failed run')}, {number.counted(len(lines), 'code')}."
    if hidden:
        text += f" Others are left out: fewer than {small.least} logged users met them."
    text += f" {refused}" if refused else ""
    return page.section("fail", "What failed?", how, text, [page.table(lines, columns)])


def _code(name: str) -> Inline:
    """A code, with what it says where that is more than a failure: a canary, or one that nobody here knows."""
    text = f"sandbox canary: {meaning(name)}" if is_canary(name) else meaning(name) if is_unknown(name) else ""
    return page.Markup("{}<small>{}</small>").format(page.author(name), text) if text else name


@dataclass(frozen=True, slots=True)
class _Measure:
    """One line of the table of measures.

    Attributes:
        what: Its name.
        before, after, change: As written.
        grade: How well it is known.
        bounds: The change as a share, low, value and high; None where there is no such share.
        instead: What stands where its interval would.
        is_hot: It may be what the page is about.
        is_sure: The change is beyond chance.
    """

    what: Inline
    before: str
    after: str
    change: str
    grade: str
    bounds: tuple[float, float, float] | None
    instead: str
    is_hot: bool = False
    is_sure: bool = False

    def cells(self, most: float) -> dict[str, object]:
        """For the page.

        Args:
            most: Where the axis of the intervals ends.
        """
        interval = page.mute(self.instead)
        if self.bounds is not None:
            role = "finding" if self.is_hot and self.is_sure else None
            interval = page.interval_bar(*self.bounds, (-most, most), role)
        weight = "quiet" if not self.is_sure else "hot" if self.is_hot else None
        return {
            "what": self.what,
            "before": self.before,
            "after": self.after,
            "change": self.change,
            "interval": interval,
            "grade": self.grade,
            "weight": weight,
        }


def _same_runs(finding: Incident) -> list[_Measure]:
    """Both programs on the later version's own runs; nothing where they were not tried on them."""
    trial = finding.trial
    forward = trial.forward if trial is not None else None
    if trial is None or forward is None or trial.basis is not Basis.OWN_RUNS or forward.relative is None:
        return []
    if isinstance(finding, VersionFinding) and finding.steps:
        return []
    rows = forward.rows[forward.rows["decided"].to_numpy(bool)]
    means = [estimators.mean(rows[name], rows["weight"]) for name in ("would", "points")]
    change = comparisons.difference_of(forward.per_run, forward.relative, is_significant=trial.pays_more is not None)
    return [_measure("Points per run, on the same runs", means[0], means[1], is_hot=True, change=change)]


def _one_program(finding: Incident) -> list[_Measure]:
    """Points per run as one program pays them, whichever version was live."""
    if not isinstance(finding, DataFinding) or finding.level is None:
        return []
    label, before, after = finding.level
    return [_measure(f"Points per run, as {label} pays all", before, after, is_hot=True, change=finding.points)]


def _points(before: Group, after: Group, points: Difference | None, name: str = "Points per run") -> _Measure:
    means = estimators.mean(*before.values, process=True), estimators.mean(*after.values, process=True)
    points = points or comparisons.difference(before.values, after.values)
    return _measure(name, *means, is_hot=True, change=points)


def _measure(
    what: Inline, a: Estimate, b: Estimate, *, unit: str = "", is_hot: bool = False, change: Difference | None = None
) -> _Measure:
    """One line; ``change`` where it was not estimated from these two alone."""
    scale = 100 if unit == "%" else 1

    def written(estimate: Estimate, *, sign: bool = False) -> str:
        return number.number(estimate.value * scale, estimate.low * scale, estimate.high * scale, unit=unit, sign=sign)

    grade = estimators.worse(a.grade, b.grade)
    is_sure = change.is_significant if change else grade != "too few"
    change = change or comparisons.between(a, b, is_negative_possible=False)
    is_sure = is_sure and change.is_significant
    bounds = (change.relative_low, change.relative, change.relative_high)
    is_known = all(map(math.isfinite, bounds))
    amount = number.percent(change.relative, *bounds[::2], sign=True) if is_known else written(change.change, sign=True)
    instead = "too few to compare" if a.logged_count and b.logged_count else "on one side only"
    if is_sure and not is_known:
        instead = "it may have been nothing before: no share of that"
    return _Measure(
        what,
        before=written(a) if a.logged_count else "–",
        after=written(b) if b.logged_count else "–",
        change=amount if is_sure else "~" if is_known else "–",
        grade=grade,
        bounds=bounds if is_known else None,
        instead=instead,
        is_hot=is_hot,
        is_sure=is_sure,
    )


def _quantile(side: Group, column: str, q: float) -> Estimate:
    rows = side.rows[[column, "sample_weight"]][side.rows["status"] == "ok"]
    return estimators.quantile(rows[column], rows["sample_weight"], q)


def _failure_rate(before: Group, after: Group) -> _Measure:
    counts = [int((side.rows["status"] != "ok").sum()) for side in (before, after)]
    totals = [run_estimate(side.rows) for side in (before, after)]
    rates = [estimators.failure_rate(count, total) for count, total in zip(counts, totals, strict=True)]
    p = comparisons.rate_change_p((counts[0], counts[1]), (totals[0], totals[1]))
    is_sure = p < 0.01
    before_rate, after_rate = (number.percent(rate.value, rate.low, rate.high) for rate in rates)
    return _Measure(
        "Failure rate",
        before=before_rate,
        after=after_rate,
        change=f"{counts[0]} → {counts[1]} failures" if is_sure else "~",
        grade="too few" if sum(counts) < 10 else "good",
        bounds=None,
        instead=f"{counts[0]} and {counts[1]} failures, all of them logged" + ("" if is_sure else "; may be chance"),
        is_sure=is_sure,
    )


def _value(value: float, is_share: bool) -> str:
    if is_share:
        return number.percent(value)
    return number.exact(float(np.format_float_positional(value, precision=6, trim="-")))


def _known(value: object) -> str:
    return value if isinstance(value, str) else "–"
