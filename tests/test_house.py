"""The rules of the house: what imports what, how long a file may be, where output and the environment may be touched."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import analytics
from analytics import errors

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "analytics"
MODULES = sorted(PACKAGE.rglob("*.py"))
ORDER = (
    *(
        "errors",
        "version",
        "formats",
        "parameters",
        "shapes",
        "owner",
        "scratch",
        "signals",
        "object_store",
        "window",
        "rate_entries",
        "rates",
        "samples",
        "counter_files",
        "prometheus",
        "increments",
        "replicas",
        "counters",
        "model",
        "transaction_ids",
        "horizon",
        "config",
        "estimate",
        "ranks",
        "quantiles",
        "censoring",
        "unseen",
        "moments",
        "estimates",
        "stalls",
        "ratios",
        "differences",
        "schema",
        "codes",
        "sql",
        "catalog",
        "server_errors",
        "connect",
        "retry",
        "scan_plan",
        "source_table",
        "source_programs",
        "row_security",
        "copy_stream",
        "source",
        "flatten",
        "arrays",
        "native",
        "spill",
        "dictionary",
        "runs",
        "decode",
        "program",
        "people",
        "ledger",
    ),
    *(
        "disk",
        "lock",
        "expired",
        "lake_names",
        "lake",
        "expired_days",
        "losses",
        "lake_keys",
        "program_files",
        "cross_checks",
        "clocks",
        "admission",
        "origin",
        "strangers",
        "realm_tables",
        "program_history",
        "definitions",
        "lexicon",
        "portion",
        "columns",
        "rollup",
        "kept",
        "staging",
        "parquet_writer",
        "partition_files",
        "rewriting",
        "plan",
        "gathering",
        "versions",
        "day_files",
        "reading",
        "side_by_side",
        "expire",
        "retention",
        "transfer",
        "duplicates",
        "resurfaced",
        "bookkeeping",
        "extraction",
        "checks",
        "summary",
        "looks",
        "rule_verdicts",
        "refusals",
        "lockdown",
        "damage",
        "answer",
        "warehouse",
        "spark",
        "partials",
        "export",
        "subject",
        "erase",
        "status",
        "audit_steps",
        "audit_weights",
        "audit",
        "diagnosis",
        "doctor_volume",
        "doctor_server",
        "doctor_retention",
        "doctor",
    ),
    *(
        "findings",
        "fan_out",
        "page",
        "charts",
        "report_windows",
        "report_definitions",
        "report_cards",
        "stories",
        "showing",
        "opening",
        "report_builders",
        "last_report",
        "leak_gate",
        "report_notebooks",
        "report_folders",
        "report_failures",
        "report_kernel",
        "report_shelf",
        "reports",
        "report_jobs",
        "report_worker",
        "report_run",
        "api",
        "demo",
        "cli",
    ),
)
"""A module may import those before it, so every question has one place where its answer can be."""

HEAVY = (
    "numba",
    "duckdb",
    "pandas",
    "pyarrow",
    "sqlalchemy",
    "matplotlib",
    "psycopg",
    "numpy",
    "scipy",
    "papermill",
    "rich",
    "jinja2",
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def room(path: Path) -> str:
    """The part of the package a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_rooms(path: Path) -> set[str]:
    """Parts of the package a file imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(tree(path)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "analytics" and len(parts) > 1 and not parts[1].startswith("__"):
                found.add(parts[1])
    return found


def test_every_part_of_the_package_has_its_place_in_the_order() -> None:
    assert {room(path) for path in MODULES} - {"__init__", "__main__"} == set(ORDER)


@pytest.mark.parametrize("path", [p for p in MODULES if room(p) in ORDER], ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    allowed = set(ORDER[: ORDER.index(room(path)) + 1])
    assert imported_rooms(path) <= allowed


def test_only_the_command_imports_the_demo() -> None:
    assert {room(path) for path in MODULES if "demo" in imported_rooms(path)} - {"demo"} == {"cli"}


@pytest.mark.parametrize(
    "statement", ["import analytics", "import analytics.errors, analytics.model, analytics.config"]
)
def test_the_import_is_instant(statement: str) -> None:
    program = f"import sys; {statement}; print(*sorted({{m.split('.')[0] for m in sys.modules}} & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == ""


def test_the_public_names_are_sorted_and_all_of_them_exist() -> None:
    assert analytics.__all__ == sorted(analytics.__all__)
    assert [name for name in analytics.__all__ if not inspect.getdoc(getattr(analytics, name))] == []
    assert set(analytics.__all__) <= set(dir(analytics))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = analytics.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_can_be_read_in_one_sitting_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 500
    assert ast.get_docstring(tree(path))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.sql")), ids=name_of)
def test_every_sql_file_starts_with_a_comment(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("-- ")


def calls(path: Path, name: str) -> list[int]:
    nodes = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
    return [node.lineno for node in nodes if isinstance(node.func, ast.Name) and node.func.id == name]


def test_only_the_command_prints() -> None:
    assert [name_of(path) for path in MODULES if calls(path, "print") and room(path) != "cli"] == []


def test_only_config_reads_the_environment() -> None:
    def reads(path: Path) -> bool:
        words = {"environ", "getenv", "environb"}
        return any(
            (isinstance(node, ast.Attribute) and node.attr in words)
            or (isinstance(node, ast.alias) and node.name in words)
            for node in ast.walk(tree(path))
        )

    assert [name_of(path) for path in MODULES if reads(path)] == ["analytics/config.py"]


def test_nothing_is_evaluated_from_text() -> None:
    words = ("eval", "exec", "compile", "__import__")
    assert [(name_of(path), word) for path in MODULES for word in words if calls(path, word)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=name_of)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert [cell["source"] for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


def tracked() -> list[Path]:
    """Files that are in the repository, or would be with the next commit."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_no_machine_and_no_package_index_is_named_in_any_file() -> None:
    # spelled in halves, so that this file passes its own test
    words = ["/ro" + "ot/", "/ho" + "me/[a-z]", "/Us" + "ers/", "/wo" + "rk/", "-ind" + "ex-url", "find-li" + "nks"]
    forbidden = re.compile("|".join(words))
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        found += [f"{name_of(path)}: {match[0]}" for match in [forbidden.search(text)] if match]
    assert found == []


def test_no_secret_and_no_data_is_in_the_repository() -> None:
    endings = (".parquet", ".duckdb", ".pem", ".env", ".pgpass")
    assert [name_of(path) for path in tracked() if path.name.endswith(endings)] == []


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn: dict[str, tuple[str | None, int | None]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ([│├└─\s]*)([A-Z]\w+Error)\b(?:.*\bexit (\d+))?", line)
        if match:
            depth = len(match[1]) // 4
            above = [*above[:depth], match[2]]
            drawn[match[2]] = (above[-2] if depth else None, int(match[3]) if match[3] else None)
    classes = {
        name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
    }
    assert set(drawn) == set(classes)
    for name, (parent, exit_code) in drawn.items():
        assert parent == (None if name == "AnalyticsError" else classes[name].__base__.__name__)
        assert exit_code in (None, classes[name].exit_code)
        assert inspect.getdoc(classes[name])


def test_every_error_the_package_raises_on_purpose_is_one_of_the_tree() -> None:
    homeless = []
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error") and room(path) not in ("errors", "demo"):
                module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
                if not issubclass(getattr(module, node.name), errors.AnalyticsError):
                    homeless.append(f"{name_of(path)}: {node.name}")
    assert homeless == []
