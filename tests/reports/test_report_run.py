"""What is due is rendered, once; a failure stops nothing and hides nothing; what is old goes, what is good stays."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from analytics.cli import main
from analytics.errors import ReportsLockedError, UsageError
from analytics.lake.lake import Lake
from analytics.reports import page
from analytics.reports.common import state_of
from analytics.reports.explore.open_lake import open_lake
from analytics.reports.render import rendering, report_process, worker
from analytics.reports.render.rendering import Plan
from analytics.reports.schedule import archive
from analytics.reports.schedule import cards as report_cards
from analytics.reports.schedule.cards import Card
from analytics.reports.schedule.definition import Definition, due_days, read, window_of
from analytics.reports.schedule.run import RunResult, jobs, run
from analytics.storage import lock

if TYPE_CHECKING:
    from tests.conftest import Table

SATURDAY = date(2026, 7, 11)
NOTEBOOKS = ["post_mortem", "runaway_rules"]


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 7, day, hour, tzinfo=UTC)


# ---- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "since", "until"),
    [
        ("yesterday", "2026-07-10", "2026-07-11"),
        ("today", "2026-07-11", "2026-07-12"),
        ("last 7 days", "2026-07-04", "2026-07-11"),
        ("Last  1 day", "2026-07-10", "2026-07-11"),
        ("last week", "2026-06-29", "2026-07-06"),
        ("last month", "2026-06-01", "2026-07-01"),
    ],
)
def test_a_window_in_words_is_made_of_whole_days(words: str, since: str, until: str) -> None:
    assert str(window_of(words, SATURDAY)) == f"{since} to {until}"


@pytest.mark.parametrize("words", ["last 0 days", "soon", "", "last fortnight", "7d"])
def test_other_words_are_refused_with_those_there_are(words: str) -> None:
    with pytest.raises(UsageError, match="is no window"):
        window_of(words, SATURDAY)


def test_a_report_is_due_each_day_on_its_weekday_or_on_the_first_of_the_month() -> None:
    assert [day.day for day in due_days("day", SATURDAY, 3)] == [9, 10, 11]
    assert [day.day for day in due_days("monday", SATURDAY, 7)] == [6]
    assert due_days("monday", SATURDAY, 3) == []
    assert [str(day) for day in due_days("month", SATURDAY, 14)] == ["2026-07-01"]


# ---- definitions -----------------------------------------------------------------------------------------------------


def written(folder: Path, text: str) -> Path:
    path = folder / "nightly.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_one_file_holds_several_reports_and_what_is_said_once_for_all(tmp_path: Path) -> None:
    first, second = read(
        written(
            tmp_path,
            'keep_days = 30\n[parameters]\nnode_cap = 600\n[[report]]\nname = "a"\nnotebook = "runaway_rules"\nrealms = "each"\n'
            '[[report]]\nnotebook = "post_mortem"\nfamilies = ["X"]\nkeep_days = 5\n',
        ),
        NOTEBOOKS,
    )
    assert (first.name, first.realms, first.keep_days, first.parameters) == ("a", "each", 30, {"node_cap": 600})
    assert (second.name, second.families, second.keep_days) == ("post_mortem", ("X",), 5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('notebook = "runaway_rules"\nrealms = "some"', "realms"),
        ('notebook = "runaway_rules"\nrealms = ["a", 5]', "realms"),
        ('notebook = "runaway_rules"\nrealms = [""]', "realms"),
        ('notebook = "runaway_rules"\nrealms = []', "empty"),
        ('notebook = "runaway_rules"\nno_realm = true', "no_realm"),
        ('notebook = "runaway_rules"\nwindow = "soon"', "is no window"),
        ('notebook = "runaway_rules"\nwindow = "yesterday"\n[parameters]\nsince = "7d"', "window and since"),
        ('notebook = "runaway_rules"\nrealms = "each"\n[parameters]\nrealm = "a"', "realms and realm"),
        ('notebook = "runaway_rules"\nevery = "hour"', "every"),
        ('notebook = "runaway_rules"\nkeep_days = -1', "keep_days"),
        ('notebook = "runaway_rules"\nkeep_days = true', "keep_days"),
        ('notebook = "runaway_rules"\nkeep_days = "90 days"', "keep_days"),
        ('notebook = "runaway_rules"\ntimeout_minutes = 0', "timeout_minutes"),
        ('notebook = "runaway_rules"\nfamilies = "each"', "families"),
        ('notebook = "post_mortem"', "which strategies"),
        ('notebook = "missing.ipynb"', "missing.ipynb"),
        ("report = 5", "list of tables"),
        ('[[report]]\nnotebook = "runaway_rules"\n[[report]]\nnotebook = "runaway_rules"', "two reports"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read(written(tmp_path, text), NOTEBOOKS)


# ---- what is due -----------------------------------------------------------------------------------------------------


def asked(lake: Lake, out: Path, **given: Any) -> list[tuple[date, dict[str, Any]]]:
    definition = Definition("r", given.pop("notebook", "runaway_rules"), window="yesterday", **given)
    chains = jobs(definition, open_lake(lake.root), {"lake": str(lake.root)}, date(2026, 7, 10))
    return [(job.today, dict(job.subject)) for chain in chains for job in chain]


@pytest.fixture(scope="module")
def small(module_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three tenants, one of them silent for long, one with an empty name, and runs without one."""
    for day in (7, 8, 9):
        for realm in ("acme", "beta", None, ""):
            module_table.insert(created_at=f"2026-07-{day:02} 12:00+00", realmId=realm, strategyId=f"s-{realm}")
    module_table.insert(created_at="2026-06-20 12:00+00", realmId="gone")
    made = Lake(tmp_path_factory.mktemp("small") / "lake")
    module_table.extract(made, "2026-06-20", "2026-07-10")
    return made


def test_each_tenant_that_logged_lately_gets_a_report_and_an_empty_name_does_not_ask_for_all(
    small: Lake, tmp_path: Path
) -> None:
    today = [subject for day, subject in asked(small, tmp_path, realms="each") if day.day == 10]
    assert today == [{"realm": "acme"}, {"realm": "beta"}, {"no_realm": True}]


def test_all_is_one_report_and_names_are_one_each(small: Lake, tmp_path: Path) -> None:
    assert asked(small, tmp_path, catch_up_days=1) == [(date(2026, 7, 10), {})]
    named = asked(small, tmp_path, catch_up_days=1, realms=("beta",), no_realm=True)
    assert [subject for _, subject in named] == [{"realm": "beta"}, {"no_realm": True}]


def test_each_strategy_that_ran_gets_a_post_mortem_by_its_id_where_it_has_no_name(small: Lake, tmp_path: Path) -> None:
    found = asked(small, tmp_path, notebook="post_mortem", families="each", realms=("acme",), catch_up_days=1)
    assert [subject for _, subject in found] == [{"realm": "acme", "strategy_id": "s-acme"}]


def test_a_strategy_that_was_named_gets_a_report_though_it_ran_nowhere(small: Lake, tmp_path: Path) -> None:
    for realms, wanted in (("each", {}), ("all", {}), (("acme",), {"realm": "acme"})):
        found = asked(small, tmp_path, notebook="post_mortem", families=("Sped bonus",), realms=realms, catch_up_days=1)
        assert [subject for _, subject in found] == [{**wanted, "family": "Sped bonus"}]


def test_days_before_the_lake_began_are_not_due(small: Lake, tmp_path: Path) -> None:
    definition = Definition("r", "runaway_rules", window="yesterday", catch_up_days=5)
    [chain] = jobs(definition, open_lake(small.root), {"lake": str(small.root)}, date(2026, 6, 22))
    assert [job.today for job in chain] == [date(2026, 6, 21), date(2026, 6, 22)]


# ---- running ---------------------------------------------------------------------------------------------------------


def notebook(folder: Path, *cells: str) -> Path:
    """A notebook of the user's own, beside the definition."""
    book = nbformat.v4.new_notebook()
    first = nbformat.v4.new_code_cell(
        'lake = ""\nrealm = ""\nno_realm = False\nsince = "7d"\nuntil = "today"', metadata={"tags": ["parameters"]}
    )
    book.cells = [first, *map(nbformat.v4.new_code_cell, cells)]
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, folder / "mine.ipynb")
    return folder / "mine.ipynb"


COUNT = """import analytics
from analytics.reports.common import summary_block
opened = analytics.open_lake(lake, realm=realm or ())
[(count,)] = opened.sql("select count(*) from executions where day = $day::date", day=since[:10]).fetchall()
summary_block({"title": "Rows", "verdict": f"{count} rows", "state": "quiet"})"""


def nightly(source: Path, **given: Any) -> Definition:
    return Definition(
        "mine", str(source), **{"window": "yesterday", "catch_up_days": 2, "realms": ("acme", "beta"), **given}
    )


def states(result: RunResult) -> list[tuple[str, int, str, str]]:
    found = [(o.job.label, o.card.day.day, o.state, o.card.verdict) for o in result.outcomes]
    return sorted(found)


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report's process is this one, and what the notebook would count is counted here; all else is as it is."""

    def render(planned: Plan, _folder: Path) -> None:
        opened = open_lake(planned.values["lake"], realm=planned.values["realm"])
        [(count,)] = opened.sql(
            "select count(*) from executions where day = $day::date", day=planned.values["since"][:10]
        ).fetchall()
        planned.target.mkdir(parents=True, exist_ok=True)
        html = page.document("Rows", ["<p>body</p>"], nav=[("../index.html", "Reports")], has_neighbours=True)
        (planned.target / "report.html").write_text(html, encoding="utf-8")
        facts = {"title": "Rows", "verdict": f"{count} rows", "state": "quiet"}
        report_cards.write(
            report_cards.of_facts(replace(planned.card, folder=planned.target.name), facts), planned.target
        )
        archive.refresh(planned.target.parent, {planned.target.name})

    def process(planned: Plan, folder: Path, **_: object) -> report_process.Ended:
        code = worker.work(Plan.from_json(json.loads(json.dumps(planned.to_json()))), folder)
        return report_process.Ended(code, "", None)

    monkeypatch.setattr(rendering, "render_here", render)
    monkeypatch.setattr(report_process, "run", process)


@pytest.mark.usefixtures("without_kernels")
def test_what_is_up_to_date_is_left_and_late_rows_make_their_days_due(
    module_table: Table, small: Lake, tmp_path: Path
) -> None:
    _late_rows(module_table, small, tmp_path)


@pytest.mark.long
def test_it_is_so_in_processes_and_kernels_of_their_own(module_table: Table, small: Lake, tmp_path: Path) -> None:
    _late_rows(module_table, small, tmp_path)


def _late_rows(module_table: Table, small: Lake, tmp_path: Path) -> None:
    lake, out = Lake(shutil.copytree(small.root, tmp_path / "lake")), tmp_path / "out"
    definition = nightly(notebook(tmp_path, COUNT), realms=("acme",))
    first = run([definition], lake=lake.root, out=out, today=date(2026, 7, 10))
    assert states(first) == [("acme", 8, "rendered", "1 rows"), ("acme", 9, "rendered", "1 rows")]
    again = run([definition], lake=lake.root, out=out, today=date(2026, 7, 10))
    assert [outcome.state for outcome in again.outcomes] == ["up to date", "up to date"]
    row = module_table.insert(created_at="2026-07-09 13:00+00", realmId="acme")
    module_table.extract(lake, "2026-07-09", "2026-07-10")
    module_table.execute("delete from strategyexecutionlog where id = %s", [row])
    late = run([definition], lake=lake.root, out=out, today=date(2026, 7, 10))
    assert states(late) == [("acme", 8, "up to date", "1 rows"), ("acme", 9, "rendered", "2 rows")]
    page_of_8, page_of_9 = (out / outcome.card.page for outcome in late.outcomes)
    assert f'rel="next" href="../{page_of_9.parent.name}/report.html"' in page_of_8.read_text(encoding="utf-8")
    assert f'rel="prev" href="../{page_of_8.parent.name}/report.html"' in page_of_9.read_text(encoding="utf-8")


BREAKS = """import os
if realm == "acme" and "PLANTED" in os.environ: raise ValueError("planted <b>")"""


def test_a_failure_stops_nothing_leaves_its_page_and_half_run_notebook_and_is_tried_again(
    small: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook(tmp_path, BREAKS, COUNT)
    monkeypatch.setenv("PLANTED", "1")
    out = tmp_path / "out"
    path = written(
        tmp_path, 'notebook = "mine.ipynb"\nwindow = "yesterday"\ncatch_up_days = 1\nrealms = ["acme", "beta"]\n'
    )
    words = ["report", "run", str(path), "--lake", str(small.root), "--out", str(out), "--as-of", "2026-07-10"]
    assert main([*words, "--jobs", "2"]) == 3
    told = capsys.readouterr()
    assert "planted <b>" in told.err
    rows = [line for line in told.out.splitlines() if "2026-07-09" in line and "nightly" in line]
    assert [("failed" in row, "rendered" in row) for row in rows] == [(True, False), (False, True)]
    [error] = out.glob("*acme*.failed/error.html")
    assert "planted &lt;b&gt;" in error.read_text(encoding="utf-8")
    assert "planted" in error.with_name("report.ipynb").read_text(encoding="utf-8")
    index = (out / "index.html").read_text(encoding="utf-8")
    assert index.count("the report failed.") == 1 and f"{error.parent.name}/error.html" in index
    # The cause is mended: the same command makes what was missing, and the failure is forgotten.
    monkeypatch.delenv("PLANTED")
    assert main([*words, "--json"]) == 0
    assert [one["state"] for one in json.loads(capsys.readouterr().out)] == ["rendered", "up to date"]
    assert list(out.glob("*.failed")) == []
    assert "failed" not in (out / "index.html").read_text(encoding="utf-8")


@pytest.mark.long
def test_a_process_that_dies_or_hangs_is_a_failure_and_not_the_end(small: Lake, tmp_path: Path) -> None:
    # Only its own process, and not whoever adopts it when that is gone.
    dies = """import os, signal, time
from pathlib import Path
while realm != "acme" or b"render.worker" not in Path(f"/proc/{os.getppid()}/cmdline").read_bytes():
    time.sleep(0.1)
os.kill(os.getppid(), signal.SIGKILL)"""
    definition = nightly(notebook(tmp_path, dies), catch_up_days=1, timeout_minutes=0.5)
    result = run([definition], lake=small.root, out=tmp_path / "out", today=SATURDAY, workers=2)
    assert [(outcome.job.label, outcome.state) for outcome in result.outcomes] == [
        ("acme", "failed"),
        ("beta", "failed"),
    ]
    assert result.exit_code == 3
    killed, stopped = (outcome.card.verdict for outcome in result.outcomes)
    assert "killed by signal 9" in killed
    assert "stopped after 0.5 minutes" in stopped


def test_a_second_run_ends_with_75_and_says_who_is_at_work(
    small: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    path = written(tmp_path, 'notebook = "runaway_rules"\nrealms = "all"\n')
    with lock.hold(out):
        assert main(["report", "run", str(path), "--lake", str(small.root), "--out", str(out)]) == 75
        with pytest.raises(ReportsLockedError, match="another run is rendering"):
            run(read(path, NOTEBOOKS), lake=small.root, out=out)
    assert "another run is rendering reports" in capsys.readouterr().err


def test_a_lake_that_is_not_there_and_a_parameter_that_is_not_known_stop_the_run_before_it_begins(
    small: Lake, tmp_path: Path
) -> None:
    path = written(tmp_path, 'notebook = "runaway_rules"\nrealms = "all"\nwindow = "yesterday"\n')
    words = ["report", "run", str(path), "--out", str(tmp_path / "out"), "--as-of", "2026-07-10"]
    assert main([*words, "--lake", str(tmp_path / "nowhere")]) == 3
    assert main([*words, "--lake", str(small.root), "--set", "nodecap=5"]) == 2
    assert main(["report", "run", str(tmp_path / "missing.toml")]) == 2


# ---- the shelf -------------------------------------------------------------------------------------------------------


def card(day: int, state: str = "quiet", **given: Any) -> Card:
    name = given.get("name", "runaway_rules")
    values: dict[str, Any] = {
        "name": name, "notebook": "runaway_rules", "realm": None, "is_scoped": False, "family": "", "every": "day",
        "since": at(day), "until": at(day) + timedelta(days=1), "made_at": at(day) + timedelta(hours=30), "state": state,
    }  # fmt: skip
    values |= given
    about = "" if values["realm"] is None else f"_{abs(hash(values['realm']))}"
    end = ".failed" if state == "failed" else ""
    return Card(**{"folder": f"{name}{about}_2026-07-{day:02}_x{end}", **values})


def shelved(out: Path, *cards: Card) -> None:
    for one in cards:
        folder = out / one.folder
        folder.mkdir(parents=True)
        report_cards.write(one, folder)
        html = page.document("R", ["<p>body</p>"], nav=[("../index.html", "Reports")], has_neighbours=True)
        (folder / ("error.html" if one.is_failed else "report.html")).write_text(html, encoding="utf-8")


def test_old_scheduled_renderings_go_and_the_last_good_one_a_hand_made_one_and_foreign_folders_stay(
    tmp_path: Path,
) -> None:
    silent = card(1, realm="silent", is_scoped=True)
    by_hand = card(1, name="runaway_rules", every="", folder="runaway_rules_by-hand")
    other = card(1, name="weekly")
    shelved(tmp_path, card(1), card(2), card(2, "failed"), card(9), silent, by_hand, other)
    (tmp_path / "lake" / "executions").mkdir(parents=True)
    (tmp_path / "old").symlink_to(tmp_path / card(1).folder)
    gone = archive.expire(tmp_path, "runaway_rules", 7, SATURDAY)
    assert sorted(gone) == sorted([card(1).folder, card(2).folder, card(2, "failed").folder])
    kept = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert kept == {card(9).folder, silent.folder, by_hand.folder, other.folder, "lake"}
    assert archive.expire(tmp_path, "runaway_rules", 0, date(2036, 1, 1)) == []


def test_a_folder_with_a_card_that_cannot_be_read_is_left_out_and_left_alone(tmp_path: Path) -> None:
    shelved(tmp_path, card(9))
    for name, text in (("half", '{"name": '), ("other", "[]"), ("odd", '{"name": 5}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(text)
    assert [one.folder for one in report_cards.shelf(tmp_path)] == [card(9).folder]
    archive.refresh(tmp_path)
    archive.expire(tmp_path, "runaway_rules", 1, date(2036, 1, 1))
    assert {"half", "other", "odd"} <= {path.name for path in tmp_path.iterdir()}


def test_neighbours_are_linked_over_a_failed_day_and_mended_when_one_goes(tmp_path: Path) -> None:
    shelved(tmp_path, card(8), card(9, "failed"), card(10))
    archive.refresh(tmp_path, {card(10).folder})
    first, last = (tmp_path / card(day).folder / "report.html" for day in (8, 10))
    assert f'rel="next" href="../{card(10).folder}/report.html">Fri 10 July →' in first.read_text(encoding="utf-8")
    assert f'rel="prev" href="../{card(8).folder}/report.html">← Wed 8 July' in last.read_text(encoding="utf-8")
    before = last.read_bytes()
    archive.refresh(tmp_path, {card(10).folder})
    assert last.read_bytes() == before
    archive.expire(tmp_path, "runaway_rules", 1, SATURDAY)
    assert "rel=" not in last.read_text(encoding="utf-8")


# ---- the index -------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Links, titles of cells, tags and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.titles: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self._is_hidden = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._is_hidden = tag in ("style", "title")
        found = dict(attrs)
        self.links += [found["href"] or ""] if "href" in found else []
        self.titles += [found["title"] or ""] if "title" in found else []

    def handle_endtag(self, tag: str) -> None:
        self._is_hidden = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._is_hidden else data


def index_of(*cards: Card) -> Page:
    return Page(archive.index_document(sorted(cards, key=lambda one: one.until), made_at=at(11, 6)))


def test_the_newest_day_is_told_without_counting_a_finding_for_its_tenant_again() -> None:
    found = index_of(
        card(10, "new", counts={"new": 2, "worse": 1, "fixed": 1}),
        card(10, "new", counts={"new": 2}, realm="acme", is_scoped=True),
    )
    assert "10 July: 2 new, 1 worse, 1 fixed." in found.text
    assert "Reports · all realms together, 1 realm by itself · newest day" in found.text
    assert "Reports · newest day" in index_of(card(10)).text


def test_gaps_and_failures_are_seen_and_the_last_good_report_is_named_with_its_age() -> None:
    found = index_of(card(5), card(7, "worse"), card(8, "failed", verdict="no memory"), card(9), card(10, "failed"))
    assert "10 July: no report. One report failed." in found.text
    assert (
        "Runaway rules, 10 July: the report failed. You see the one of 9 July, 1 day old. Read the error" in found.text
    )
    said = {title.partition(". ")[0] for title in found.titles}
    assert said == {
        "Runaway rules, Sun 5 July: quiet", "Runaway rules, Mon 6 July: no report was made", "Runaway rules, Tue 7 July: worse",
        "Runaway rules, Wed 8 July: report failed", "Runaway rules, Thu 9 July: quiet", "Runaway rules, Fri 10 July: report failed",
    }  # fmt: skip
    assert f"{card(8, 'failed').folder}/error.html" in found.links and f"{card(9).folder}/report.html" in found.links


def test_a_failure_of_a_day_that_has_a_good_report_stands_until_it_is_made_again() -> None:
    good = card(10)
    found = index_of(good, replace(card(10, "failed"), made_at=good.made_at + timedelta(hours=1)))
    assert "You see the one of 10 July, made before that." in found.text


def test_a_weekly_report_is_missing_only_where_one_was_due() -> None:
    weeks = [card(day, every="monday", since=at(day) - timedelta(days=6)) for day in (5,)]
    late = card(19, every="monday", since=at(13))
    found = index_of(*weeks, late)
    assert [title for title in found.titles if "no report" in title] == [
        "Runaway rules, 7 days, Sun 12 July: no report was made"
    ]


def test_a_hand_made_report_leaves_no_gaps_and_a_post_mortem_stands_in_the_table() -> None:
    size = {"value": 31400.0, "low": 28000.0, "high": 34800.0, "grade": "good"}
    one = card(10, "fixed", name="post_mortem", notebook="post_mortem", every="", realm="acme", is_scoped=True, family="Speed",
               verdict="Version 3 paid more", size=size)  # fmt: skip
    found = index_of(card(5, every=""), card(10, every=""), one)
    assert not [title for title in found.titles if "no report" in title]
    assert "Version 3 paid more" in found.text and "31,400" in found.text and "[28,000 – 34,800]" in found.text
    assert one.page in found.links


def test_names_in_the_index_are_text_whatever_they_are() -> None:
    evil = '</a><script>alert(1)</script>" onmouseover="x\u202e'
    found = index_of(
        card(10, "failed", realm=evil, is_scoped=True, verdict=evil, family=evil, folder="runaway_rules_evil"),
        card(9, name="post_mortem", notebook="post_mortem", every="", realm=evil, is_scoped=True, verdict=evil),
    )
    assert "script" not in found.tags and "\u202e" not in found.text + "".join(found.titles)
    assert all(link.endswith(".html") for link in found.links)


def test_a_thousand_quiet_tenants_are_folded_and_one_that_is_not_stays_in_sight() -> None:
    cards = [
        card(10, "new" if place == 7 else "quiet", realm=f"r{place}", is_scoped=True, folder=f"r{place}")
        for place in range(1000)
    ]
    html = archive.index_document(cards, made_at=at(11))
    assert len(html) < 2 << 20
    assert html.index(">r7<") < html.index("999 more, all quiet") < html.index(">r8<")


def test_an_empty_shelf_says_so() -> None:
    assert "No report has been made yet." in index_of().text


def test_the_state_of_a_report_is_its_worst_finding_and_what_was_not_extracted_is_not_quiet() -> None:
    assert state_of({"new": 1, "worse": 1}, []) == "new"
    assert state_of({"worse": 1, "finding": 1}, ["2026-07-10"]) == "worse"
    assert state_of({"finding": 1, "fixed": 1}, []) == "known"
    assert state_of({"fixed": 1}, ["2026-07-10"]) == "no data"
    assert state_of({"fixed": 1}, []) == "fixed"
    assert state_of({"new": 0}, []) == "quiet"


def test_a_disk_that_is_full_for_one_report_ends_not_the_run(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[list[str], dict[str, str]]] = []

    def full(words: list[str], *, env: dict[str, str], **_: object) -> None:
        assert Path(env["TMPDIR"]).is_dir()
        told.append((words, env))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("analytics.reports.render.report_process.subprocess.Popen", full)
    monkeypatch.setattr(report_process.Warm, "fork", lambda *_: None)
    both = [Definition(name, "runaway_rules", window="yesterday", catch_up_days=1) for name in ("a", "b")]
    result = run(both, lake=str(lake.root), out=tmp_path / "out", today=SATURDAY)
    assert [(outcome.state, outcome.card.verdict.partition(",")[0]) for outcome in result.outcomes] == [
        ("failed", "No space left on device")
    ] * 2
    assert result.exit_code == 3
    package = Path(lock.__file__).parents[2]
    for words, env in told:
        assert "-P" in words and env["PYTHONPATH"].split(":")[0] == str(package), (
            "no module of the working folder is run"
        )
        assert not Path(env["TMPDIR"]).exists(), "what a report leaves in the temporary folder goes with it"
