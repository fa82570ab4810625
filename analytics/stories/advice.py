"""The post-mortem's advice: what to do next."""

from __future__ import annotations

from analytics import page
from analytics.findings.cases import Split
from analytics.findings.family import Family
from analytics.findings.incident import Incident
from analytics.page import number
from analytics.stories.moved import cause, episode


def actions(found: Incident, family: Family, parts: Split | None) -> list[page.Todo]:
    """What to do next, done things marked."""
    todo: list[page.Todo] = []
    if found.kind == "version" and found.before and found.after:
        back = found.rollback or found.before
        call = f"POST …/v1/strategies/custom/{page.visible(back.strategy_id)}/publish      # path as in your deployment"
        if found.rollback:
            todo.append(
                page.Todo(
                    f"Roll back to {found.rollback.label}: done, {number.when(found.rollback.first)}.",
                    f"The log agrees: {found.rollback.logged_count:,} rows of {found.rollback.label} since.",
                    call,
                    done=True,
                )
            )
        elif found.successor:
            todo.append(
                page.Todo(
                    f"Check what {found.successor.label} pays, which came on {number.when(found.successor.first)}.",
                    f"{found.after.label} was gone then. A report since then with --baseline {found.before.label} tells.",
                )
            )
        else:
            todo.append(
                page.Todo(
                    f"Decide whether to roll back to {found.before.label}.",
                    "Republishes the old row under its own id.",
                    call,
                )
            )
        if parts and (parts.overpaid.low > 0 or parts.overpaid.high < 0):
            is_short = parts.overpaid.high < 0
            beyond = parts.overpaid.negated() if is_short else parts.overpaid
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
    elif found.kind == "nothing":
        todo.append(page.Todo("Look at another window, or extract this one.", "Nothing is logged here to act on."))
    elif found.kind == "failures":
        todo.append(
            page.Todo(
                f"Find what changed outside the rules {episode(found)}.",
                f"{cause(found)} A failed run keeps no trace, so compare game and task of the failing runs.",
            )
        )
        todo.append(page.Todo("Guard the rule in the next version.", "A program that fails pays nothing."))
    elif found.kind == "data":
        todo.append(
            page.Todo(
                f"Find what clients send otherwise since {number.when(found.since)}.",
                "No version changed points then: ask for client releases and imports of that time, and compare games and tasks.",
            )
        )
        todo.append(
            page.Todo("Bound the field in the next version.", "clamp(field, low, high) caps what one event can pay.")
        )
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
    elif found.reason:
        todo.append(page.Todo("Nothing to do now.", found.reason))
    else:
        todo.append(page.Todo("Nothing to do.", "No change beyond chance was found."))
    return todo
