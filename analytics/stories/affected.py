"""Who is affected: the users seen most, and how much they were paid too much or too little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from analytics import estimates, page
from analytics.findings.cases import Case
from analytics.findings.counterfactual import Replayed
from analytics.findings.incident import NO_CASE, run_estimate
from analytics.page import Column, number
from analytics.stories import masked
from analytics.stories.small_cells import SmallCells

if TYPE_CHECKING:
    import pandas as pd

    from analytics.page import Block

_MOST_USERS = 5


def users(
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
            line["overpaid"] = estimates.total(group["overpaid"], group["sample_weight"]).as_difference()
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
