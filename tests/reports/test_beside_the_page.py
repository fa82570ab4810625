"""What lies beside a page: its tables as CSV, no more than it shows; and the page alone, as it is mailed."""

from __future__ import annotations

import csv
import io
import re
from types import SimpleNamespace

import pytest

from analytics.reports import page
from analytics.reports.page import Column


def read(html: str) -> dict[str, list[list[str]]]:
    return {name: list(csv.reader(io.StringIO(text))) for name, text in page.csv_tables(html)}


ESTIMATE = SimpleNamespace(value=-12300.0, low=-13900.0, high=-10900.0, grade="good")
ROWS = [
    {"kind": "hot", "name": '=HYPERLINK("x")', "n": 1234, "est": ESTIMATE, "share": page.mute("+4 %")},
    {"kind": "cold", "name": "a<b>", "n": None, "est": None, "share": page.mute("-x")},
]
COLUMNS = [
    Column("name", "Name", kind="author"), Column("n", "Rows", kind="count"), Column("est", "Points", kind="estimate"),
    Column("share", ["Share", page.Markup('<span class="sa-axl"><em>0</em></span>')]),
]  # fmt: skip


def test_an_estimate_becomes_four_columns_and_no_authors_text_a_formula() -> None:
    html = str(page.section("league", "Who?", body=page.table(ROWS, COLUMNS, group="kind")).html)
    assert read(html) == {
        "table-league-1.csv": [
            ["group", "Name", "Rows", "Points", "Points low", "Points high", "Points grade", "Share"],
            ["hot", "'=HYPERLINK(\"x\")", "1234", "-12300", "−13,900".replace("−", "-").replace(",", ""), "-10900", "good", "+4 %"],
            ["cold", "a<b>", "–", "–", "", "", "", "'-x"],
        ]
    }  # fmt: skip


def test_each_table_has_a_file_of_its_own_and_a_calendar_none() -> None:
    table = page.table([{"a": 1}], [Column("a", "A")])
    days = page.calendar([], [])
    html = str(page.section("one", "?", body=[table, table, days]).html + table.html)
    assert list(read(html)) == ["table-one-1.csv", "table-one-2.csv", "table-page-1.csv"]


def test_what_is_no_markup_is_no_table_and_what_is_drawn_in_a_cell_is_read() -> None:
    table = "<table><tr><th>A</th></tr><tr><td><svg><text>7</text></svg></td></tr></table>"
    html = (
        f"<style>/* {table} */</style><script>'{table}'</script><!-- <section id='no'>{table} -->"
        f"<section id='one'><svg><text>8</text></svg>{table.upper()}<p>9</p></section>{table}"
    )
    assert read(html) == {"table-one-1.csv": [["A"], ["7"]], "table-page-1.csv": [["A"], ["7"]]}


def test_a_page_that_is_mailed_links_to_nothing_that_is_not_in_it() -> None:
    body = page.note(
        ["see ", page.link("#much", "how much"), " and ", page.link("../other/report.html", "the <other>")]
    )
    whole = page.document(
        "T", [body.in_page], nav=[("../index.html", "Reports"), ("#much", "Much")],
        footer="Made. Same facts for programs: summary.json",
        has_neighbours=True, files=["table-league-1.csv"],
    )  # fmt: skip
    linked = page.with_neighbours(whole, ("../before/report.html", "← before"), None)
    assert set(re.findall(r'href="([^"]*)"', linked)) == {
        "../index.html", "../before/report.html", "../other/report.html", "table-league-1.csv", "#much",
    }  # fmt: skip
    alone = page.alone(linked)
    assert set(re.findall(r'href="([^"]*)"', alone)) == {"#much"}
    assert "the &lt;other&gt;" in alone and "summary.json" not in alone and "CSV" not in alone
    assert page.alone(alone) == alone


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@x", "\tx", "'=1"])
def test_what_a_spreadsheet_would_take_for_a_formula_is_text(text: str) -> None:
    [[_, [shown]]] = read(str(page.table([{"a": text}], [Column("a", "A", kind="author")]).html)).values()
    assert shown[0] not in "=+-@\t"
