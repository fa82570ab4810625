"""Who wins and who loses: groups of users by how often they play, and the users with the largest differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.reports import page
from analytics.reports.common import masked
from analytics.reports.page import Column, number
from analytics.reports.rehearsal import wording

if TYPE_CHECKING:
    from analytics.findings.rehearsal.user_groups import UserGroup
    from analytics.reports.page import Block
    from analytics.reports.page.blocks import Body
    from analytics.reports.rehearsal.visible_facts import VisibleFacts


def section(shown: VisibleFacts, *, show_users: bool) -> Block:
    """Groups first, then single users where they may be shown."""
    found, small = shown.found, shown.small
    question = "Who wins, who loses?"
    how = ["Among the tried logged runs: the log is a sample and cannot list every user."]
    if not found.users:
        return page.section("who", question, how, wording.none_changed(found))
    body: list[Body] = []
    if shown.user_groups:
        body += [page.subhead("By how often they play"), _groups(shown.user_groups, wording.base_pay(found))]
        body.append(page.note("Users in quarters by their tried logged runs; those with as many are in one group."))
    if small:
        return page.section("who", question, [*how, small.note], "Single users are left out.", body)
    body += [page.subhead("Who wins and loses most in the tried logged rows"), _users(shown, show_users=show_users)]
    chance = (
        "Sums of these rows, and no estimates: whom the log shows most of is chance, and that chance chose these users."
    )
    body.append(page.note(chance))
    return page.section("who", question, how, None, body)


def _groups(groups: list[UserGroup], base: str) -> Block:
    rows = [
        {
            "runs": number.counted(one.least, "logged run")
            if one.least == one.most
            else f"{one.least:,} – {one.most:,}",
            "users": one.user_count,
            "rows": one.logged_count,
            "more": one.per_run,
            "share": "–" if one.relative is None else _share(one),
        }
        for one in groups
    ]
    columns = [
        Column("runs", "Runs of a user", role="name"),
        Column("users", "Logged users", kind="count"),
        Column("rows", "Tried rows", kind="count"),
        Column("more", "Difference per run", kind="estimate", sign=True),
        Column("share", f"Of {base}", align="right"),
    ]
    return page.table(rows, columns)


def _share(group: UserGroup) -> page.Markup:
    share = group.relative
    if share is None:
        return page.Markup(number.NOTHING)
    said = number.percent(share.value, share.low, share.high, sign=True)
    return page.Markup("{} {}").format(
        said, page.ci(100 * share.low, 100 * share.high, value=100 * share.value, sign=True)
    )


def _users(shown: VisibleFacts, *, show_users: bool) -> Block:
    rows = [
        {
            "user": user.name if show_users else masked(user.name),
            "rows": user.logged_count,
            "more": user.difference,
        }
        for user in shown.found.users
    ]
    columns = [
        Column("user", "User", kind="author", role="name"),
        Column("rows", "Tried rows", kind="count"),
        Column("more", "Difference in these rows", kind="exact", sign=True),
    ]
    return page.table(rows, columns)
