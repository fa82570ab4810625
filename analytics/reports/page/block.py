"""A block: one piece of a report, at home in a notebook and in a page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal, TypeAlias

from analytics.reports.page.inline import Inline, Markup, inline, plain
from analytics.reports.page.palette import variables

__all__ = ["Block", "Body", "Kind", "html_of", "style", "stylesheet", "text_of"]

Kind: TypeAlias = Literal["head", "body", "foot", "style", "answer"]
Body: TypeAlias = "Block | Inline | Iterable[Body]"


@dataclass(frozen=True)
class Block:
    """A finished piece of a page.

    Attributes:
        html: Safe markup without the style sheet.
        text: The same in plain words, for terminals and readers that show no HTML.
        kind: Where it goes in a report; blocks of kind "style" only serve exploration and are left out.
    """

    html: Markup
    text: str = field(repr=False)
    kind: Kind = "body"

    @property
    def in_page(self) -> str:
        """For a page that brings the style sheet itself."""
        # JupyterLab sets $…$ in an output as mathematics; an author's text is none.
        return str(Markup('<div class="sa mathjax_ignore">{}</div>').format(self.html))

    def _repr_mimebundle_(self, **_asked_for: object) -> tuple[dict[str, str], dict[str, Any]]:
        """What a notebook shows. The metadata lets a report find its blocks among the outputs of the cells."""
        # The head brings the style sheet, so that a notebook in JupyterLab looks like the report it becomes.
        sheet = str(style_tag()) if self.kind in ("head", "style", "answer") else ""
        shown = sheet + self.in_page
        facts: dict[str, Any] = {} if self.kind == "style" else {"text/html": {"analytics": {"block": self.kind}}}
        return {"text/html": shown, "text/plain": self.text}, facts


@cache
def stylesheet() -> str:
    """The whole style sheet: variables first, then the rules, without comments."""
    rules = resources.files("analytics.reports.page").joinpath("templates", "style.css").read_text(encoding="utf-8")
    return variables() + "\n" + re.sub(r"/\*.*?\*/\s*", "", rules, flags=re.S)


@cache
def style_tag() -> Markup:
    """The style sheet as an element; marked, so that a page that has its own copy can drop this one."""
    return Markup(f"<style data-sa>{stylesheet()}</style>")


def style() -> Block:
    """Show this once in a notebook to give single blocks their look while exploring."""
    return Block(html=Markup(""), text="", kind="style")


def html_of(body: Body) -> Markup:
    """Markup of a block, of a sentence, or of several of them in a row."""
    if isinstance(body, Block):
        return body.html
    if body is None or isinstance(body, str | int | float):
        return inline(body)
    return Markup("").join(html_of(part) for part in body)


def text_of(body: Body) -> str:
    """Plain text of the same."""
    if isinstance(body, Block):
        return body.text
    if body is None or isinstance(body, str | int | float):
        return plain(body)
    return "\n".join(filter(None, (text_of(part) for part in body)))
