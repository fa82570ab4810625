"""What the README and the pages it leads to tell people to type is typed here.

Rendering itself, which takes long, is in tests/reports/test_notebooks.py.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from analytics.cli import main
from analytics.cli.arguments import parse
from analytics.demo import Demo
from analytics.estimates import sampling_rates
from analytics.lake.lake import Lake
from analytics.reports.explore.open_lake import open_lake
from analytics.reports.render import rendering
from analytics.reports.render.plan import Plan
from analytics.reports.render.rendering import Rendered
from analytics.reports.schedule.run import RunResult, jobs
from analytics.warehouse.warehouse import Warehouse

ROOT = Path(__file__).parent.parent
WALKED = (
    "README.md",
    *(
        f"docs/{name}.md"
        for name in (
            "first-hour", "own-database", "every-night", "explore", "runaway", "post-mortem", "receipt", "sampling",
            "people", "lake",
        )
    ),
)  # fmt: skip
"""Pages whose every line is run; of the other ones each line is read by the command's own parser."""
PAGES = ("README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")))
MOST_BYTES = 9_000


def blocks(language: str, *pages: str) -> list[str]:
    """Fenced blocks of a language, of the README where no page is named."""
    fence = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in pages or ("README.md",)]
    return [block for text in texts for found, block in fence.findall(text) if found == language]


def commands(program: str, *pages: str, languages: tuple[str, ...] = ("console",)) -> list[str]:
    """Lines of the blocks, each once, without what is said beside them."""
    lines = [
        line.removeprefix("$ ")
        for language in languages
        for text in blocks(language, *pages)
        for line in text.replace("\\\n", " ").splitlines()
    ]
    said = [re.split(r"\s+# ", line, maxsplit=1)[0].strip() for line in lines if line.startswith(program + " ")]
    return list(dict.fromkeys(said))


COMMANDS = commands("strategy-analytics", *WALKED)
_RUNS = frozenset(
    {"doctor", "extract", "status", "check", "query", "audit", "explain", "export", "report", "schedule", "gather"}
)
_FAILS = {"doctor": (0, 1), "check": (0, 1)}
"""What they find in a lake with planted mishaps is theirs; that they run is what is tried."""


def test_the_pages_have_the_commands_that_are_tried() -> None:
    assert len(COMMANDS) >= 20
    assert {line.split()[1] for line in COMMANDS} == _RUNS, "a new command: say below with what it runs here"


def test_the_readme_is_read_in_five_minutes_and_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.encode()) <= MOST_BYTES
    texts = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
    linked = {
        (ROOT / page).parent.joinpath(target).resolve()
        for page, text in texts.items()
        for target in re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", text)
    }
    assert [page for page in PAGES[1:] if (ROOT / page) not in linked] == []


def test_every_link_of_every_page_leads_to_a_file() -> None:
    pages = (*PAGES, "DECISIONS.md", "SECURITY.md", "CHANGELOG.md", "findings/README.md")
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8"))
    ]
    assert len(links) > 60
    assert [(page, target) for page, target in links if not ((ROOT / page).parent / target).is_file()] == []


def test_the_readmes_picture_asks_nobody_for_anything_and_names_what_there_is() -> None:
    [name] = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(text) < 10_000
    assert re.findall(r"(?:href|src)=\"(?!#)[^\"]*|url\((?!#)[^)]*|@import", text) == []
    drawn = ElementTree.fromstring(text)  # noqa: S314  # our own
    [words] = [
        {
            word
            for one in drawn.iter("{http://www.w3.org/2000/svg}text")
            if "code" in one.get("class", "")
            for word in (one.text or "").split(" · ")
        }
    ]
    assert words == {"extract", "query", "lake.sql()", "explain", "make lab", "report"}


@pytest.mark.parametrize("page", PAGES)
def test_each_command_line_of_a_page_is_taken_by_the_commands_own_parser(page: str) -> None:
    for line in commands("strategy-analytics", page, languages=("console", "sh", "")):
        words = shlex.split(re.split(r" \| | >|;| && | …", line, maxsplit=1)[0])[1:]
        assert parse(words) is not None, line


@pytest.mark.parametrize("page", PAGES)
def test_each_python_block_of_a_page_compiles(page: str) -> None:
    for text in (*blocks("python", page), *blocks("py", page)):
        compile(text, page, "exec")


@pytest.fixture(scope="module")
def checkout(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader stands in, with the demo's lake in it."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(lake.root, folder / "demo" / "lake")
    shutil.copytree(ROOT / "reports", folder / "reports", ignore=shutil.ignore_patterns("out"))
    shutil.copy(folder / "reports" / "runaway_rules.toml", folder / "reports" / "morning.toml")
    return folder


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_pages_runs(
    line: str,
    checkout: Path,
    demo: Demo,
    warehouse: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("ANALYTICS_LAKE", str(checkout / "demo" / "lake"))
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", demo.url)
    monkeypatch.setenv("ANALYTICS_SAMPLE_RATE", "0.05")
    planned: list[Plan] = []

    def render(plan: Plan) -> Rendered:
        assert plan.builder
        planned.append(plan)
        return Rendered(plan.target, plan.target, plan.target, {}, plan.card)

    def run(definitions: Any, **given: Any) -> RunResult:
        opened = open_lake(checkout / "demo" / "lake")
        chains = [jobs(one, opened, {}, date(2026, 7, 11)) for one in definitions]
        assert chains and all(chains)
        return RunResult([checkout / "out"])

    monkeypatch.setattr(rendering, "render", render)
    monkeypatch.setattr("analytics.reports.schedule.run.run", run)
    # What only the reader's own log has is asked of the demo's.
    [(run_id,)] = warehouse.sql(
        "select max(execution_id) from executions "
        "where family_name = 'Speed bonus' and strategy_version = 3 and status = 'ok'"
    ).fetchall()
    counters = str(demo.truth.with_name("counters.prom.gz"))
    here = {"acme": "acme-cycling", "https://prometheus.example": counters, "3f885dde": run_id}
    words = [here.get(word, word) for word in shlex.split(line)[1:]]
    code = main(words)
    told = capfd.readouterr()
    assert code in _FAILS.get(words[0], (0,)), told.err
    assert "Traceback" not in told.err
    if words[0] == "report" and words[1] not in ("run", "--list"):
        assert len(planned) == 1


@pytest.mark.parametrize(
    "target",
    sorted(
        {line.split()[1] for line in commands("make", *WALKED)}
        | {"lab", "docs", "schedule", "prove", "prove-scale", "bench"}
    ),
)
def test_a_target_of_the_pages_is_there(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_ten_lines_run(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    [text] = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(text, "README.md", "exec"), names)  # noqa: S102  # our own text
    assert "Version 3 of" in names["report"].head().text
    assert len(names["report"].inquiry.nodes.frame)


def test_what_the_page_on_exploring_shows_runs(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    [text] = blocks("python", "docs/explore.md")
    names: dict[str, Any] = {}
    exec(compile(text, "explore.md", "exec"), names)  # noqa: S102  # our own text
    [(rows,)] = names["lake"].sql("select count(*) from executions").fetchall()
    assert names["relation"].df()["logged_count"].sum() == rows


def test_the_file_of_rates_is_read(tmp_path: Path) -> None:
    [text] = blocks("toml", "docs/own-database.md")
    (tmp_path / "rates.toml").write_text(text, encoding="utf-8")
    found = sampling_rates.read_rate_entries(tmp_path / "rates.toml")
    assert [entry.rate for entry in found] == [0.05, 0.2, 1.0]
    assert found[1].since == datetime(2026, 7, 8, 14, 30, tzinfo=UTC)


def test_the_index_that_is_advised_can_be_made_and_its_command_prints_a_role(
    table: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    [text] = blocks("sql", "docs/own-database.md")
    with psycopg.connect(table.url, autocommit=True) as connection:
        connection.execute(text)  # type: ignore[arg-type]
    [(method,)] = table.execute(
        "select amname from pg_index join pg_class on oid = indexrelid join pg_am on pg_am.oid = relam "
        "where indrelid = 'strategyexecutionlog'::regclass and amname = 'brin'"
    )
    assert method == "brin"
    # what the role may and may not do: test_reader_role.py
    assert "strategy-analytics doctor --role-sql" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert main(["doctor", "--role-sql"]) == 0
    assert "create role" in capsys.readouterr().out
