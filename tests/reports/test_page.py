"""Pages show hostile text as text, round as they promise, and reach for nothing outside."""

import datetime as dt
import html
import re
from decimal import Decimal
from html.parser import HTMLParser
from types import SimpleNamespace

import pandas as pd
import pytest

from analytics.reports import charts, page
from analytics.reports.page import number
from analytics.reports.page.inline import DARK, LIGHT, PRINT, shorten

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title><script>x</script>",
    "</pre></code><img src=x onerror=alert(1)>",
    "<img src='https://evil.example/p.png'>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    '" style="position:fixed;inset:0',
    "<!-- comment -->",
    "]]><b>",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "<a href='javascript:alert(1)'>x</a>",
    "<iframe src=//evil.example></iframe>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example>",
    "<form action=//evil.example><button>go</button></form>",
    "<style>*{display:none}</style>",
    "<style data-sa>*{display:none}</style>",
    "<link rel=stylesheet href=//evil.example>",
    "{{ 7 * 7 }}{% raw %}",
    "{0} {} %s %(x)s",
    "$x^2$ \\frac{1}{2}",
    "<b>bold</b>",
    "<bdi>",
    "</bdi></td></tr></table>",
    "<math><mtext></mtext><script>1</script></math>",
    "<details open ontoggle=alert(1)>",
    "<textarea><script>",
    "<plaintext>",
]
ESTIMATE = SimpleNamespace(value=31412.0, low=28013.0, high=34811.0, grade="good", unit="")
ALLOWED = {
    "a", "b", "bdi", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "figcaption", "figure", "h1", "h2",
    "h3", "header", "i", "ins", "li", "ol", "p", "pre", "s", "section", "small", "span", "strong", "summary", "svg",
    "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
}  # fmt: skip


def blocks_with(text: str) -> dict[str, page.Block]:
    """Every block with the text in every place that takes text."""
    row = {"a": text, "b": text, "c": text, "n": text, "g": text, "e": ESTIMATE, "group": text}
    kinds = ["text", "author", "mono", "count", "exact", "number", "percent", "ms", "time", "day", "grade"]
    columns = [page.Column("a", text, kind=kind) for kind in kinds]  # type: ignore[arg-type]
    columns += [page.Column("e", text, kind="estimate"), page.Column("b", text, role="finding")]
    return {
        "head": page.head(text, [text, page.finding(text)], text),
        "strip": page.strip([page.Cell(text, text, text, text, text), page.Cell(text, ESTIMATE, text)]),
        "findings": page.findings([page.Finding(text, text, text), ("new", [page.strong(text)], text)]),
        "key": page.key(),
        "section": page.section("s", text, [text], text, [text, page.note(text), [page.mute(text)]]),
        "full": page.section("t", text, text, text, text, full=True),
        "table": page.table([row], columns, row_class="g", group="group"),
        "empty": page.table([], columns, empty=text),
        "receipt": page.receipt(
            [page.Step(text, text, text, "matched", text), {"text": text, "state": text}], text, role=text
        ),
        "facts": page.facts([(text, text), (text, page.code(text))]),
        "todo": page.todo([page.Todo(text, text, text), text]),
        "fold": page.fold(text, text),
        "code": page.code(text),
        "figure": page.figure(page.Markup("<svg></svg>"), None, text),
        "subhead": page.subhead(text),
        "banner": page.banner(text),
        "foot": page.foot(text),
        "inline": page.note(
            [
                page.before(text), page.worse(text), page.fixed(text), page.mono(text), page.was(text), page.now(text),
                page.author(text), page.grade(text), page.tag(text), page.headroom(1, 2, 3, text, text),
                page.share_bar(0.1, text), page.interval_bar(1, 2, 3, (0, 4), text),
                page.interval_axis(text, (0, 1), [(0, text)]), page.link("#x", text),
            ]
        ),
    }  # fmt: skip


class Seen(HTMLParser):
    """What a browser would build: elements, attributes and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text_in_every_block(text: str) -> None:
    for name, block in blocks_with(text).items():
        seen = Seen()
        seen.feed(str(block.html))
        assert seen.tags <= ALLOWED, name
        assert seen.attributes <= {"class", "style", "title", "data-l", "id", "colspan", "href"}, name
        if name != "key":
            assert text in seen.text, name
            assert text in block.text, name


def test_every_class_of_a_block_is_our_own() -> None:
    """JupyterLab has styles for short names: `far` is a letter of Font Awesome there."""
    days = [dt.date(2026, 7, day) for day in range(1, 15)]
    made = [str(block.html) for block in blocks_with("a").values()]
    made += [page.calendar(days, [page.Row("r", [page.Day("new", "x.html")] * len(days), is_group=True)]).html]
    made += [page.calendar_key(["new", "worse", "stale"]).html]
    names = {name for html in made for given in re.findall(r'class="([^"]*)"', html) for name in given.split()}
    assert len(names) > 40
    assert [name for name in names if not name.startswith("sa-")] == []
    selectors = re.findall(r"(?:^|\})([^{}]*)\{", page.blocks.stylesheet())
    assert [
        name for s in selectors for name in re.findall(r"\.([a-z][\w-]*)", s) if not re.match("sa(-|$)|vscode-", name)
    ] == []


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_a_whole_document(text: str) -> None:
    blocks = [block._repr_mimebundle_()[0]["text/html"] for block in blocks_with(text).values()]
    made = page.document(text, blocks, [("#s", text), ("#t", text)], text, [text])
    seen = Seen()
    seen.feed(made)
    assert seen.tags <= ALLOWED | {"html", "head", "meta", "title", "style", "body", "nav", "main", "footer"}
    assert not [name for name in seen.attributes if name.startswith("on") or name in ("src", "action")]
    assert text in seen.text
    assert "<script" not in made.lower()


def test_a_document_reaches_for_nothing_outside_and_forbids_scripts() -> None:
    blocks = [block._repr_mimebundle_()[0]["text/html"] for block in blocks_with("plain").values()]
    made = page.document("Title", blocks, [("index.html", "All"), ("#s", "Since")], "end", ["x = 1"])
    assert made.startswith("<!doctype html>")
    for part in ("default-src 'none'", "style-src 'unsafe-inline'", "base-uri 'none'", "form-action 'none'"):
        assert html.unescape(made).count(part) == 1
    assert '<meta charset="utf-8">' in made
    assert '<meta name="color-scheme" content="light dark">' in made
    assert '<meta name="referrer" content="no-referrer">' in made
    without_policy = made.replace("http-equiv", "")
    assert "http" not in without_policy
    assert "//" not in without_policy
    assert "@import" not in made
    assert "url(" not in made
    assert made.count("<style") == 1, "blocks bring their style sheet to notebooks, a page has it once"


def test_a_page_links_only_inside_itself_and_to_files_beside_it() -> None:
    assert page.link("other.html#a", "x") == '<a href="other.html#a">x</a>'
    for outside in ("https://a.example", "//a.example", "javascript:alert(1)", "data:x", "\\\\a", "x\ny", "é"):
        with pytest.raises(ValueError, match="links only inside"):
            page.link(outside, "x")
        with pytest.raises(ValueError, match="links only inside"):
            page.document("t", [], [(outside, "x")])


def test_hidden_characters_are_written_out() -> None:
    shown = page.author("a\u202eb\x00c\nd\u200be\ud800f\u2066g\x85h\ufeffi\u2028j")
    assert shown == "<bdi>a\\u202eb\\u0000c\\nd\\u200be\\ud800f\\u2066g\\u0085h\\ufeffi\\u2028j</bdi>"
    assert page.visible("👩\u200d🚀 می\u200cخواهم") == "👩\u200d🚀 می\u200cخواهم", "joiners are spelling"
    assert page.visible("Z" + "\u0335" * 40 + "a") == "Z" + "\u0335" * 4 + "…a"
    assert str(page.code("a\n\tb\x1b[31m\u202e").html) == "<pre><code>a\n\tb\\u001b[31m\\u202e</code></pre>"
    page.document("\ud800", [], code_cells=["\ud800"]).encode()


def test_right_to_left_words_are_isolated_from_the_sentence_around_them() -> None:
    assert page.inline("שלום") == "<bdi>שלום</bdi>"
    assert page.author("x") == "<bdi>x</bdi>"
    assert page.inline("plain – ≥ 3") == "plain – ≥ 3"


def test_long_names_are_shortened_and_shown_whole_only_when_readable() -> None:
    assert page.author("x" * 60) == f"<bdi>{'x' * 60}</bdi>"
    assert page.author("x" * 200) == f'<bdi title="{"x" * 200}">{"x" * 59}…</bdi>'
    assert page.author("x" * 5000) == f"<bdi>{'x' * 59}…</bdi>"
    assert len(page.inline("x" * 100_000)) == 1200
    assert shorten("abc", 2) == "a…"


def test_only_markup_passes_through() -> None:
    assert page.inline([page.Markup("<i>a</i>"), "<i>", 3, None, ["&"]]) == "<i>a</i>&lt;i&gt;3&amp;"


ROUNDED = [  # written by hand, from the rule of the Particle Data Group
    (31412, 28013, 34811, "31,400", "[28,000 – 34,800]"),
    (2203, 1400, 3300, "2,200", "[1,400 – 3,300]"),
    (21342, 20011, 22487, "21,300", "[20,000 – 22,500]"),
    (9786, 8960, 10670, "9,800", "[9,000 – 10,700]"),
    (7.0712, 6.91, 7.23, "7.07", "[6.91 – 7.23]"),
    (3.2149, 2.9912, 3.4311, "3.21", "[2.99 – 3.43]"),
    (0.31, -0.10, 0.69, "0.3", "[−0.1 – 0.7]"),
    (6, 4, 11, "6", "[4 – 11]"),
    (0, -5.2, 5.1, "0", "[−5 – 5]"),
    (0.0, 0.0, 0.0113, "0", "[0 – 0.011]"),
    (-1234.5, -1300, -1200, "−1,230", "[−1,300 – −1,200]"),
    (10, 10, 10, "10", "[10 – 10]"),
    (14, None, None, "14", ""),
    (0.09, None, None, "0.09", ""),
    (1234567, None, None, "1,230,000", ""),
    (None, None, None, "–", ""),
    (float("nan"), None, None, "–", ""),
    (float("inf"), None, None, "∞", ""),
    (float("-inf"), None, None, "−∞", ""),
    (34.2, 30.1, None, "34", "[≥\u00a030]"),
    (34.2, None, 40.0, "34", "[≤\u00a040]"),
    (34.2, 30.1, float("inf"), "34", "[≥\u00a030]"),
    (10**400, None, None, "1.00e400", ""),
    (Decimal("NaN"), None, None, "–", ""),
    ("12", None, None, "–", ""),
]


@pytest.mark.parametrize(("value", "low", "high", "shown", "interval"), ROUNDED)
def test_numbers_are_rounded_to_what_their_interval_supports(
    value: object, low: object, high: object, shown: str, interval: str
) -> None:
    assert number.number(value, low, high) == shown
    assert number.bounds(value, low, high) == interval


def test_shares_counts_bounds_and_exact_values_are_written_as_promised() -> None:
    assert number.percent(0.0017, 0.0012, 0.0025) == "0.17\u00a0%"
    assert number.percent(0.5, sign=True) == "+50\u00a0%"
    assert number.ms(6.3) == "6.3\u00a0ms"
    assert number.count(9786) == "9,786"
    assert number.count(None) == "–"
    assert number.at_least(202) == "≥\u00a0202"
    assert number.at_least(1239.9) == "≥\u00a01,239", "a lower bound is never rounded up"
    assert number.at_most(0.00091) == "≤\u00a00.00091"
    assert number.at_most(58.01) == "≤\u00a058.1", "an upper bound is never rounded down"
    assert number.exact(15.0) == "15"
    assert number.exact(0.1) == "0.1"
    assert number.exact(Decimal("1234.50")) == "1,234.5"
    assert number.exact(10**300) == "1.00e300"
    assert number.exact(Decimal(1).scaleb(-2000)) == "1.00e−2000"
    assert number.exact(-1, sign=True) == "−1"


def test_times_are_utc_with_their_weekday() -> None:
    berlin = dt.timezone(dt.timedelta(hours=2))
    moment = dt.datetime(2026, 7, 8, 11, 30, 5, tzinfo=berlin)
    assert number.when(moment) == "Wed 8 July 09:30"
    assert number.when(moment, long=True, year=True, seconds=True) == "Wednesday 8 July 2026 09:30:05"
    assert number.day(dt.date(2026, 7, 8)) == "Wed 8 July"
    assert number.when(dt.datetime(2026, 7, 8, 9, 30)) == "Wed 8 July 09:30"
    assert number.span(moment, moment + dt.timedelta(hours=1)) == "Wed 8 July 09:30 – 10:30"
    assert number.span(moment, moment + dt.timedelta(days=2)) == "Wed 8 July 09:30 – Fri 10 July 09:30"
    assert number.when(None) == number.clock("x") == "–"


def test_missing_values_of_a_frame_show_as_a_dash() -> None:
    import pandas as pd

    frame = pd.DataFrame({"n": [1, None], "t": [pd.Timestamp("2026-07-08 09:30", tz="UTC"), pd.NaT], "s": ["a", None]})
    kinds = (("n", "count"), ("n", "estimate"), ("t", "time"), ("s", "author"))
    shown = page.table(frame, [page.Column(key, key, kind=kind) for key, kind in kinds])  # type: ignore[arg-type]
    assert shown.text.split("\n")[1:] == ["1\t1\tWed 8 July 09:30\ta", "–\t–\t–\t–"]


def test_a_table_groups_rows_and_carries_labels_for_cards() -> None:
    rows = [{"g": "A", "x": 1, "k": "hot"}, {"g": "A", "x": 2, "k": "<b>"}, {"g": "B", "x": 3, "k": None}]
    axis = page.interval_axis("Change", (0, 1), [(0, "0")])
    columns = [page.Column("x", "Name", role="name"), page.Column("x", axis, kind="count")]
    made = str(page.table(rows, columns, row_class="k", group="g").html)
    assert made.count('class="sa-grp"') == 2
    assert made.count('<tr class="sa-hot">') == 1
    assert made.count('data-l="Change"') == 3, "the scale belongs to the heading, not to the card"
    assert page.table([], columns).html == '<p class="sa-note">No rows.</p>'


def test_an_estimate_reads_its_interval_and_grade_from_the_row() -> None:
    row = {"x": 2203, "x_low": 1400, "x_high": 3300, "grade": "rough"}
    shown = page.table([row], [page.Column("x", "X", kind="estimate")]).text
    assert shown == "X\n2,200 [1,400 – 3,300] rough"
    logged = SimpleNamespace(value=9786, low=None, high=None, grade="logged")
    assert page.inline(page.est(logged)).striptags() == "9,786 logged", "counted numbers are not rounded"
    share = SimpleNamespace(value=0.0017, low=0.0012, high=0.0025, grade="good", unit="%")
    assert page.est(share).striptags() == "0.17 % [0.12 – 0.25] good"


def test_a_list_of_more_than_five_has_a_fold_for_phones_that_needs_no_script() -> None:
    table = [page.table([{"a": n} for n in range(count)], [page.Column("a", "A")]).html for count in (5, 6)]
    listed = [page.findings([("new", "x")] * count).html for count in (5, 6)]
    for short, long in (table, listed):
        assert "sa-all" not in short and long.endswith("</label>") and 'type="checkbox"> All 6 ' in long
    sheet = page.document("t", [])
    phone = sheet[sheet.index("@media screen and (max-width:760px)") : sheet.rindex("@media print")]
    assert "nth-child(n+6){display:none}" in phone and "nth-child(n+6)" not in sheet.replace(phone, "")


def test_paper_has_page_numbers_and_says_what_is_folded() -> None:
    sheet = page.document("t", [])
    paper = sheet[sheet.index("@page") :]
    assert "counter(page)" in paper and "folded on the page" in paper and ".sa.sa-files{display:none}" in paper


def test_an_interval_beyond_the_scale_ends_in_an_arrow() -> None:
    inside = page.interval_bar(-0.1, 0.2, 0.4, (-0.5, 0.5))
    assert 'class=""' in inside
    assert 'class="sa-cl sa-cr"' in page.interval_bar(-0.9, 0.2, 0.9, (-0.5, 0.5))
    assert 'class="sa-cr"' in page.interval_bar(-0.1, 0.2, float("nan"), (-0.5, 0.5))
    assert "<i" not in page.interval_bar(0.2, 0.2, 0.2, (-0.5, 0.5))
    assert "<b" not in page.interval_bar(None, None, None, (-0.5, 0.5))
    assert "nan" not in page.headroom(float("nan"), None, 0)


def test_blocks_tell_a_report_what_they_are() -> None:
    kinds = {"head": page.head("a", "b"), "body": page.key(), "foot": page.foot("x")}
    for kind, block in kinds.items():
        data, facts = block._repr_mimebundle_()
        assert facts == {"text/html": {"analytics": {"block": kind}}}
        assert '<div class="sa mathjax_ignore">' in data["text/html"]
        assert data["text/plain"] == block.text
    assert "<style data-sa>" in kinds["head"]._repr_mimebundle_()[0]["text/html"]
    assert "<style" not in kinds["body"]._repr_mimebundle_()[0]["text/html"]
    data, facts = page.style()._repr_mimebundle_()
    assert "<style data-sa>" in data["text/html"]
    assert facts == {}, "a report leaves the style sheet of exploration out"


def test_the_style_sheet_stays_inside_its_blocks() -> None:
    from analytics.reports.page.blocks import stylesheet

    sheet = re.sub(r"@media[^{]*\{|@page\{[^}]*\}", "", stylesheet())
    for selectors in re.findall(r"(?:^|\})\s*([^{}@]+)\{", sheet):
        bare = re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", selectors))
        for selector in bare.split(","):
            assert ".sa" in selector, selector


def test_every_colour_has_one_name_and_every_theme_every_colour() -> None:
    assert len(set(LIGHT.values())) == len(LIGHT), "an SVG finds the variable by the colour"
    assert LIGHT.keys() == DARK.keys() == PRINT.keys()


def test_a_section_id_is_a_plain_name() -> None:
    assert 'id="since"' in page.section("since", "Since when?").html
    for bad in ('"><b>', "", "1a", "a b"):
        with pytest.raises(ValueError, match="section id"):
            page.section(bad, "x")


def test_the_public_names_are_sorted_and_there() -> None:
    assert page.__all__ == sorted(page.__all__)
    assert all(hasattr(page, name) for name in page.__all__)


def test_a_page_stays_small_however_many_strategies_there_are() -> None:
    rows = [{"name": f"Strategy {number}"} for number in range(1_000)]
    long = page.table(rows, [page.Column("name", "Strategy", kind="author")])
    assert long.html.count("<bdi") == 400 and "Strategy 399" in long.html
    assert "600 more rows have no room on a page." in long.html and "600 more rows" in long.text
    curves = [
        (f"s{name}", "finding" if name < 5 else "", float(nodes), 1 - nodes / (name + 60))
        for name in range(500)
        for nodes in range(1, name + 60, 9)
    ]
    frame = pd.DataFrame(curves, columns=["label", "role", "nodes", "share"])
    drawn = charts.inline_svg(charts.exceedance(frame, pd.DataFrame({"label": [], "count": []})), "x")
    assert drawn.count("<path") < 130 and "400 shorter ones are not drawn" in drawn
