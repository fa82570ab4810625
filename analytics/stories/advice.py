"""The post-mortem's advice: what to do next."""

from __future__ import annotations

from analytics import page
from analytics.findings.cases import Split
from analytics.findings.family import Family
from analytics.findings.incident import Incident
from analytics.page import number
from analytics.stories.verdict import cause, episode


def actions(found: Incident, family: Family, parts: Split | None) -> list[page.Todo]:
    """What to do next, done things marked."""
    todo: list[page.Todo] = []
    if found.kind == "version" and found.before and found.after:
        call = f"POST …/v1/strategies/custom/{found.before.strategy_id}/publish      # path as in your deployment"
        if found.rollback:
            todo.append(
                page.Todo(
                    f"Roll back to {found.before.label}: done, {number.when(found.rollback.first)}.",
                    f"The log agrees: {found.rollback.logged_count:,} rows of {found.rollback.label} since.",
                    call,
                    done=True,
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
        if parts:
            overpaid = number.number(parts.overpaid.value, parts.overpaid.low, parts.overpaid.high)
            todo.append(
                page.Todo(
                    f"Decide on the {overpaid} points: keep, or take back from the ledger.",
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
                f"{cause(found.code)} A failed run keeps no trace, so compare game and task of the failing runs.",
            )
        )
        todo.append(page.Todo("Guard the rule in the next version.", "A program that fails pays nothing."))
    else:
        todo.append(page.Todo("Nothing to do.", "No change beyond chance was found."))
    return todo
