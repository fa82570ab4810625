"""The blocks of a report: verdict, four numbers, findings, sections and what stands in them.

A `Block` is one piece of a report, at home in a notebook and in a page. Every function that makes one takes plain text (escaped),
Markup (passed through) or a sequence of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import unescape
from importlib import resources
from typing import Any, Literal, TypeAlias, cast

from analytics.reports.page import number as write
from analytics.reports.page.inline import (
    MOST_ON_A_PHONE,
    ROLES,
    Inline,
    Markup,
    inline,
    local,
    more,
    plain,
    tag,
    variables,
    visible,
    written,
)
from analytics.reports.page.inline import grade as grade_mark
from analytics.reports.page.number import Estimated

__all__ = ["Block", "Body", "Kind", "html_of", "style", "stylesheet", "text_of"]

Kind: TypeAlias = Literal["head", "body", "foot", "style", "answer"]
Body: TypeAlias = "Block | Inline | Iterable[Body]"


@dataclass(frozen=True, repr=False)
class Block:
    """A finished piece of a page.

    Attributes:
        html: Safe markup without the style sheet.
        text: The same in plain words, for terminals and readers that show no HTML.
        kind: Where it goes in a report; blocks of kind "style" only serve exploration and are left out.
    """

    html: Markup
    text: str
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

    def __repr__(self) -> str:
        """What Python's own prompt shows."""
        return self.text


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


POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def document(
    title: str,
    blocks_html: Iterable[str],
    nav: Sequence[tuple[str, Inline]] = (),
    footer: Inline = None,
    code_cells: Iterable[str] = (),
    has_neighbours: bool = False,
    files: Sequence[str] = (),
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
        files: Names of files beside the page that hold its tables.

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
        files=[local(name) for name in files],
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

StepState: TypeAlias = Literal["matched", "skipped", "off", "failed", "total"]

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
    state: StepState = "skipped"
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
        text = inline(step.text)
        if verdict:
            colour = {"matched": f"sa-c-{edge}", "failed": "sa-c-finding"}.get(state, "")
            marked = Markup('<b class="{}">{}</b>').format(colour, verdict) if state != "off" else verdict
            text = Markup("{}: {}").format(text, marked)
        points = _points(step.points)
        html.append(
            Markup('<li class="sa-st-{}"><span>{}</span><span class="sa-pt{}">{}</span>{}</li>').format(
                state,
                text,
                f" sa-c-{edge}" if state == "matched" and step.points is not None else "",
                points,
                Markup('<span class="sa-why">{}</span>').format(inline(step.why)) if step.why else "",
            )
        )
        lines.append(f"{plain(points):>8}  {plain(text)}" + (f"  ({plain(step.why)})" if step.why else ""))
    below = Markup('<p class="sa-after">{}</p>').format(inline(after)) if after else ""
    listed = Markup('<div class="sa-rec sa-e-{}"><ol>{}</ol>{}</div>').format(edge, Markup("").join(html), below)
    return Block(listed, "\n".join([*lines, plain(after)]).rstrip())


def _points(points: Any) -> Markup:
    if isinstance(points, str):
        return inline(points)
    return inline(write.exact(points))


@dataclass(frozen=True)
class Cell:
    """One of the big numbers under the verdict.

    Attributes:
        title: What is counted.
        value: Text, or an estimate (anything with value, low, high, grade), which brings its interval and grade.
        sub: A line below.
        grade: The grade of a value given as text.
        role: The colour of the number.
    """

    title: Inline
    value: Inline | Estimated
    sub: Inline = None
    grade: str | None = None
    role: str | None = None


@dataclass(frozen=True)
class Finding:
    """One line of the findings: a tag (new, worse, fixed, finding), a sentence, the number at the right."""

    tag: str
    sentence: Inline
    number: Inline = None


@dataclass(frozen=True)
class Todo:
    """One step of what to do: what, why or by whom, something to paste, and whether it is done."""

    text: Inline
    note: Inline = None
    code: str | None = None
    done: bool = False


def head(
    kick: Inline,
    title_parts: Inline,
    status: Inline = None,
    status_role: Literal["fixed", "finding", "worse"] = "fixed",
    doubt: Inline = None,
) -> Block:
    """The verdict: a small line of what this is about, the sentence itself, and how things stand now.

    Where every estimate is in doubt, the reason stands above all, and the style sheet marks each interval of the page.
    """
    parts = [
        *([Markup('<p class="sa-banner sa-doubt">{}</p>').format(inline(doubt))] if doubt else []),
        Markup('<p class="sa-kick">{}</p>').format(inline(kick)),
        Markup("<h1>{}</h1>").format(inline(title_parts)),
    ]
    if status:
        role = status_role if status_role in ROLES else "fixed"
        parts.append(Markup('<p class="sa-status sa-s-{}">{}</p>').format(role, inline(status)))
    text = "\n".join(filter(None, (plain(doubt), plain(kick), plain(title_parts), plain(status))))
    return Block(Markup("").join(parts), text, "head")


def strip(cells: Iterable[Cell | Mapping[str, Any]]) -> Block:
    """Up to four big numbers in a row."""
    html, lines = [], []
    for given in cells:
        cell = given if isinstance(given, Cell) else Cell(**given)
        value, interval, mark = _big(cell)
        role = f" sa-c-{cell.role}" if cell.role in ROLES else ""
        first = Markup(" ").join(part for part in (interval, mark) if part)
        sub = inline(cell.sub)
        if (
            sub and mark and not interval
        ):  # a counted number has no interval line of its own: the mark ends the sentence
            first, sub = sub + Markup(" ") + mark, Markup("")
        below = Markup("<br>").join(part for part in (first, sub) if part)
        html.append(
            Markup(
                '<div><dt>{}</dt><dd><span class="sa-big{}">{}</span><span class="sa-sub">{}</span></dd></div>'
            ).format(inline(cell.title), role, value, below)
        )
        lines.append(f"{plain(cell.title)}: {plain(value)} {plain(interval)}".rstrip())
    return Block(Markup('<dl class="sa-strip">{}</dl>').format(Markup("").join(html)), "\n".join(lines))


def _big(cell: Cell) -> tuple[Markup, Markup, Markup]:
    value = cell.value
    if value is None or isinstance(value, str | int | float) or not hasattr(value, "value"):
        return inline(value), Markup(""), grade_mark(cell.grade)
    estimate = cast(Estimated, value)
    number, interval = written(estimate)
    shown = Markup('<span class="sa-ci">{}</span>').format(interval) if interval else Markup("")
    return inline(number), shown, grade_mark(cell.grade or estimate.grade)


def findings(items: Iterable[Finding | Mapping[str, Any] | Sequence[Any]]) -> Block:
    """The list of findings; none are a finding too, said by the caller in the verdict."""
    html, lines = [], []
    for given in items:
        if not isinstance(given, Finding):
            given = Finding(**given) if isinstance(given, Mapping) else Finding(*given)
        number = (
            Markup('<span class="sa-num">{}</span>').format(inline(given.number)) if given.number is not None else ""
        )
        html.append(Markup("<li>{}<span>{}</span>{}</li>").format(tag(given.tag), inline(given.sentence), number))
        lines.append(f"{visible(given.tag)}: {plain(given.sentence)} {plain(given.number)}".rstrip())
    listed = Markup('<ul class="sa-find">{}</ul>').format(Markup("").join(html)) if html else Markup("")
    return Block(listed + (more(len(html), "findings") if len(html) > MOST_ON_A_PHONE else ""), "\n".join(lines))


def key() -> Block:
    """How to read the numbers, once per page."""
    words = [
        (grade_mark("good"), "narrow enough to act on"),
        (grade_mark("rough"), "right order of size"),
        (grade_mark("too few"), "do not use"),
        (grade_mark("logged"), "counted in the log, not estimated"),
        (Markup("<b>≥</b>"), "at least"),
        (Markup("<b>≤</b>"), "at most"),
        (Markup("<b>~</b>"), "no significant change"),
    ]
    listed = Markup(" · ").join(Markup('<span class="sa-nb">{} {}</span>').format(mark, text) for mark, text in words)
    html = Markup('<p class="sa-key">How to read the numbers: ranges are 95 % intervals. {}.</p>').format(listed)
    return Block(html, plain(html))


def section(
    id: str,  # noqa: A002 - the HTML word
    question: Inline,
    how: Iterable[Inline] = (),
    say: Inline = None,
    body: Body = (),
    full: bool = False,
) -> Block:
    """One question with its answer in a sentence, then the evidence.

    Args:
        id: Where links point to.
        question: The question.
        how: Short lines beside it: how it was measured, what was compared.
        say: The answer in a sentence.
        body: Blocks, figures and sentences that show it.
        full: Uses the whole width (for the one table that needs it).

    Raises:
        ValueError: The id is not a plain name.
    """
    lines = [how] if isinstance(how, str) else list(how)
    beside = Markup("").join(Markup("<p>{}</p>").format(inline(line)) for line in lines)
    answer = Markup('<p class="sa-say">{}</p>').format(inline(say)) if say else Markup("")
    html = Markup(
        '<section{}{}><header><h2>{}</h2><div>{}</div></header><div class="sa-answer">{}{}</div></section>'
    ).format(_named(id), Markup(' class="sa-full"') if full else "", inline(question), beside, answer, html_of(body))
    text = "\n".join(filter(None, (f"## {plain(question)}", plain(say), text_of(body))))
    return Block(html, text)


def subhead(text: Inline, id: str | None = None) -> Block:  # noqa: A002 - the HTML word
    """A heading inside a section; with an id, links may point to it."""
    return Block(Markup("<h3{}>{}</h3>").format(_named(id), inline(text)), plain(text))


def _named(id: str | None) -> Markup:  # noqa: A002 - the HTML word
    """The attribute that links point to.

    Raises:
        ValueError: The id is not a plain name.
    """
    if id is None:
        return Markup("")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", id):
        raise ValueError(f"A section id is letters, digits, - and _ only, not {visible(id)[:80]!r}.")
    return Markup(' id="{}"').format(id)


def note(text: Inline) -> Block:
    """A small line below a table or a picture."""
    return Block(Markup('<p class="sa-note">{}</p>').format(inline(text)), plain(text))


def banner(text: Inline) -> Block:
    """A warning that belongs above everything else: incomplete log, two sampling rates."""
    return Block(Markup('<p class="sa-banner">{}</p>').format(inline(text)), plain(text))


def foot(text: Inline) -> Block:
    """The last line of a page."""
    return Block(Markup('<p class="sa-foot">{}</p>').format(inline(text)), plain(text), "foot")


def facts(pairs: Iterable[tuple[Inline, Body]] | Mapping[str, Body]) -> Block:
    """The data box: names and values, one per line."""
    items = list(pairs.items() if isinstance(pairs, Mapping) else pairs)
    html = Markup("").join(
        Markup("<dt>{}</dt><dd>{}</dd>").format(inline(name), html_of(value)) for name, value in items
    )
    text = "\n".join(f"{plain(name)}: {text_of(value)}" for name, value in items)
    return Block(Markup('<dl class="sa-facts">{}</dl>').format(html) if items else Markup(""), text)


def todo(items: Iterable[Todo | Mapping[str, Any] | str]) -> Block:
    """What to do, in order; what is done already is ticked off."""
    html, lines = [], []
    for given in items:
        item = given if isinstance(given, Todo) else Todo(given) if isinstance(given, str) else Todo(**given)
        html.append(
            Markup("<li{}><p><b>{}</b></p>{}{}</li>").format(
                Markup(' class="sa-done"') if item.done else "",
                inline(item.text),
                Markup('<p class="sa-mute">{}</p>').format(inline(item.note)) if item.note else "",
                code(item.code).html if item.code else "",
            )
        )
        lines.append(f"{'✓' if item.done else '-'} {plain(item.text)}")
    return Block(
        Markup('<ol class="sa-todo">{}</ol>').format(Markup("").join(html)) if html else Markup(""), "\n".join(lines)
    )


def fold(summary: Inline, body: Body, id: str | None = None) -> Block:  # noqa: A002 - the HTML word
    """Something for those who want more: a line that opens; with an id, links may point to it."""
    html = Markup("<details{}><summary>{}</summary><div>{}</div></details>").format(
        _named(id), inline(summary), html_of(body)
    )
    return Block(html, f"{plain(summary)}\n{text_of(body)}".rstrip())


def code(text: str) -> Block:
    """Something to paste or to read letter by letter; only Markup (from `was` and `now`) keeps its marks."""
    shown = text if isinstance(text, Markup) else visible(text, lines=True)
    bare = unescape(re.sub(r"<[^>]*>", "", shown)) if isinstance(text, Markup) else str(shown)
    return Block(Markup("<pre><code>{}</code></pre>").format(shown), bare)


def figure(wide_svg: Markup, narrow_svg: Markup | None = None, caption: Inline = None) -> Block:
    """A picture, drawn once for wide pages and once for phones, so that its words keep their size."""
    drawn = (
        Markup('<div class="sa-w">{}</div><div class="sa-n">{}</div>').format(wide_svg, narrow_svg)
        if narrow_svg
        else wide_svg
    )
    under = Markup("<figcaption>{}</figcaption>").format(inline(caption)) if caption else ""
    labels = re.findall(r'aria-label="([^"]*)"', wide_svg)[:1]
    text = " ".join(filter(None, (str(Markup(label).unescape()) for label in labels)))
    return Block(Markup("<figure>{}{}</figure>").format(inline(drawn), under), text or plain(caption) or "(picture)")
