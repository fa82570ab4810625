"""A tenant who means harm: what the log can hold must neither stop the report and `explain` nor reach a page as markup."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import uuid
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb
import nbformat
import psycopg
import pytest

from analytics import api
from analytics.cli import main
from analytics.demo import engine
from analytics.errors import UsageError
from analytics.findings.replay.run_evidence import definition, pieces
from analytics.lake.lake import Lake
from analytics.program import compile_program
from analytics.reports.charts import theme
from analytics.reports.common import summary_block
from analytics.reports.page import Block, visible
from analytics.reports.receipt.receipt import of_evidence
from analytics.reports.render import cells, rendering
from analytics.reports.render.notebooks import REPORTS
from analytics.reports.render.plan import plan
from analytics.reports.schedule.definition import find
from analytics.warehouse.warehouse import Warehouse
from tests.conftest import EMPTY, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
NASTY = MARKUP + "\u202e\x07\x1b[31m\n-- \n;" + "é" * 20
LONG = MARKUP + "x" * 5_000
HUGE = "9" * 300
INVISIBLE = re.compile("[\u202e\x07\x1b]")
FORBIDDEN = re.compile(f"<script>alert|<img src=x|{INVISIBLE.pattern}")
SECTIONS = (
    "head", "strip", "key", "since", "changed", "why", "runs_explained", "how_much", "who", "failures", "actions", "sure",
)  # fmt: skip
FLEET = ("head", "findings", "league", "when", "close", "growing", "nodes", "fields", "actions", "sure")


def ladder(amount: Any, identifier: Any = MARKUP) -> dict[str, Any]:
    """A rule that pays what a client sent, times a literal."""
    path, seen = f"data.{NASTY}", {"type": "literal", "value": amount}
    paid = {"type": "arith", "op": "*", "left": {"type": "field", "path": path, "id": identifier}, "right": seen}
    pay = {"type": "assign_points", "value": paid, "case_name": NASTY, "id": identifier}
    call = {"type": "set_callback_data", "key": LONG, "value": {"type": "literal", "value": LONG}, "id": None}
    always = {"type": "literal", "value": LONG, "id": identifier}
    return {"rules": [{"id": identifier, "when": always, "then": [call, pay]}]}


def trace(amount: Any, value: str, points: str, identifier: Any = MARKUP) -> str:
    """What that program leaves, as JSON text; numbers of any length."""

    def entry(node: Any, kind: str, found: str, branch: str | None = None) -> str:
        at = "" if branch is None else f', "branch": {json.dumps(branch)}'
        return f'{{"nodeId": {json.dumps(node)}, "type": "{kind}", "value": {found}{at}}}'

    entries = (
        entry(identifier, "literal", json.dumps(LONG)),
        entry(identifier, "rule", "true", "match"),
        entry("X", "literal", json.dumps(LONG)),
        entry(None, "set_callback_data", json.dumps(LONG)),
        entry(identifier, "field", value),
        entry("X", "literal", json.dumps(amount)),
        entry("X", "arith", points),
        entry(identifier, "assign_points", points, "match"),
    )
    return f"[{', '.join(entries)}]"


ODD_PROGRAMS: list[Any] = [
    {"rules": {"a": 1}},
    {"rules": [None, 3, "x", {"when": [], "then": 5, "else_if": 7, "else": "no"}]},
    {"rules": [{"when": {"type": "compare", "op": ["<"], "left": [], "right": None}, "then": [{"type": ["veto"]}]}]},
    {"pre_rules": 3, "post_rules": [{"when": {"type": "and", "args": 3}, "then": []}], "default": [[[]]]},
    {"rules": [{"when": {"type": "func_call", "name": {}, "args": [[]]}, "then": [{"type": "assign_points"}]}]},
    {
        "rules": [{"when": {"type": "field", "path": {"a": []}}, "then": []}],
        "default": {"type": "assign_points", "value": 5},
    },
    [1, 2, 3],
    "text",
]
ODD_TRACES = [
    "null", "[]", "{}", "3", '"text"', "[null, 3, []]", '[{"nodeId": [1], "type": {"a": 1}, "value": {"nodeId": "x"}}]',
    '[{"type": "rule", "branch": "elseif:99999999999999999999"}]', f'[{{"nodeId": "a", "type": "field", "value": {HUGE}}}]',
    '[{"nodeId": "a", "type": "assign_points", "value": [[[]]], "branch": "match", "extra": 1}]',
]  # fmt: skip
ODD_POINTS = ("NaN", "Infinity", "-Infinity", "1e300", "-9007199254740993", None, "0.1")


def test_nothing_a_log_can_hold_stops_the_report_or_explain_or_reaches_a_page_as_markup(
    table: Table, fresh: Lake
) -> None:
    ids: list[str] = []
    versions = [ladder(2), ladder(20), *ODD_PROGRAMS]
    for number, program in enumerate(versions, 1):
        table.execute(
            'insert into strategydefinition (id, "realmId", name, type, "astJson", version, status) '
            "values (gen_random_uuid(), %s, %s, 'DSL_FULL', %s, %s, 'PUBLISHED')",
            (NASTY, NASTY, json.dumps(program), number),
        )
    of = dict(table.execute("select version, id::text from strategydefinition"))
    minute = itertools.count()

    def add(version: int, **columns: Any) -> None:
        at = next(minute)
        known = {
            "strategyId": of[version],
            "strategyVersion": version,
            "realmId": NASTY,
            "externalUserId": f"{NASTY}{at % 7}",
            "externalGameId": LONG,
            "externalTaskId": NASTY,
            "created_at": f"2026-07-0{7 + at // 1440} {at // 60 % 24:02}:{at % 60:02}:00+00",
        }
        ids.append(table.insert(**{**known, **columns}))

    for number in range(60):
        version, value = (1, 2) if number < 30 else (2, 20), number % 5 + 1
        paid = str(version[1] * value)
        add(version[0], points=paid, caseName=NASTY, trace=trace(version[1], str(value), paid), nodesExecuted=8)
    for version in range(3, len(versions) + 1):
        for text, points in zip(ODD_TRACES, itertools.cycle(ODD_POINTS), strict=False):
            add(version, trace=text, points=points, caseName=LONG)
    for status, text in itertools.product(("error", "timeout", "limit", MARKUP), ("null", trace(20, "1", "3"))):
        add(2, status=status, errorCode=NASTY, trace=text, points=None, caseName=None, sampled=False, nodesExecuted=0)
    for value in (HUGE, "-" + HUGE, '"' + "y" * 5_000 + '"', "[1, [2]]", '{"nodeId": "n"}', "null", "1e308", "true"):
        add(2, trace=trace(20, value, value), points="NaN", caseName=None, notes="trace truncated: 512 -> 8 entries")
    add(2, trace=None, points=None, caseName=None)  # a cancelled run
    for number in range(5):
        add(2, trace=trace(20, HUGE, HUGE), points="1e299" if number else "-1e299", caseName=NASTY, nodesExecuted=8)
    table.extract(fresh, "2026-07-07", "2026-07-09")

    lake = Warehouse(fresh)
    kinds = set()
    for until, baseline in (("2026-07-09", ""), ("2026-07-09", "v1"), ("2026-07-07 01:00", "v1")):
        report = api.post_mortem(lake, realm=NASTY, family=NASTY, since="2026-07-07", until=until, baseline=baseline)
        kinds.add(report.summary()["kind"])
        assert len(json.dumps(report.summary(), allow_nan=False)) < 200_000
        assert not INVISIBLE.search(report.verdict.text)
        for name in SECTIONS:
            assert not FORBIDDEN.search(str(getattr(report, name)().html)), name
    assert "version" in kinds, kinds
    other = definition(lake, of[1], 1)
    found = pieces(lake, ids)
    assert len(found) == len(ids)
    for one in found:
        told = of_evidence(one, other=other, label="Version 1")
        assert not FORBIDDEN.search(told.document())
        assert not INVISIBLE.search(told.text())
        json.dumps(told.to_dict(), allow_nan=False)


def test_two_strategies_of_hostile_names_games_and_fields_are_compared_without_markup(
    table: Table, fresh: Lake
) -> None:
    names = (NASTY, NASTY + "'")
    for name, (version, amount) in zip(names, ((1, 2), (2, 20)), strict=True):
        table.execute(
            'insert into strategydefinition (id, "realmId", name, type, "astJson", version, status, "experimentTag") '
            "values (gen_random_uuid(), %s, %s, 'DSL_FULL', %s, %s, 'PUBLISHED', %s)",
            (NASTY, name, json.dumps(ladder(amount)), version, f"{name}tag"),
        )
    of = dict(table.execute("select version, id::text from strategydefinition"))
    programs = [compile_program(ladder(amount)) for amount in (2, 20)]
    for number in range(120):
        version, value = number % 2 + 1, number % 5 + 1
        ran = engine.run(programs[version - 1], None, {f"data.{NASTY}": value}, max_nodes=1000, keep_trace=True)
        table.insert(
            strategyId=of[version], strategyVersion=version, realmId=NASTY, externalUserId=f"{NASTY}{number % 7}",
            externalGameId=f"{LONG}{version if number % 10 else 0}", externalTaskId=NASTY, points=ran.points, caseName=NASTY,
            created_at=f"2026-07-07 {number // 60 + 3:02}:{number % 60:02}:00+00", nodesExecuted=ran.nodes,
            trace=json.dumps(ran.trace),
        )  # fmt: skip
    table.insert(
        strategyId=of[1], realmId=NASTY, status=MARKUP, errorCode=NASTY, trace="null", points=None, sampled=False
    )
    table.extract(fresh, "2026-07-07", "2026-07-09")
    lake = Warehouse(fresh)
    for family, against in (names, (f"tag:{names[1]}tag", f"tag:{names[0]}tag")):
        report = api.post_mortem(
            lake, realm=NASTY, family=family, against=against, since="2026-07-07", until="2026-07-09"
        )
        json.dumps(report.summary(), allow_nan=False)
        assert report.summary()["percent"]["value"] in (
            pytest.approx(9),
            pytest.approx(-0.9),
        )  # 20 and 2 times the same
        assert not INVISIBLE.search(report.verdict.text)
        for name in SECTIONS:
            assert not FORBIDDEN.search(str(getattr(report, name)().html)), name
    with pytest.raises(UsageError) as caught:
        api.post_mortem(lake, realm=NASTY, family=NASTY, against=f"{NASTY}?", since="2026-07-07", until="2026-07-09")
    assert not INVISIBLE.search(f"{caught.value} {caught.value.hint}")


# ---- thirty-odd payloads, each in every place an author can write to ---------------------------------------------------------

PAYLOADS = (
    "<script>{m}</script>",
    "</script><svg onload={m}>",
    "<img src=x onerror={m}>",
    '" onmouseover="{m}" x="',
    "' onfocus='{m}' x='",
    "<style>*{{x:{m}}}</style>",
    '";}}*{{background:url({m})}}',
    "</title></style>{m}",
    "<!-- {m} -->",
    "--><b {m}>",
    "]]>{m}<![CDATA[",
    "<?{m}?>",
    "[{m}](javascript:alert(1))",
    "![{m}](http://evil.example/x)",
    "javascript:{m}",
    "data:text/html,{m}",
    "&lt;b&gt;{m}&amp;",
    "&#60;script&#62;{m}",
    r"$\frac{{{m}$",
    r"$$\href{{javascript:{m}}}{{x}}$$",
    r"\({m}\)",
    "{{{{7*7}}}}{m}",
    "{{% raw %}}{m}",
    "${{{m}}}",
    "\u202e{m}\u202c",
    "{m}\u200b\u2060\ufeff.",
    "\x1b[2J{m}\x1b]0;x\x07",
    "\x9b31m{m}",
    "{m}\x08\x7f\x01",
    "=1+1|{m}",
    "+cmd|'{m}'!A0",
    "-2+3+{m}",
    "@SUM({m})",
    "\t={m}",
    "\r=x{m}",
    "'={m}",
    "`{m}`**b**",
    "null {m}",
    "NaN{m}",
    "{m}\nSecond line",
    "%3Cb%3E{m}",
    "../{m}/..",
    "{m}" + "x" * 900,
    "{m}" + "\u0301" * 40,
    "\u05d0{m}\u0627",
    "<a href=//evil.example>{m}",
    "<base href={m}>",
    "<meta http-equiv=refresh {m}>",
    "</section></main>{m}",
    "<details open ontoggle={m}>",
    "\U0001f1e9\U0001f1ea{m}",
)
NAMES = {f"zq{number:02}z": text.format(m=f"zq{number:02}z") for number, text in enumerate(PAYLOADS)}
MARK = re.compile(r"zq\d\dz")
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "nav", "main", "section", "header", "footer", "div", "p", "span", "h1", "h2",
    "h3", "b", "i", "u", "s", "a", "em", "small", "code", "pre", "del", "ins", "bdi", "br", "dl", "dt", "dd", "ul", "ol", "li",
    "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure", "figcaption", "svg", "g", "defs", "use", "path",
    "clippath", "pattern", "rect", "text", "tspan", "abbr",
}  # fmt: skip


class Page(HTMLParser):
    """A page read by a real parser: what is text in it, and whatever an author could have bent."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.bent, self._in_style = "", [], False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        is_our_switch = (tag, attrs) in (("label", [("class", "sa-all")]), ("input", [("type", "checkbox")]))
        if tag not in ELEMENTS and not is_our_switch:  # it folds a long table away
            self.bent.append(f"<{tag}>")
        for name, value in attrs:
            told = value or ""
            if name in ("title", "aria-label", "data-label"):
                continue  # text that a reader sees, too
            if (
                name.startswith("on")
                or MARK.search(name + told)
                or re.search(r"(?i)script:|//|expression|url\((?!#)", told)
            ):
                self.bent.append(f"<{tag} {name}={told[:80]}>")

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.text += data
        elif MARK.search(data):
            self.bent.append("in the style sheet")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def _odd(self, data: str) -> None:
        if data.strip().lower() not in ("doctype html", "neighbours", "/neighbours", "beside", "/beside"):
            self.bent.append(f"<!{data[:80]}")

    handle_comment = handle_decl = handle_pi = unknown_decl = _odd


def sure(html: str) -> str:
    """The text of a page that nobody has bent."""
    page = Page(html)
    assert not page.bent, page.bent[:5]
    assert not CONTROLS.search(page.text.replace("\n", " ")), CONTROLS.findall(page.text)
    return page.text


def rule(name: str, number: int) -> dict[str, Any]:
    kind = {"type": "field", "path": f"data.{name}", "id": name}
    when = {
        "type": "compare",
        "op": "==",
        "left": kind,
        "right": {"type": "literal", "value": name, "id": name},
        "id": name,
    }
    pay = {
        "type": "assign_points",
        "value": {"type": "literal", "value": number, "id": name},
        "case_name": name,
        "id": name,
    }
    return {"id": name, "when": when, "then": [pay]}


def entries(name: str, number: int, read: str) -> list[dict[str, Any]]:
    """What one such rule leaves, when the event says this."""
    found = [("field", read), ("literal", name), ("compare", read == name), ("rule", read == name)]
    found += [("literal", number), ("assign_points", number)] if read == name else []
    branch = {"rule": "match" if read == name else "skip", "assign_points": "match"}
    return [
        {"nodeId": name, "type": kind, "value": value} | ({"branch": branch[kind]} if kind in branch else {})
        for kind, value in found
    ]


class Hostile:
    """A lake of tenants who mean harm: each has a strategy named like itself; the first has one with a rule for each payload."""

    def __init__(self, table: Table, lake: Lake) -> None:
        self.lake, self.ids = lake, {}
        self.first, *_ = NAMES.values()
        ids = {name: str(uuid.uuid4()) for name in NAMES.values()}
        crowd = {version: str(uuid.uuid4()) for version in (1, 2)}
        rows, programs = (
            [],
            [(ids[name], name, name, json.dumps({"rules": [rule(name, 1)]}), 1) for name in NAMES.values()],
        )
        minute = itertools.count()

        def add(
            strategy: str, version: int, realm: str, name: str, trace: Any, points: int | None, status: str = "ok"
        ) -> str:
            at = datetime(2026, 7, 7, tzinfo=UTC) + timedelta(minutes=next(minute) * 7)
            rows.append((
                str(uuid.uuid4()), at, strategy, version, realm, f"user-{len(rows) % 9} {name}", name, name, status,
                None if status == "ok" else name, points, name if points is not None else None, json.dumps(trace), status == "ok",
                len(trace or ()), name,
            ))  # fmt: skip
            return rows[-1][0]

        for mark, name in NAMES.items():
            self.ids[mark] = add(ids[name], 1, name, name, entries(name, 1, name), 1)
            add(ids[name], 1, name, name, None, None, "limit")
        for version in crowd:
            rules = [rule(name, version * 5) for name in NAMES.values()]
            programs.append((crowd[version], self.first, "crowd " + self.first, json.dumps({"rules": rules}), version))
            for name in NAMES.values():
                before = itertools.takewhile(lambda other, name=name: other != name, NAMES.values())
                trace = [entry for other in before for entry in entries(other, version * 5, name)]
                add(
                    crowd[version],
                    version,
                    self.first,
                    name,
                    (trace + entries(name, version * 5, name))[:200],
                    version * 5,
                )
                if version == 2:
                    add(crowd[version], version, self.first, name, None, None, "error")
        with psycopg.connect(table.url) as connection, connection.cursor() as cursor:
            cursor.executemany(
                'insert into strategydefinition (id, "realmId", name, type, "astJson", version, status, description) '
                "values (%s, %s, %s, 'DSL_FULL', %s, %s, 'PUBLISHED', %s)",
                [(*program, program[1]) for program in programs],
            )
            cursor.executemany(
                'insert into strategyexecutionlog (id, created_at, "strategyId", "strategyVersion", "strategyType", "realmId", '
                '"externalUserId", "externalGameId", "externalTaskId", status, "errorCode", points, "caseName", trace, sampled, '
                '"nodesExecuted", notes, "durationMs") '
                "values (%s, %s, %s, %s, 'DSL_FULL', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1.5)",
                rows,
            )
        table.extract(lake, "2026-07-07", "2026-07-09")


@pytest.fixture(scope="module")
def hostile(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"create database hostile template {EMPTY}")
    return Hostile(
        Table(database_url.replace("/postgres?", "/hostile?", 1)), Lake(tmp_path_factory.mktemp("hostile") / "lake")
    )


WINDOW = {"since": "2026-07-07", "until": "2026-07-09"}
Drawn: TypeAlias = "tuple[dict[str, Block], list[Figure], dict[str, Any]]"
"""Every block of both reports, every figure in them, and the facts of the second."""


@pytest.fixture(scope="module")
def drawn(hostile: Hostile) -> Iterator[Drawn]:
    figures: list[Figure] = []
    draw = theme.inline_svg
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(theme, "inline_svg", lambda figure, *more: figures.append(figure) or draw(figure, *more))
        lake = Warehouse(hostile.lake)
        mortem = api.post_mortem(lake, realm=hostile.first, family="crowd " + hostile.first, **WINDOW)
        fleet = api.runaway_rules(lake, **WINDOW)
        blocks = {f"post_mortem.{name}": getattr(mortem, name)() for name in SECTIONS}
        blocks |= {f"runaway_rules.{name}": getattr(fleet, name)() for name in FLEET}
        yield blocks, figures, fleet.summary()


def test_an_authors_text_is_text_in_every_block_of_both_reports(drawn: Drawn) -> None:
    blocks, _, _ = drawn
    seen: dict[str, set[str]] = {"post_mortem": set(), "runaway_rules": set()}
    for name, block in blocks.items():
        shown, _ = block._repr_mimebundle_()
        text = sure(shown["text/html"])
        assert 'class="sa mathjax_ignore"' in shown["text/html"], "JupyterLab would set $…$ as mathematics"
        seen[name.partition(".")[0]] |= set(MARK.findall(text))
        assert not CONTROLS.search(shown["text/plain"].replace("\n", " ")), name
    assert seen["runaway_rules"] == set(NAMES), "every tenant has its line"
    assert len(seen["post_mortem"]) > 30
    assert "<script>zq00z</script>" in blocks["runaway_rules.league"].text


def test_a_figure_saved_as_a_picture_shows_letters_and_never_mathematics(
    drawn: Drawn,
) -> None:
    from matplotlib.text import Text

    _, figures, _ = drawn
    texts = [text for figure in figures for text in figure.findobj(Text)]
    assert sum(bool(MARK.search(text.get_text())) for text in texts) > 20
    assert [text.get_text() for text in texts if text.get_parse_math() and MARK.search(text.get_text())] == []
    assert not [text.get_text() for text in texts if CONTROLS.search(text.get_text().replace("\n", " "))]
    # Broken mathematics would stop the drawing.
    broken = next(figure for figure in figures if any("$" in text.get_text() for text in figure.findobj(Text)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # letters that this machine's font does not have
        out = io.BytesIO()
        broken.savefig(out, format="png")
    assert out.getvalue().startswith(b"\x89PNG")


def test_an_authors_text_is_text_in_the_published_page_and_in_its_notebook(
    hostile: Hostile, drawn: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute(source: Path, executed: Path, *_: object) -> None:
        """What running it does, from what is drawn already; tests/reports/test_notebooks.py runs one for hostile names."""
        book = nbformat.read(source, as_version=4)
        shown = {f"report.{name.partition('.')[2]}()": block for name, block in drawn[0].items() if "runaway" in name}
        shown["report.summary_block()"] = summary_block(drawn[2])
        for cell in book.cells:
            if cell.source in shown:
                data, metadata = shown[cell.source]._repr_mimebundle_()
                cell.outputs = [nbformat.v4.new_output("execute_result", data, metadata=metadata, execution_count=1)]
        nbformat.write(book, executed)

    monkeypatch.setattr(cells, "execute", execute)
    planned = plan(find("runaway_rules", REPORTS), tmp_path, {"lake": str(hostile.lake.root), **WINDOW})
    rendering.render_here(planned, tmp_path)
    made = rendering.rendered(planned)
    html = made.html.read_text(encoding="utf-8")
    assert set(MARK.findall(sure(html))) == set(NAMES)
    assert html.index("Content-Security-Policy") < html.index("<title") < html.index("zq")
    shown = [output for cell in nbformat.read(made.notebook, as_version=4).cells for output in cell.get("outputs", [])]
    assert len(shown) == len(FLEET) + 1
    for output in shown:
        assert set(output["data"]) <= {"text/html", "text/plain", "application/json"}
        sure(output["data"].get("text/html", ""))
        assert not CONTROLS.search(output["data"]["text/plain"].replace("\n", " "))
    users = {f"user-{number} {name}" for name in NAMES.values() for number in range(9)}
    assert not [user for user in users if user in html]


def test_explain_tells_a_hostile_run_in_words_on_a_page_and_to_programs(hostile: Hostile, capsys: Any) -> None:
    found = dict(zip(NAMES, pieces(Warehouse(hostile.lake), list(hostile.ids.values())), strict=True))
    for mark, name in NAMES.items():
        told = of_evidence(found[mark])
        assert visible(name)[:25] in sure(told.document()), mark
        assert visible(name)[:25] in " ".join(told.text().split()), mark
        assert told.to_dict()["run"]["case_name"] == name
    first = list(hostile.ids.values())[24]
    for form in ([], ["--json"]):
        assert main(["explain", first, "--lake", str(hostile.lake.root), *form]) == 0
        out = capsys.readouterr().out
        assert "zq24z" in out and not CONTROLS.search(out.replace("\n", " "))


FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def test_a_spreadsheet_runs_no_authors_text_and_a_program_gets_it_back(
    hostile: Hostile, capsys: Any, tmp_path: Path
) -> None:
    question = (
        "select realm_id, case_name, points, -points as less, trace from executions where status = 'ok' order by all"
    )

    def asked(*words: str) -> list[list[str]]:
        assert (
            main(["query", "--all-realms", "--lake", str(hostile.lake.root), question, "--format", "csv", *words]) == 0
        )
        said = capsys.readouterr()
        assert ("apostrophe" in said.err) is ("--raw" not in words)
        return list(csv.reader(io.StringIO(said.out, newline="")))[1:]

    safe, raw = asked(), asked("--raw")
    assert {row[0] for row in raw} == set(NAMES.values())
    texts = [cell for row in safe for cell in (row[0], row[1], row[4])]
    assert not [cell for cell in texts if FORMULA.match(cell)]
    assert {row[3] for row in safe} == {"-1.0", "-5.0", "-10.0"}, "numbers stay numbers"
    # Where a spreadsheet's cells end at semicolons or tabs, a quotation mark in the middle of one holds nothing together.
    parts = [part for cell in texts for part in re.split(r"[;\t\r\n]", cell)]
    assert not [part for part in parts if FORMULA.match(part)]
    own = r"(^|(?<=[;\t\r\n]))'(?='*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"
    again = [[re.sub(own, "", cell) for cell in row] for row in safe]
    assert again == raw
    assert (
        main(["export", "nodes", "--all-realms", "--lake", str(hostile.lake.root), "--out", str(tmp_path / "flat")])
        == 0
    )
    flat = duckdb.sql(f"select distinct node_id from read_parquet('{tmp_path}/flat/**/*.parquet')").fetchall()
    assert {node for (node,) in flat} == set(NAMES.values()), "Parquet is for programs: as it is"


@pytest.mark.parametrize("form", ["table", "json"])
def test_nothing_that_is_printed_moves_the_cursor(hostile: Hostile, capsys: Any, form: str) -> None:
    for words in (["query", "select distinct realm_id, notes from executions", "--format", form], ["status"]):
        assert main([*words, "--all-realms", "--lake", str(hostile.lake.root)]) == 0
        said = capsys.readouterr()
        assert not CONTROLS.search((said.out + said.err).replace("\n", " ")), words
    assert main(["query", "from executions", "--lake", str(hostile.lake.root), "--realm", "\x1b[2J\u202enobody"]) == 2
    assert not CONTROLS.search(capsys.readouterr().err.replace("\n", " "))


def test_postgresql_takes_no_lone_surrogate_so_none_can_come(table: Table) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        table.insert(trace='[{"nodeId": "\\ud800", "type": "literal", "value": 1}]')
