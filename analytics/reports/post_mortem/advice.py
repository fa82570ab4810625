"""The post-mortem's advice: what to do next."""

from __future__ import annotations

from typing import assert_never

from analytics.estimates.estimate import Estimate
from analytics.findings.post_mortem.case_split import Split
from analytics.findings.post_mortem.finding import (
    BaselineFinding,
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
from analytics.findings.replay.trials import VersionTrial
from analytics.reports import page
from analytics.reports.commands import roll_back
from analytics.reports.page import number
from analytics.reports.post_mortem import failing, version_story
from analytics.reports.post_mortem.phrases import reason_sentence


def actions(finding: Incident, parts: Split | None) -> list[page.Todo]:
    """What to do next, done things marked: for what stands out, then for each further finding."""
    todo = _actions(finding, parts)
    for other in finding.also:
        todo += [item for item in _actions(other, None) if item.text not in {done.text for done in todo}]
    return todo


def _actions(finding: Incident, parts: Split | None) -> list[page.Todo]:
    match finding:
        case VersionFinding():
            return _version(finding, parts)
        case FailuresFinding():
            return failing.todo(finding)
        case DataFinding():
            return _inputs(finding)
        case DurationFinding():
            return [_slower(finding)]
        case BaselineFinding():
            return [page.Todo("Look for the moment of the change.", "Without a baseline, the report looks for it.")]
        case NoFinding() | OneGroup():
            return [_undecided(trial) for trial in finding.open_trials] or [_nothing(reason_sentence(finding))]
        case ComparisonFinding():
            return [_nothing("")]
        case NoRuns():
            return [page.Todo("Look at another window, or extract this one.", "Nothing is logged here to act on.")]
        case _:
            assert_never(finding)


def _nothing(reason: str) -> page.Todo:
    return page.Todo(
        "No change to act on was found.", reason or "What moved is within chance, as far as the log tells."
    )


def _slower(finding: DurationFinding) -> page.Todo:
    fields = "Every analytics field is a database query per run, outside the time limit."
    if finding.border:
        return page.Todo(f"Compare the fields that {finding.border.label} and {finding.before.label} read.", fields)
    return page.Todo("Look at the database behind the analytics fields.", f"{fields} No version changed then.")


def _version(finding: VersionFinding, parts: Split | None) -> list[page.Todo]:
    """Roll back or not, and what becomes of the points."""
    return [
        _rollback(finding),
        *_points(version_story.overpaid(finding, parts)),
        page.Todo(
            "Simulate before publishing the next version.", "The requests under “Three runs” replay what happened."
        ),
    ]


def _rollback(finding: VersionFinding) -> page.Todo:
    """What becomes of the version."""
    back = finding.rollback or finding.before
    call = roll_back(back.strategy_id, back.strategy_version)
    live = finding.steps[-1].span.label if finding.steps else finding.after.label
    if finding.rollback:
        return page.Todo(
            f"Roll back to {finding.rollback.label}: done, {number.when(finding.rollback.first)}.",
            f"The log agrees: {number.counted(finding.rollback.logged_count, 'row')} of {finding.rollback.label} since.",
            call,
            done=True,
        )
    if finding.successor and not finding.goes_on:
        return page.Todo(
            f"Check what {finding.successor.label} pays, which came on {number.when(finding.successor.first)}.",
            f"{finding.after.label} was gone then. A report since then with --baseline {finding.before.label} tells.",
        )
    if finding.cause is Cause.UNKNOWN:
        return page.Todo(
            f"Find out whether {live} or its inputs moved the points, before rolling back to {finding.before.label}.",
            "Read what changed in the program above, and simulate logged runs with both versions.",
        )
    return page.Todo(
        f"Decide whether to roll {live} back to {finding.before.label}.",
        "Republishes the old row under its own id, and points games and tasks back.",
        call,
    )


def _points(beyond: Estimate | None) -> list[page.Todo]:
    """What becomes of points that were surely paid beyond the earlier program, or not paid."""
    if beyond is None or not (beyond.low > 0 or beyond.high < 0):
        return []
    is_short = beyond.high < 0
    beyond = beyond.negated() if is_short else beyond
    amount = number.number(beyond.value, beyond.low, beyond.high)
    return [
        page.Todo(
            f"Decide on the {amount} points that were not paid: leave it, or pay them out."
            if is_short
            else f"Decide on the {amount} points: keep, or take back from the ledger.",
            "The log is a sample and cannot list every user.",
        )
    ]


def _inputs(finding: DataFinding) -> list[page.Todo]:
    """Where to look for what no version explains; only what grew is bounded by a clamp."""
    when = (
        f"between {number.when(finding.since)} and {number.when(finding.until)}"
        if finding.until
        else f"since {number.when(finding.since)}"
    )
    if finding.cause is Cause.BUILT_IN:
        return [
            page.Todo(
                f"Find what changed in the wrapped built-in {when}.",
                "Its answer moved under an unchanged program: look at its deployment, its variables and what it alone reads.",
            )
        ]
    if finding.slope is not None:
        return [
            page.Todo(
                "Find what drifts: the field that moved, and who plays.",
                "Points per run change day after day, so no single release explains it.",
            )
        ]
    todo = [
        page.Todo(
            f"Find what clients send otherwise {when}.",
            "No version explains it: ask for client releases and imports of that time, and compare games and tasks."
            + (" The wrapped built-in may have been deployed anew, too." if finding.wraps_built_in else ""),
        )
    ]
    if finding.points.change.value > 0:
        todo.append(
            page.Todo("Bound the field in the next version.", "clamp(field, low, high) caps what one event can pay.")
        )
    return todo


def _undecided(trial: VersionTrial) -> page.Todo:
    why = version_story.reason_of(trial)
    return page.Todo(
        f"Whether {trial.after.label} pays otherwise than {trial.before.label} cannot be told from these runs.",
        f"{why[:1].upper()}{why[1:]}. Compare the programs above, and simulate logged runs with both.",
    )
