"""A notebook of one's own as a page: its words, tables, pictures and prints in their order, in the reports' style.

Nothing that another made is trusted as HTML. Markdown is read by a parser that knows no HTML; pictures are pictures, of which a
browser runs nothing; what shows itself as HTML alone stays in the notebook, and the page says so in its place.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from analytics.errors import ReportError
from analytics.lake.repair import extraction
from analytics.reports import missing_days, own_findings, page
from analytics.reports.common import realm_name
from analytics.reports.page import number
from analytics.reports.page.inline import local, visible
from analytics.reports.schedule.cards import Card
from analytics.warehouse.coverage import Coverage

_MOST_LETTERS = 50_500
"""Of one text on the page; its notebook holds all of it, and of what a cell prints no more than fits here (`leak_gate.clean`)."""
_MOST_PICTURE = 3_000_000
"""Bytes of one picture: a page that is mailed stays a page."""
_SIGNATURES: Mapping[str, tuple[bytes, ...]] = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
}
_MOST_IN_NAV = 8
_ATTACHMENT = "attachment:"
_OBJECT = re.compile(r"<[\w.]+ (?:object )?at 0x[0-9a-f]+>|<[\w.]+ object>")


@dataclass
class _Section:
    """A heading of the notebook with what follows it."""

    heading: page.Markup
    body: list[page.Markup] = field(default_factory=list)


@dataclass
class _Pages:
    """The page as far as it is made.

    Attributes:
        title: The first heading of the first level.
        parts: Finished blocks, and sections.
        findings: What ``add_finding`` has told.
        facts: Of a cell with a summary.
        has_head: The notebook brings a verdict of its own.
        unsearched: Pictures, in which the leak gate cannot read.
    """

    title: page.Markup | None = None
    parts: list[str | _Section] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    has_head: bool = False
    unsearched: int = 0

    def add(self, html: page.Markup) -> None:
        """Below the last heading."""
        if not self.parts or isinstance(self.parts[-1], str):
            self.parts.append(_Section(page.Markup("")))
        section = self.parts[-1]
        assert isinstance(section, _Section)  # noqa: S101  # made just now
        section.body.append(html)


def own_page(
    cells: Sequence[Any],
    card: Card,
    held: Coverage | None = None,
    before: Sequence[Mapping[str, Any]] | None = None,
    least_users: int = 1,
) -> tuple[str, list[str], list[tuple[str, page.Markup]], dict[str, Any]]:
    """What a notebook of one's own shows.

    Args:
        cells: Of the executed notebook.
        card: What is known of the report.
        held: How much of its window the lake holds, where that is known.
        before: Findings of the last report; ``None`` where there is none.
        least_users: Users that whatever is shown must rest on, as the notebook was told.

    Returns:
        Title, blocks, the links of its sections, and the facts for ``summary.json``.

    Raises:
        ReportError: It shows nothing.
    """
    made = _Pages()
    for cell in cells:
        if cell.cell_type == "markdown":
            _add_markdown(made, str(cell.source), cell.get("attachments") or {})
        for output in cell.get("outputs", ()):
            _add_output(made, output)
    if not made.parts and not made.findings and not made.facts:
        raise ReportError(
            "the notebook shows nothing",
            hint="end a cell with a table, a chart or a print, or write Markdown: docs/own-report.md",
        )
    missing = held.missing if held is not None else []
    made.findings = own_findings.compared(made.findings, before, is_whole=not missing)
    days = missing_days.facts(held) if held is not None else {}
    facts = own_findings.facts_of(made.findings, {**days, **made.facts})
    title = str(facts.get("title") or (page.Markup(made.title).striptags() if made.title else card.title))
    blocks = [] if made.has_head else [_head(made, card, title).in_page]
    if missing and held is not None:
        said: list[page.Markup | str] = ["The lake does not hold all of the window: ", missing_days.counted(held), "."]
        if held.obtainable:
            said += [" Bring it: ", page.mono(extraction(held.obtainable, held.expired))]
        blocks.append(page.banner(said).in_page)
    if made.findings:
        blocks.append(own_findings.listed(made.findings).in_page)
    nav: list[tuple[str, page.Markup]] = []
    for place_of, part in enumerate(made.parts, 1):
        if isinstance(part, str):
            blocks.append(part)
        elif part.heading or part.body:
            place = f"part-{place_of}"
            blocks.append(_section(part, place).in_page)
            if part.heading:
                nav.append((f"#{place}", page.Markup(page.inline(part.heading.striptags()))))
    if made.unsearched:
        pictures = (
            "1 picture of this page was" if made.unsearched == 1 else f"{made.unsearched} pictures of this page were"
        )
        blocks.append(page.note(f"{pictures} not searched for ids and secrets: nobody can read in a picture.").in_page)
    if least_users > 1:
        told = f"To be passed on: the notebook was told to leave out what fewer than {least_users} logged users did."
        blocks.append(page.note(told).in_page)
    return title, blocks, nav[:_MOST_IN_NAV], {**facts, "title": title}


def _section(part: _Section, place: str) -> page.Block:
    body = page.Markup('<div class="sa-own">{}</div>').format(page.Markup("").join(part.body))
    if part.heading:
        # Columns that somebody has asked for want all the page's width.
        return page.section(place, part.heading, body=body, full="sa-rows" in body)
    return page.Block(body, "")


def _head(made: _Pages, card: Card, title: str) -> page.Block:
    realm = page.author(realm_name(card.realm)) if card.is_scoped else "all realms"
    kick = [f"{card.title} · ", realm, " · ", page.strong(number.window(card.since, card.until)), ", UTC"]
    counts = {kind: sum(one["severity"] == kind for one in made.findings) for kind in own_findings.SEVERITIES}
    status = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    role: Any = "finding" if counts["new"] else "worse" if counts["worse"] or counts["known"] else "fixed"
    return page.head(kick, made.title or title, status or None, role)


# ---- what cells show -----------------------------------------------------------------------------------------------------


def _add_output(made: _Pages, output: Mapping[str, Any]) -> None:
    if output["output_type"] == "stream":
        if output["name"] == "stdout" and output["text"].strip():
            made.add(_text(output["text"]))
        return
    if output["output_type"] == "error":  # of a cell that was allowed to fail
        made.add(_text(f"{output['ename']}: {output['evalue']}"))
        return
    data, marks = output["data"], output.get("metadata", {})
    if "analytics" in marks.get("application/json", {}):
        made.facts = dict(data["application/json"])
        made.facts.pop("nav", None)
    elif "analytics" in marks.get("text/html", {}):
        _add_block(made, data["text/html"], marks["text/html"]["analytics"])
    elif "text/markdown" in data:
        _add_markdown(made, data["text/markdown"], {})
    elif shown := _picture(data):
        made.unsearched += "image/svg+xml" not in data
        made.add(shown)
    elif "text/plain" in data and not (_shows_more(data) and _OBJECT.fullmatch(data["text/plain"].strip())):
        made.add(_text(data["text/plain"]))
    else:
        made.add(
            page.note(
                "What this cell shows is in report.ipynb only: a page takes words, tables, pictures and charts, not the HTML of "
                "others."
            ).html
        )


def _shows_more(data: Mapping[str, Any]) -> bool:
    return any(kind != "text/plain" for kind in data)


def _add_block(made: _Pages, html: str, about: Mapping[str, Any]) -> None:
    """A block of ours: it stands as it is, a finding under the title."""
    kind = about.get("block")
    if kind == "finding":
        made.findings.append(about["finding"])
    elif kind in ("head", "foot") or "<section" in html:
        made.has_head |= kind == "head"
        made.parts.append(html)
    else:
        made.add(page.Markup(html))


def _text(text: str) -> page.Markup:
    more = len(text) - _MOST_LETTERS
    below = page.note(f"{more:,} more letters are in report.ipynb.").html if more > 0 else page.Markup("")
    return page.code(text[:_MOST_LETTERS].rstrip("\n")).html + below


def _picture(data: Mapping[str, Any], alt: str = "") -> page.Markup:
    """A picture as an image of the page, in which nothing runs; empty where there is none."""
    for kind, signatures in _SIGNATURES.items():
        if kind not in data:
            continue
        try:
            raw = base64.b64decode("".join(str(data[kind]).split()), validate=True)
        except (binascii.Error, ValueError):
            continue
        if raw.startswith(signatures):
            return _image(kind, raw, alt)
    if "image/svg+xml" in data:
        return _image("image/svg+xml", str(data["image/svg+xml"]).encode(), alt)
    return page.Markup("")


def _image(kind: str, raw: bytes, alt: str) -> page.Markup:
    if len(raw) > _MOST_PICTURE:
        return page.note(f"A picture of {len(raw) / 1e6:.0f} MB is in report.ipynb only.").html
    address = f"data:{kind};base64,{base64.b64encode(raw).decode()}"
    return page.Markup('<figure><img src="{}" alt="{}"></figure>').format(address, visible(alt)[:300])


# ---- Markdown ------------------------------------------------------------------------------------------------------------


def _add_markdown(made: _Pages, source: str, attachments: Mapping[str, Mapping[str, Any]]) -> None:
    """Its headings of the first two levels begin sections; the very first one of the first level is the title."""
    for heading, level, html in _markdown(visible(source[:_MOST_LETTERS], lines=True), attachments):
        if heading is None:
            if html:
                made.add(html)
        elif level == 1 and made.title is None:
            made.title = heading
        elif level <= 2:
            made.parts.append(_Section(heading))
        else:
            made.add(page.Markup("<h3>{}</h3>").format(heading))


def _markdown(
    source: str, attachments: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[page.Markup | None, int, page.Markup]]:
    """Headings, with their level, and what stands between them."""
    reader = _reader(attachments)
    tokens, env = reader.parse(source), dict[str, Any]()
    _label_cells(tokens)
    held: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.type == "heading_open" and token.level == 0:
            yield None, 0, page.Markup(reader.renderer.render(held, reader.options, env))
            held = []
            words = reader.renderer.render([tokens[at + 1]], reader.options, env)
            yield page.Markup(words), int(token.tag[1:]), page.Markup("")
            at += 3
        else:
            held.append(token)
            at += 1
    yield None, 0, page.Markup(reader.renderer.render(held, reader.options, env))


def _label_cells(tokens: Sequence[Token]) -> None:
    """Each cell of a table knows its heading, which a phone's card shows."""
    heads: list[str] = []
    place = 0
    for at, token in enumerate(tokens):
        match token.type:
            case "table_open":
                heads = []
            case "tr_open":
                place = 0
            case "th_open":
                heads.append(tokens[at + 1].content)
            case "td_open":
                token.attrSet("data-l", heads[place])
                place += 1


def _reader(attachments: Mapping[str, Mapping[str, Any]]) -> MarkdownIt:
    """CommonMark with tables, without HTML, whose links stay within the reports and whose pictures are attached."""
    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    opened: list[str] = []

    def link_open(tokens: Sequence[Token], at: int) -> str:
        href = str(tokens[at].attrGet("href") or "")
        try:
            begin, end = str(page.Markup('<a href="{}">').format(local(href))), "</a>"
        except ValueError:
            # Of an address that stands for itself nothing has to be said behind it.
            begin, end = "", "" if tokens[at].info == "auto" else str(page.inline(f" ({href})"))
        opened.append(end)
        return begin

    def link_close(_tokens: Sequence[Token], _at: int) -> str:
        return opened.pop()  # a link holds no other one

    def image(tokens: Sequence[Token], at: int) -> str:
        address, alt = str(tokens[at].attrGet("src") or ""), tokens[at].content
        shown = _picture(attachments.get(address.removeprefix(_ATTACHMENT), {}), alt)
        return str(shown or page.mute(f"[picture: {alt or 'not shown'}]"))

    for name, rule in (("link_open", link_open), ("link_close", link_close), ("image", image)):
        reader.add_render_rule(name, lambda _self, tokens, at, _options, _env, rule=rule: rule(tokens, at))
    return reader
