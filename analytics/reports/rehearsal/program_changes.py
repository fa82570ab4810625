"""What the draft changes in the program: its edits, what it never runs, which branches no run took, and what a run will cost."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from analytics.findings.rehearsal.branch_hits import told_to_the_end, unused_parts
from analytics.program import MAX_NODES, outline, published_size, words
from analytics.program.compare import compare
from analytics.reports import page
from analytics.reports.page import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analytics.findings.rehearsal.branch_hits import BranchHits
    from analytics.findings.rehearsal.rehearsal import Rehearsal
    from analytics.findings.rehearsal.run_time import FieldQuery
    from analytics.findings.replay.run_evidence import Definition
    from analytics.reports.page import Block
    from analytics.reports.page.blocks import Body
    from analytics.reports.page.inline import Inline

_MOST_EDITS = 6
_MOST_BRANCHES = 8
_QUESTION = "What changes in the program?"


def section(found: Rehearsal) -> Block:
    """Beside the program that ran last."""
    size = published_size(found.program.ast)
    how = [
        f"The validator counts {number.counted(size.nodes, 'node')} of {MAX_NODES:,} and depth {size.depth}.",
        "It refuses a program above either limit.",
    ]
    body: list[Body] = []
    if found.running is None:
        text: Inline = "No program that ran is in the lake."
    else:
        label, running = found.running
        text, body = _edits(label, running, found.program)
    body += [*_unused(found.program), *_branches(found), *_time(found)]
    return page.section("program", _QUESTION, how, text, body)


def _edits(label: str, running: Definition, draft: Definition) -> tuple[Inline, list[Body]]:
    """The differences, of what runs: what no run reads is not new."""
    old, new = (_running_parts(one) for one in (running, draft))
    edits = compare(old.outline, new.outline, (running.built_in, draft.built_in))
    shown: list[Body] = [
        page.note(page.inline(words.edit(edit, old.outline, new.outline))) for edit in edits.edits[:_MOST_EDITS]
    ]
    if len(edits.edits) > _MOST_EDITS:
        shown.append(page.note(f"… and {len(edits.edits) - _MOST_EDITS:,} more."))
    return [f"Beside {label}, which ran last: ", words.edits(edits, new.outline)], shown


def _running_parts(program: Definition) -> Definition:
    unused = unused_parts(program)
    if not unused:
        return program
    ast = {key: value for key, value in program.ast.items() if key not in unused}
    return replace(program, ast=ast, outline=outline(ast))


def _unused(program: Definition) -> list[Body]:
    parts = unused_parts(program)
    if not parts:
        return []
    kind = program.strategy_type or "of its type"
    are = "is" if len(parts) == 1 else "are"
    return [
        page.note(
            [page.finding(f"{', '.join(parts)} {are} in it and never run"), f": a program {kind} reads other parts."]
        )
    ]


def _branches(found: Rehearsal) -> list[Body]:
    """Branches that no run can take, and those that no tried run took."""
    proven = [one for one in found.branches if one.proof is not None]
    rows = found.tried.rows
    tried = int((told_to_the_end(rows) & rows["code"].isna().to_numpy(bool)).sum())
    # Of a branch that can be taken only an absence among tried runs is known.
    unseen = [one for one in found.branches if one.proof is None and not one.logged_count] if tried else []
    body: list[Body] = []
    if proven:
        body.append(page.subhead("Branches that no run can take"))
        body += [
            page.note([_place(found, one), f": {one.proof.why}." if one.proof else ""])
            for one in proven[:_MOST_BRANCHES]
        ]
        body += _more(proven)
    if unseen:
        body.append(page.subhead(f"Branches not seen among {number.counted(tried, 'tried logged run')}"))
        body += [
            page.note([_place(found, one), f": of all runs up to {_most(one)} may take it."])
            for one in unseen[:_MOST_BRANCHES]
        ]
        body += _more(unseen)
    return body


def _more(listed: Sequence[BranchHits]) -> list[Body]:
    return [page.note(f"… and {len(listed) - _MOST_BRANCHES:,} more.")] if len(listed) > _MOST_BRANCHES else []


def _most(one: BranchHits) -> str:
    return number.percent(math.ceil(10_000 * one.share.high) / 10_000)


def _place(found: Rehearsal, one: BranchHits) -> Inline:
    branch = {"then": "", "else": " › else"}.get(one.branch.slot, f" › {one.branch.slot}")
    return page.strong(page.inline(words.place(found.program.outline, one.position) + branch))


def _time(found: Rehearsal) -> list[Body]:
    """How long a run will take: nodes, and a query for each analytics field."""
    time = found.time
    if not math.isfinite(time.nodes.value):
        return []
    body: list[Body] = [page.subhead("How long a run will take")]
    nodes = number.number(time.nodes.value, time.nodes.low, time.nodes.high)
    own = number.number(time.own_nodes.value, time.own_nodes.low, time.own_nodes.high)
    line: list[Inline] = [f"A run visits {nodes} nodes on average, where its own program visited {own}: "]
    if time.more_nodes.low == time.more_nodes.high == 0:
        line.append("each as many as before, so its walk takes as long.")
    elif math.isfinite(time.walk.value):
        line += [page.est(time.walk, unit="ms", sign=True), " a run, at "]
        line += [page.est(time.per_node, unit="ms"), " a node of this strategy."]
    else:
        line.append("what a node costs, the log does not tell.")
    body.append(page.note(line))
    body += [page.note(_query(query, is_new=True)) for query in time.asked]
    body += [page.note(_query(query, is_new=False)) for query in time.dropped]
    if not time.asked and not time.dropped:
        body.append(
            page.note("It reads the analytics fields that the program before it reads, so it costs no other query.")
        )
    return body


def _query(query: FieldQuery, *, is_new: bool) -> list[Inline]:
    """An analytics field: a query for every run, whether the run comes by it or not."""
    what = (
        " is read anew, a database query for every run: "
        if is_new
        else " is read no more, a query less for every run: "
    )
    name = page.strong(page.author(query.path))
    if query.ms is None:
        return [name, what, "what it takes, the log does not tell."]
    return [name, what, page.est(query.ms, unit="ms"), " in this tenant's programs."]
