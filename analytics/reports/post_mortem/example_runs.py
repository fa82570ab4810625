"""The post-mortem's close-ups: what changed in the program, and three runs with their decision path."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from analytics.findings.post_mortem.groups import NO_CASE, Group, paid
from analytics.findings.replay.run_evidence import LoggedRun, definition, pieces
from analytics.program import words
from analytics.program.compare import compare
from analytics.reports import page
from analytics.reports.common import masked
from analytics.reports.page import number
from analytics.reports.page.blocks import Body
from analytics.reports.page.inline import Inline
from analytics.reports.receipt.receipt import of_evidence
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

_MOST_EDITS = 6
_MOST_LINES = 24


def program_diff(lake: Warehouse, before: Group, after: Group) -> tuple[str, list[Body]]:
    """What changed in the program between two versions: a sentence, and the changed lines."""
    if before.strategy_id is None or after.strategy_id is None:
        several = " and ".join(side.label for side in (before, after) if side.strategy_id is None)
        return f"Several versions ran in the group “{several}”, so there is no single program to compare.", []
    if (before.strategy_id, before.strategy_version) == (after.strategy_id, after.strategy_version):
        return "The program did not change: both groups ran the same version.", []
    programs = [definition(lake, str(side.strategy_id), int(side.strategy_version or 0)) for side in (before, after)]
    if programs[0] is None or programs[1] is None:
        missing = " and ".join(
            side.label for side, program in zip((before, after), programs, strict=True) if program is None
        )
        return f"The definition of {missing} is not in the lake, so the programs cannot be compared.", []
    old, new = programs[0].outline, programs[1].outline
    wraps = programs[0].built_in, programs[1].built_in
    found = compare(old, new, wraps)
    text = words.edits(found, new)
    if not found.edits:
        return text, []
    listed = [page.note(page.inline(words.edit(edit, old, new))) for edit in found.edits[:_MOST_EDITS]]
    if len(found.edits) > _MOST_EDITS:
        listed.append(page.note(f"… and {len(found.edits) - _MOST_EDITS:,} more; see the lines."))
    changed = words.diff(programs[0].ast, programs[1].ast, wraps)
    marks = {"-": page.was, "+": page.now}
    lines = [marks[mark](f"{mark} {line}") if mark in marks else page.inline(f"  {line}") for mark, line in changed]
    drawn = page.Markup("<pre>{}</pre>").format(page.Markup("\n").join(lines))
    # A few changed lines say it best themselves; many are folded under the list.
    return text, [*listed, drawn if len(lines) <= _MOST_LINES else page.fold("The lines that changed", [drawn])]


def three_runs(
    lake: Warehouse,
    rows: pd.DataFrame,
    *,
    show_users: bool,
    other: Group | None = None,
    called: str = "",
    asked: str = "",
) -> list[Body]:
    """A typical run, the largest and a failing one, each with its receipt and how to reproduce it.

    Args:
        lake: Where their traces are.
        rows: The runs to choose from.
        show_users: Show user ids.
        other: The side compared with: where it is one version, what that pays on the same inputs is said.
        called: What to call that version; its number when empty.
        asked: Id of a run to be explained before them.
    """
    chosen = _choose(rows)
    if asked:
        chosen = [_Example("The run asked for", asked), *(run for run in chosen if run.execution_id != asked)]
    moments = [run.created_at for run in chosen if run.created_at is not None]
    found_runs = pieces(lake, [run.execution_id for run in chosen], moments if len(moments) == len(chosen) else None)
    known = {found.run.execution_id: found for found in found_runs}
    sister = None
    if other is not None and other.strategy_id is not None and other.strategy_version is not None:
        sister = definition(lake, other.strategy_id, other.strategy_version)
    label = called or (f"Version {other.strategy_version}" if other is not None else "")
    body: list[Body] = []
    for example in chosen:
        if (found := known.get(example.execution_id)) is None:
            continue
        is_own = other is None or found.run.version == (other.strategy_id, other.strategy_version)
        explained = of_evidence(found, other=None if is_own else sister, label=label, show_users=show_users)
        line = _line(example, found.run, show_users)
        body += [page.note(line), *explained.parts()] if not body else [page.fold(line, explained.parts())]
    return body or [page.note("No logged run can be explained: none has points, and none failed.")]


@dataclass(frozen=True, slots=True)
class _Example:
    """A run that is shown.

    Attributes:
        title: Why this one.
        execution_id: Its id.
        label: Of its version, as the page calls it; empty for the number.
        created_at: When it ran; None where that is not known yet.
    """

    title: str
    execution_id: str
    label: str = ""
    created_at: datetime | None = None

    @classmethod
    def of(cls, title: str, rows: pd.DataFrame) -> _Example:
        """The last of some rows."""
        row = rows.iloc[-1]
        return cls(title, str(row["execution_id"]), str(row["label"]), row["created_at"].to_pydatetime())


def _line(example: _Example, run: LoggedRun, show_users: bool) -> list[Inline]:
    """What the run was paid, and the row's other facts."""
    points = number.exact(run.points) if run.is_ok and run.points is not None else "no points"
    user = run.external_user_id or "–" if show_users else masked(run.external_user_id)
    return [
        page.strong(f"{example.title}: {points}"),
        " · ",
        page.mono(run.execution_id),
        f" · {number.when(run.created_at, seconds=True)} · {example.label or f'v{run.strategy_version}'} · user ",
        page.author(user),
        f" · {number.counted(run.nodes_executed, 'node')} · {number.ms(run.duration_ms)}",
    ]


def _choose(rows: pd.DataFrame) -> list[_Example]:
    """The newest run of the most common case and amount; the run with the most points; the newest failing run."""
    chosen = []
    usable = paid(rows)
    if not usable.empty:
        key = usable["case_name"].fillna(NO_CASE) + usable["points"].astype(str)
        typical = _Example.of("Typical run", usable[key == key.value_counts().index[0]])
        largest = _Example.of("Largest run", usable.nlargest(1, "points"))
        chosen += [typical, largest] if largest.execution_id != typical.execution_id else [typical]
    failed = rows[rows["status"] != "ok"]
    return [*chosen, _Example.of("Failing run", failed)] if not failed.empty else chosen
