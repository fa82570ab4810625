"""Blocks to one self-contained page: no script, no outside reference, and a policy that forbids both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from analytics.reports.page.block import style_tag, stylesheet
from analytics.reports.page.escape import Inline, Markup, inline, visible
from analytics.reports.page.inline import local

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def document(
    title: str,
    blocks_html: Iterable[str],
    nav: Sequence[tuple[str, Inline]] = (),
    footer: Inline = None,
    code_cells: Iterable[str] = (),
    has_neighbours: bool = False,
) -> str:
    """Renders a whole page.

    Args:
        title: The window title.
        blocks_html: The HTML of the blocks, as `Block` gives it to a notebook. It is trusted: only text/html of
            outputs that carry the block metadata belongs here.
        nav: Links at the top, (address, label); the first stands left when it leads to another page.
        footer: The last line.
        code_cells: Source of the notebook's cells, folded away at the end.
        has_neighbours: Leave a place for the links to the report before and the one after, see `with_neighbours`.

    Raises:
        ValueError: A link leads outside.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Jinja2 loads the template and escapes; the CSS and the blocks are the only markup passed through.
    rooms = Environment(
        loader=PackageLoader("analytics.reports.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    links = [(local(href), inline(label)) for href, label in nav]
    home = links[:1] if links and not links[0][0].startswith("#") else []
    own = str(style_tag())
    return rooms.get_template("page.html.j2").render(
        title=visible(title)[:200],
        policy=Markup(POLICY.replace('"', "")),
        css=Markup(stylesheet()),
        # The page has the style sheet once, in its head; the copies that blocks bring for notebooks are dropped,
        # also those of another release of this package.
        blocks=[Markup(_DATA_STYLE.sub("", html.replace(own, ""))) for html in blocks_html],
        home=home,
        links=links[len(home) :],
        footer=inline(footer),
        neighbours=Markup(_BEGIN + _END) if has_neighbours else "",
        code_cells=[visible(cell, lines=True) for cell in code_cells if cell.strip()],
    )


def with_neighbours(html: str, before: tuple[str, Inline] | None, after: tuple[str, Inline] | None) -> str:
    """A page with links to the report before and the one after, (address, label), in the place that is left for them.

    Raises:
        ValueError: A link leads outside, or the page has no such place.
    """
    # An author's "<" is written "&lt;", so that the first mark is the template's own.
    start, end = html.index(_BEGIN) + len(_BEGIN), html.index(_END)
    parts = [
        Markup('<a rel="{}" href="{}">{}</a>').format(rel, local(link[0]), inline(link[1]))
        for rel, link in (("prev", before), ("next", after))
        if link
    ]
    return html[:start] + str(Markup(" · ").join(parts)) + html[end:]  # as text: Markup would escape the page around it


_BEGIN, _END = "<!--neighbours-->", "<!--/neighbours-->"
_DATA_STYLE = re.compile(r"<style data-sa>.*?</style>", re.S)
