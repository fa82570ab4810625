"""The post-mortem's advice: what to do next."""

from __future__ import annotations

from analytics.findings.post_mortem.case_split import Split
from analytics.findings.post_mortem.incident import Incident
from analytics.findings.replay.trials import VersionTrial
from analytics.reports import page
from analytics.reports.commands import roll_back
from analytics.reports.page import number
from analytics.reports.post_mortem import failing, version_story


def actions(found: Incident, parts: Split | None) -> list[page.Todo]:
    """What to do next, done things marked: for what stands out, then for each further finding."""
    todo = _actions(found, parts)
    for other in found.also:
        todo += [item for item in _actions(other, None) if item.text not in {done.text for done in todo}]
    return todo


def _actions(found: Incident, parts: Split | None) -> list[page.Todo]:
    todo: list[page.Todo] = []
    if found.kind == "version" and found.before and found.after:
        todo += _version(found, parts)
    elif found.kind == "nothing":
        todo.append(page.Todo("Look at another window, or extract this one.", "Nothing is logged here to act on."))
    elif found.kind == "failures":
        todo += failing.todo(found)
    elif found.kind == "data":
        todo += _inputs(found)
    elif found.kind == "duration":
        fields = "Every analytics field is a database query per run, outside the time limit."
        if found.border and found.before:
            todo.append(
                page.Todo(f"Compare the fields that {found.border.label} and {found.before.label} read.", fields)
            )
        else:
            todo.append(
                page.Todo("Look at the database behind the analytics fields.", f"{fields} No version changed then.")
            )
    elif found.kind == "window":
        todo.append(page.Todo("Look for the moment of the change.", "Without a baseline, the report looks for it."))
    elif found.open_trials:
        todo += [_undecided(trial) for trial in found.open_trials]
    elif found.reason:
        todo.append(page.Todo("No change to act on was found.", found.reason))
    else:
        todo.append(
            page.Todo("No change to act on was found.", "What moved is within chance, as far as the log tells.")
        )
    return todo


def _version(found: Incident, parts: Split | None) -> list[page.Todo]:
    """Roll back or not, and what becomes of the points."""
    assert found.before is not None and found.after is not None  # noqa: S101  # decided by the caller
    todo: list[page.Todo] = []
    back = found.rollback or found.before
    call = roll_back(back.strategy_id, back.strategy_version)
    live = found.steps[-1].span.label if found.steps else found.after.label
    if found.rollback:
        todo.append(
            page.Todo(
                f"Roll back to {found.rollback.label}: done, {number.when(found.rollback.first)}.",
                f"The log agrees: {number.counted(found.rollback.logged_count, 'row')} of {found.rollback.label} since.",
                call,
                done=True,
            )
        )
    elif found.successor and not found.goes_on:
        todo.append(
            page.Todo(
                f"Check what {found.successor.label} pays, which came on {number.when(found.successor.first)}.",
                f"{found.after.label} was gone then. A report since then with --baseline {found.before.label} tells.",
            )
        )
    elif found.cause == "unknown":
        todo.append(
            page.Todo(
                f"Find out whether {live} or its inputs moved the points, before rolling back to {found.before.label}.",
                "Read what changed in the program above, and simulate logged runs with both versions.",
            )
        )
    else:
        todo.append(
            page.Todo(
                f"Decide whether to roll {live} back to {found.before.label}.",
                "Republishes the old row under its own id, and points games and tasks back.",
                call,
            )
        )
    beyond = version_story.overpaid(found, parts)
    if beyond is not None and (beyond.low > 0 or beyond.high < 0):
        is_short = beyond.high < 0
        beyond = beyond.negated() if is_short else beyond
        amount = number.number(beyond.value, beyond.low, beyond.high)
        todo.append(
            page.Todo(
                f"Decide on the {amount} points that were not paid: leave it, or pay them out."
                if is_short
                else f"Decide on the {amount} points: keep, or take back from the ledger.",
                "The log is a sample and cannot list every user.",
            )
        )
    todo.append(
        page.Todo(
            "Simulate before publishing the next version.", "The requests under “Three runs” replay what happened."
        )
    )
    return todo


def _inputs(found: Incident) -> list[page.Todo]:
    """Where to look for what no version explains; only what grew is bounded by a clamp."""
    when = (
        f"between {number.when(found.since)} and {number.when(found.until)}"
        if found.until
        else f"since {number.when(found.since)}"
    )
    if found.cause == "built-in":
        return [
            page.Todo(
                f"Find what changed in the wrapped built-in {when}.",
                "Its answer moved under an unchanged program: look at its deployment, its variables and what it alone reads.",
            )
        ]
    if found.slope is not None:
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
            + (" The wrapped built-in may have been deployed anew, too." if found.wraps_built_in else ""),
        )
    ]
    if found.points is not None and found.points.change.value > 0:
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
