"""The receipt of one run: every rule it passed, why, and what it paid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from analytics.page import number as write
from analytics.page.block import Block
from analytics.page.palette import ROLES
from analytics.page.text import Inline, Markup, inline, plain

_WORDS = {"matched": "matched", "skipped": "skipped", "off": "not reached", "failed": "stopped here"}


@dataclass(frozen=True)
class Step:
    """One line of a receipt.

    Attributes:
        text: The rule, as an author would say it.
        why: The conditions with the values they saw.
        points: What this step paid: a number, text, or None for nothing.
        state: matched, skipped, off (not reached), failed, total; the word is added unless `verdict` is given.
        verdict: Other words for the state; "" adds none.
    """

    text: Inline
    why: Inline = None
    points: Any = None
    state: Literal["matched", "skipped", "off", "failed", "total"] = "skipped"
    verdict: Inline = None


def receipt(steps: Iterable[Step | Mapping[str, Any]], after: Inline = None, role: str = "finding") -> Block:
    """The decision path of one run, readable from top to bottom.

    Args:
        steps: The steps in the order of the walk; the last one is usually the total.
        after: A sentence below, such as what the other version would have paid.
        role: The colour of what matched and of the edge.
    """
    edge = role if role in ROLES else "finding"
    html, lines = [], []
    for given in steps:
        step = given if isinstance(given, Step) else Step(**given)
        state = step.state if step.state in (*_WORDS, "total") else "off"
        verdict = inline(_WORDS.get(state) if step.verdict is None else step.verdict)
        said = inline(step.text)
        if verdict:
            colour = {"matched": f"c-{edge}", "failed": "c-finding"}.get(state, "")
            marked = Markup('<b class="{}">{}</b>').format(colour, verdict) if state != "off" else verdict
            said = Markup("{}: {}").format(said, marked)
        points = _points(step.points)
        html.append(
            Markup('<li class="st-{}"><span>{}</span><span class="pt{}">{}</span>{}</li>').format(
                state,
                said,
                f" c-{edge}" if state == "matched" and step.points is not None else "",
                points,
                Markup('<span class="why">{}</span>').format(inline(step.why)) if step.why else "",
            )
        )
        lines.append(f"{plain(points):>8}  {plain(said)}" + (f"  ({plain(step.why)})" if step.why else ""))
    below = Markup('<p class="after">{}</p>').format(inline(after)) if after else ""
    listed = Markup('<div class="rec e-{}"><ol>{}</ol>{}</div>').format(edge, Markup("").join(html), below)
    return Block(listed, "\n".join([*lines, plain(after)]).rstrip())


def _points(points: Any) -> Markup:
    if isinstance(points, str):
        return inline(points)
    return inline(write.exact(points))
