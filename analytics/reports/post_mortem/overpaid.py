"""How much was overpaid, and who is affected: what the other version pays on the same inputs, run by run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analytics.estimates import estimators
from analytics.findings.post_mortem.case_split import Case, Split
from analytics.findings.post_mortem.finding import Incident, VersionFinding
from analytics.findings.post_mortem.groups import NO_CASE, run_estimate
from analytics.findings.post_mortem.node_changes import NodeChanges
from analytics.findings.replay.replayed import Counterfactual, Group, Replayed
from analytics.findings.replay.trials import TrialVerdict, VersionTrial
from analytics.reports import charts, page
from analytics.reports.common import masked
from analytics.reports.page import Column, number
from analytics.reports.post_mortem import chart_frames, comparison_tables, verdict, version_story
from analytics.reports.post_mortem.phrases import percent_up
from analytics.reports.small_cells import SmallCells

if TYPE_CHECKING:
    import pandas as pd

    from analytics.reports.page import Block

_QUESTION = "Why did points per run change?"


def causes_section(
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
    if nodes is None or not nodes.nodes:
        reason = nodes.reason if nodes else "nothing to compare"
        body.append(page.note(f"Nodes are not compared one by one: {reason}."))
    else:
        body += comparison_tables.nodes(nodes.nodes, before, after)
    return page.section("why", question, how, said or verdict.why_sentence(parts, found), body)


_MOST_USERS = 5


def affected_users(
    rows: pd.DataFrame,
    cases: Sequence[Case],
    replayed: Replayed | None,
    *,
    show_users: bool,
    small: SmallCells | None = None,
) -> Block:
    """Users seen most, with what they were overpaid when an amount changed."""
    how = [
        "User ids are shown." if show_users else ["User ids are masked. Unmask with ", page.mono("--show-users"), "."]
    ]
    moved = {case.name: case.points_before.value for case in cases if case.amount_changed}
    affected = rows[rows["status"] == "ok"]
    if moved:
        names = affected["case_name"].fillna(NO_CASE)
        affected = affected[names.isin(list(moved))].assign(
            overpaid=lambda r: r["points"] - r["case_name"].fillna(NO_CASE).map(moved).astype(float)
        )
    affected = affected[affected["external_user_id"].notna()]
    if affected.empty:
        return page.section("who", "Who is affected?", how, "No ok run that names a user is logged.")
    counted = int(affected["external_user_id"].nunique())
    if small:
        return page.section("who", "Who is affected?", [small.note], f"{small.count(counted)} users were logged.")
    said = (
        f"At least {number.counted(counted, 'user')}. Single users are rarely logged often enough to say how much; "
        "use the points ledger for amounts per person."
    )
    if replayed is not None and replayed.users:
        return page.section("who", "Who is affected?", how, said, [_overpaid_users(replayed, show_users)])
    lines = []
    # Frames only for those that are shown: a few thousand of them take longer than all the rest of the section.
    counts = affected["external_user_id"].value_counts()
    for user in sorted(counts.index[counts > 0], key=lambda user: (-counts[user], str(user)))[:_MOST_USERS]:
        group = affected[affected["external_user_id"] == user]
        line: dict[str, Any] = {
            "user": str(user) if show_users else masked(user),
            "count": len(group),
            "runs": run_estimate(group),
        }
        if moved:
            line["overpaid"] = estimators.total(group["overpaid"], group["sample_weight"]).as_difference()
        lines.append(line)
    columns = [
        Column("user", "Seen most", kind="author", role="name"),
        Column("count", "logged runs", kind="count"),
        Column("runs", "runs, estimated", kind="estimate"),
    ]
    if moved:
        is_short = all(line["overpaid"].value <= 0 for line in lines)
        columns.append(Column("overpaid", f"{'under' if is_short else 'over'}paid, estimated", kind="estimate"))
        for line in lines if is_short else ():
            line["overpaid"] = line["overpaid"].negated()
    return page.section("who", "Who is affected?", how, said, [page.table(lines, columns)])


def _overpaid_users(replayed: Replayed, show_users: bool) -> Block:
    is_short = replayed.difference.high < 0
    word = "little" if is_short else "much"
    lines = [
        {
            "user": str(user.name) if show_users else masked(user.name),
            "count": user.logged_count,
            "logged": number.number(-user.logged_difference if is_short else user.logged_difference, sign=True),
            "difference": user.difference.negated() if is_short else user.difference,
        }
        for user in replayed.users
    ]
    columns = [
        Column("user", "Most affected", kind="author", role="name"),
        Column("count", "logged runs", kind="count"),
        Column("logged", f"paid too {word} in those", align="right"),
        Column("difference", f"too {word}, estimated", kind="estimate"),
    ]
    return page.table(lines, columns)


_MOST_CASES = 12


def section(
    found: Incident,
    tried: Counterfactual,
    parts: Split | None,
    trial: VersionTrial | None = None,
    question: str = "",
) -> Block:
    """The counterfactual by case; without one, why there is none and what can be said instead.

    Args:
        found: What stands out.
        tried: Both programs on each other's runs, by the cases that may be shown.
        parts: The change by cases.
        trial: What that proves.
        question: Where it is another one than how much was overpaid.
    """
    forward = tried.forward
    if forward is None or not forward.decided_count:
        return _without(found, tried, parts, question)
    question = question or _question(forward)
    one, other = forward.inputs_label, forward.program_label
    how: list[Any] = [
        f"Replayed: {forward.tried_count:,} of {forward.logged_count:,} logged ok runs"
        + (", an even part." if forward.share < 1 else "."),
        f"{one}'s own program gives {forward.own_count:,} of them the same points and case.",
        "Mix is left out: both programs see the same runs.",
    ]
    if not forward.differing_count:
        runs = f"{forward.decided_count:,} replayed runs"
        same = f"on the same inputs {other} pays what {one} paid, in every one of the {runs}"
        if trial is not None and trial.verdict is TrialVerdict.SAME:
            rest = (
                f"; at most {percent_up(trial.most_differing)} of its runs can differ" if trial.most_differing else ""
            )
            said_same = f"Nothing: {same}{rest}."
        elif trial is not None and trial.verdict is TrialVerdict.DIFFERS:
            said_same = f"Cannot be told in points: {version_story.reason_of(trial)}. Where it can, {same}."
        else:
            why = version_story.reason_of(trial) if trial is not None else "some runs could not be tried"
            said_same = f"Cannot tell: {why}. Where it can be told, {same}."
        return page.section("much", question, how, said_same, [*_series(found), *_notes(forward)])
    low, high = forward.difference.low, forward.difference.high
    whole: list[Any] = []
    if isinstance(found, VersionFinding) and found.steps and found.total is not None:
        beyond = page.est(found.total, sign=True)
        whole = ["All versions of the series together: ", beyond, f" points beyond {other}. Of that, {one}: "]
    said: list[Any] = [
        *whole,
        f"Points on the same inputs: {other} would have paid ",
        page.est(forward.would_pay),
        f"; {one} paid ",
        page.est(forward.paid),
        ". The difference, run by run, is ",
        page.est(forward.difference, sign=True),
        "." if low > 0 or high < 0 else ", which may be nothing.",
    ]
    body: list[Any] = [*_series(found), _table(forward), *_notes(forward)]
    if tried.backward is not None and tried.backward.decided_count:
        back = tried.backward
        turned = page.est(back.per_run.negated(), sign=True)
        body.append(
            page.note(
                [
                    f"The other way round, {back.program_label} on the inputs of {back.inputs_label} pays ",
                    turned,
                    " per run.",
                ]
            )
        )
    return page.section("much", question, how, said, body)


def _question(forward: Replayed) -> str:
    return f"How much was {'under' if forward.difference.high < 0 else 'over'}paid?"


def _without(found: Incident, tried: Counterfactual, parts: Split | None, question: str) -> Block:
    why = tried.reason or "no run's input decides what the other program pays"
    said: list[Any] = [f"Cannot be replayed: {why}."]
    is_version = isinstance(found, VersionFinding)
    beyond = version_story.overpaid(found, parts) if isinstance(found, VersionFinding) else None
    if beyond is not None:
        said += [" Case by case, beyond the earlier amounts: ", page.est(beyond, sign=True), " points."]
    elif is_version:
        said += [" Other shares of runs reach its cases, so amounts by cases do not tell it either."]
    less = beyond is not None and beyond.high < 0
    return page.section(
        "much",
        question or f"How much was {'under' if less else 'over'}paid?",
        ["Without both programs, amounts are compared case by case."],
        said,
    )


def _series(found: Incident) -> list[Any]:
    """Of a series of versions: each beside the version before them, on its own runs."""
    if not isinstance(found, VersionFinding) or not found.steps:
        return []
    rows = []
    for step in found.steps:
        forward, own = step.trial.forward, step.before_it
        rows.append(
            {
                "version": step.span.label,
                "when": number.span(step.span.first, step.span.last),
                "count": forward.tried_count if forward else 0,
                "per_run": step.trial.per_run,
                "step": own.per_run if own is not None else step.trial.per_run,
                "difference": step.trial.difference,
            }
        )
    columns = [
        Column("version", "Version", role="name"),
        Column("when", "first – last run"),
        Column("count", "replayed runs", kind="count"),
        Column("step", "beyond the version before it, per run", kind="estimate"),
        Column("per_run", f"beyond {found.before.label}, per run", kind="estimate"),
        Column("difference", "in all, est.", kind="estimate"),
    ]
    return [page.table(rows, columns)]


def _table(forward: Replayed) -> Block:
    rows = [_row(case.name or NO_CASE, case) for case in forward.cases[:_MOST_CASES]]
    total = Group(None, forward.decided_count, 0.0, forward.paid, forward.would_pay, forward.difference)
    rows.append({**_row("all of them", total), "weight": "hot"})
    columns = [
        Column("case", "Case", kind="author", role="name"),
        Column("count", "logged runs", kind="count"),
        Column("paid", f"{forward.inputs_label} paid, est.", kind="estimate"),
        Column("would", f"{forward.program_label} pays, est.", kind="estimate"),
        Column("difference", "difference, est.", kind="estimate"),
    ]
    return page.table(rows, columns, row_class="weight")


def _row(name: str, group: Group) -> dict[str, Any]:
    moved = not math.isclose(group.difference.value, 0.0, abs_tol=1e-9)
    return {
        "case": name,
        "count": group.logged_count,
        "paid": group.paid,
        "would": group.would_pay,
        "difference": group.difference if moved else None,
        "weight": None if moved else "quiet",
    }


def _notes(forward: Replayed) -> list[Any]:
    """What was left out, and how much it may be."""
    notes = []
    if forward.failed:
        notes.append(
            page.note(f"On some inputs {forward.program_label} fails and pays nothing: {_counts(forward.failed)}.")
        )
    if forward.undecided_count:
        low, high = forward.undecided_low, forward.undecided_high
        bound = (
            f"they change the difference by {number.number(low, low, high, sign=True)} to "
            f"{number.number(high, low, high, sign=True)} points"
            if math.isfinite(low) and math.isfinite(high)
            else "nothing bounds what they pay"
        )
        notes.append(
            page.note(
                f"Left out: {forward.undecided_count:,} runs need what their trace does not hold; {bound}. "
                f"{_counts(forward.missing)}."
            )
        )
    if forward.misfit_count:
        notes.append(
            page.note(
                f"Left out: {forward.misfit_count:,} runs whose trace the definition of {forward.inputs_label} cannot have left."
            )
        )
    return notes


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in list(found.items())[:4])
