"""How much was overpaid, and who is affected: what the other version pays on the same inputs, run by run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, assert_never

from analytics.estimates import estimators
from analytics.findings.post_mortem.finding import Incident, VersionFinding
from analytics.findings.post_mortem.groups import NO_CASE, Case, Split, run_estimate
from analytics.findings.post_mortem.node_changes import NodeChanges
from analytics.findings.replay.replayed import Counterfactual, Replayed, ReplayTotals
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
    from analytics.reports.page.blocks import Body
    from analytics.reports.page.inline import Inline

_QUESTION = "Why did points per run change?"


def causes_section(
    finding: Incident,
    parts: Split | None,
    cases: Sequence[Case],
    nodes: NodeChanges | None,
    *,
    question: str = _QUESTION,
    answer: str | None = None,
) -> Block:
    """The split of the change, and the nodes that differ; ``answer`` is the answer where it is not the usual one."""
    how: list[Inline] = [["Effect: the case pays another amount."], ["Mix: other shares of runs reach it."]]
    if not (finding.before and finding.after and parts):
        return page.section("why", question, how, "Cannot tell: nothing to compare with.")
    before, after = finding.before.label, finding.after.label
    frame = chart_frames.case_frame(cases, before, after)
    drawn = charts.responsive(
        lambda width: charts.cases(frame, width=width), "cases", "Share of runs per case, both versions"
    )
    effect, mix = page.est(parts.effect, sign=True), page.est(parts.mix, sign=True)
    body: list[Body] = [
        page.Markup(drawn),
        page.note(["Effect ", effect, " points per run · mix ", mix, " points per run"]),
    ]
    if nodes is None or not nodes.nodes:
        reason = nodes.reason if nodes else "nothing to compare"
        body.append(page.note(f"Nodes are not compared one by one: {reason}."))
    else:
        body += comparison_tables.nodes(nodes.nodes, before, after)
    return page.section("why", question, how, answer or verdict.why_sentence(parts, finding), body)


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
    question = "Who is affected?"
    how: list[Inline] = [
        "User ids are shown." if show_users else ["User ids are masked. Unmask with ", page.mono("--show-users"), "."]
    ]
    earlier = {case.name: case.points_before.value for case in cases if case.amount_changed}
    affected = rows[rows["status"] == "ok"]
    if earlier:
        names = affected["case_name"].fillna(NO_CASE)
        affected = affected[names.isin(list(earlier))].assign(
            overpaid=lambda r: r["points"] - r["case_name"].fillna(NO_CASE).map(earlier).astype(float)
        )
    affected = affected[affected["external_user_id"].notna()]
    if affected.empty:
        return page.section("who", question, how, "No ok run that names a user is logged.")
    counted = int(affected["external_user_id"].nunique())
    if small:
        return page.section("who", question, [small.note], f"{small.count(counted)} users were logged.")
    answer = (
        f"At least {number.counted(counted, 'user')}. Single users are rarely logged often enough to say how much; "
        "use the points ledger for amounts per person."
    )
    if replayed is not None and replayed.users:
        table = _overpaid_users(replayed, show_users)
    else:
        table = _users_seen_most(affected, show_users, has_amounts=bool(earlier))
    return page.section("who", question, how, answer, [table])


def _users_seen_most(affected: pd.DataFrame, show_users: bool, *, has_amounts: bool) -> Block:
    """Users with most logged runs.

    Args:
        affected: Their runs; with ``has_amounts``, ``overpaid`` is what each was paid beyond the earlier amount of its case.
        show_users: Show user ids.
        has_amounts: A case pays another amount.
    """
    # Frames only for those that are shown: a few thousand of them take longer than all the rest of the section.
    counts = affected["external_user_id"].value_counts()
    users = sorted(counts.index[counts > 0], key=lambda user: (-counts[user], str(user)))[:_MOST_USERS]
    groups = [affected[affected["external_user_id"] == user] for user in users]
    lines: list[dict[str, object]] = [
        {"user": str(user) if show_users else masked(user), "count": len(group), "runs": run_estimate(group)}
        for user, group in zip(users, groups, strict=True)
    ]
    columns = [
        Column("user", "Seen most", kind="author", role="name"),
        Column("count", "logged runs", kind="count"),
        Column("runs", "runs, estimated", kind="estimate"),
    ]
    if has_amounts:
        amounts = [estimators.total(group["overpaid"], group["sample_weight"]).as_difference() for group in groups]
        is_short = all(amount.value <= 0 for amount in amounts)
        columns.append(Column("overpaid", f"{'under' if is_short else 'over'}paid, estimated", kind="estimate"))
        for line, amount in zip(lines, amounts, strict=True):
            line["overpaid"] = amount.negated() if is_short else amount
    return page.table(lines, columns)


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
    finding: Incident,
    tried: Counterfactual,
    parts: Split | None,
    trial: VersionTrial | None = None,
    question: str = "",
) -> Block:
    """The counterfactual by case; without one, why there is none and what can be said instead.

    Args:
        finding: What stands out.
        tried: Both programs on each other's runs, by the cases that may be shown.
        parts: The change by cases.
        trial: What that proves.
        question: Where it is another one than how much was overpaid.
    """
    forward = tried.forward
    if forward is None or not forward.decided_count:
        return _without(finding, tried, parts, question)
    how: list[Inline] = [
        f"Replayed: {forward.tried_count:,} of {forward.logged_count:,} logged ok runs"
        + (", an even part." if forward.share < 1 else "."),
        f"{forward.inputs_label}'s own program gives {forward.own_count:,} of them the same points and case.",
        "Mix is left out: both programs see the same runs.",
    ]
    if forward.differing_count:
        answer, body = _difference(finding, forward), [*_series(finding), _table(forward), *_notes(forward)]
        body += _other_way_round(tried.backward)
    else:
        answer, body = [_no_difference(forward, trial)], [*_series(finding), *_notes(forward)]
    return page.section("much", question or _question(forward), how, answer, body)


def _no_difference(forward: Replayed, trial: VersionTrial | None) -> str:
    """What it means that no replayed run is paid otherwise."""
    runs = f"{forward.decided_count:,} replayed runs"
    same = (
        f"on the same inputs {forward.program_label} pays what {forward.inputs_label} paid, in every one of the {runs}"
    )
    if trial is None:
        return f"Cannot tell: some runs could not be tried. Where it can be told, {same}."
    match trial.verdict:
        case TrialVerdict.SAME:
            rest = (
                f"; at most {percent_up(trial.most_differing)} of its runs can differ" if trial.most_differing else ""
            )
            return f"Nothing: {same}{rest}."
        case TrialVerdict.DIFFERS:
            return f"Cannot be told in points: {version_story.reason_of(trial)}. Where it can, {same}."
        case TrialVerdict.CANNOT_TELL:
            return f"Cannot tell: {version_story.reason_of(trial)}. Where it can be told, {same}."
        case _:
            assert_never(trial.verdict)


def _difference(finding: Incident, forward: Replayed) -> list[Inline]:
    """Both totals over the same runs, and what lies between them; of a series what all of its versions come to."""
    whole: list[Inline] = []
    if isinstance(finding, VersionFinding) and finding.steps and finding.total is not None:
        beyond = f" points beyond {forward.program_label}. Of that, {forward.inputs_label}: "
        whole = ["All versions of the series together: ", page.est(finding.total, sign=True), beyond]
    is_sure = forward.difference.low > 0 or forward.difference.high < 0
    return [
        *whole,
        f"Points on the same inputs: {forward.program_label} would have paid ",
        page.est(forward.would_pay),
        f"; {forward.inputs_label} paid ",
        page.est(forward.paid),
        ". The difference, run by run, is ",
        page.est(forward.difference, sign=True),
        "." if is_sure else ", which may be nothing.",
    ]


def _other_way_round(back: Replayed | None) -> list[Block]:
    """The later program on the earlier inputs."""
    if back is None or not back.decided_count:
        return []
    turned = page.est(back.per_run.negated(), sign=True)
    return [
        page.note(
            [
                f"The other way round, {back.program_label} on the inputs of {back.inputs_label} pays ",
                turned,
                " per run.",
            ]
        )
    ]


def _question(forward: Replayed) -> str:
    return f"How much was {'under' if forward.difference.high < 0 else 'over'}paid?"


def _without(finding: Incident, tried: Counterfactual, parts: Split | None, question: str) -> Block:
    why = tried.reason or "no run's input decides what the other program pays"
    pieces: list[Inline] = [f"Cannot be replayed: {why}."]
    beyond = version_story.overpaid(finding, parts) if isinstance(finding, VersionFinding) else None
    if beyond is not None:
        pieces += [" Case by case, beyond the earlier amounts: ", page.est(beyond, sign=True), " points."]
    elif isinstance(finding, VersionFinding):
        pieces += [" Other shares of runs reach its cases, so amounts by cases do not tell it either."]
    less = beyond is not None and beyond.high < 0
    return page.section(
        "much",
        question or f"How much was {'under' if less else 'over'}paid?",
        ["Without both programs, amounts are compared case by case."],
        pieces,
    )


def _series(finding: Incident) -> list[Block]:
    """Of a series of versions: each beside the version before them, on its own runs."""
    if not isinstance(finding, VersionFinding) or not finding.steps:
        return []
    rows = []
    for step in finding.steps:
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
        Column("per_run", f"beyond {finding.before.label}, per run", kind="estimate"),
        Column("difference", "in all, est.", kind="estimate"),
    ]
    return [page.table(rows, columns)]


def _table(forward: Replayed) -> Block:
    rows = [_row(case.name or NO_CASE, case) for case in forward.cases[:_MOST_CASES]]
    total = ReplayTotals(None, forward.decided_count, 0.0, forward.paid, forward.would_pay, forward.difference)
    rows.append({**_row("all of them", total), "weight": "hot"})
    columns = [
        Column("case", "Case", kind="author", role="name"),
        Column("count", "logged runs", kind="count"),
        Column("paid", f"{forward.inputs_label} paid, est.", kind="estimate"),
        Column("would", f"{forward.program_label} pays, est.", kind="estimate"),
        Column("difference", "difference, est.", kind="estimate"),
    ]
    return page.table(rows, columns, row_class="weight")


def _row(name: str, group: ReplayTotals) -> dict[str, object]:
    moved = not math.isclose(group.difference.value, 0.0, abs_tol=1e-9)
    return {
        "case": name,
        "count": group.logged_count,
        "paid": group.paid,
        "would": group.would_pay,
        "difference": group.difference if moved else None,
        "weight": None if moved else "quiet",
    }


def _notes(forward: Replayed) -> list[Block]:
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
