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
from tests import fewer, fixture_cache
from tests.house import FLOORS, PACKAGE, ROOT, House, tree
from tests.house import room as room_of

MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 500
MOST_FILES_BESIDE_THE_ROOMS = 8

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


@pytest.fixture(scope="module")
def house() -> House:
    return House.read()


def test_every_part_of_the_package_has_its_floor() -> None:
    assert {room(path) for path in MODULES} - {"__init__", "__main__"} == set(FLOORS)
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_FILES_BESIDE_THE_ROOMS


def test_imports_between_rooms_go_down(house: House) -> None:
    assert house.upward() == []


def test_no_modules_import_each_other(house: House) -> None:
    assert house.circles() == []


def test_the_page_that_leads_through_the_house_names_what_is_there() -> None:
    page = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+(?:/|\.(?:py|sql|ipynb)))`", page))
    assert len(named) > 50
    assert [name for name in sorted(named) if not ((PACKAGE / name).exists() or (ROOT / name).exists())] == []
    assert [one for one in FLOORS if f"`{one}`" not in page and f"`{one}/`" not in page] == []


def test_nothing_is_imported_relatively() -> None:
    assert [
        name_of(path)
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ] == []


def test_a_defect_of_each_kind_would_be_noticed(tmp_path: Path) -> None:
    package = tmp_path / "analytics"
    for name, text in {
        "errors.py": "from analytics.lake import ledger",
        "lake/__init__.py": "",
        "lake/ledger.py": "def late():\n    from analytics.lake import lake",
        "lake/lake.py": "from analytics.lake.ledger import late",
    }.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    planted = House.read(package)
    assert planted.upward() == ["analytics.errors imports analytics.lake.ledger"]
    assert planted.circles() == [["analytics.lake.lake", "analytics.lake.ledger"]]


def test_only_the_command_imports_the_demo(house: House) -> None:
    assert [
        name
        for name, others in house.imports.items()
        if any(room_of(one) == "demo" for one in others) and room_of(name) not in ("demo", "cli")
    ] == []


def test_what_the_lakes_of_the_tests_are_made_by_is_in_the_key_of_their_cache(house: House) -> None:
    in_key = set(fixture_cache.makers())
    used = [
        name
        for path in in_key
        if path.suffix == ".py" and not path.is_relative_to(PACKAGE)
        for name in house._imported(path)
    ]
    seen: set[str] = set()
    while used:
        name = used.pop()
        if name not in seen:
            seen.add(name)
            used.extend(house.imports[name])
    assert len(seen) > len(house.files) / 4
    assert [name for name in sorted(seen) if house.files[name] not in in_key] == []
    helpers = {
        path: _imports_of_tests(path) for path in in_key if path.is_relative_to(ROOT / "tests") and path.suffix == ".py"
    }
    assert sum(map(len, helpers.values())) > 10
    assert [
        (path.name, other.name) for path, others in helpers.items() for other in others if other not in in_key
    ] == []


def _imports_of_tests(path: Path) -> list[Path]:
    """Files of the tests that one of them imports."""
    modules = [node.module for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) and node.module]
    names = [
        f"{one.module}.{alias.name}"
        for one in ast.walk(tree(path))
        if isinstance(one, ast.ImportFrom)
        for alias in one.names
    ]
    places = {
        ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in [*modules, *names] if name.startswith("tests.")
    }
    return sorted(place for place in places if place.is_file())


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


def test_a_module_can_be_read_in_one_sitting_and_says_what_it_is() -> None:
    assert [name_of(path) for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES] == []
    assert [name_of(path) for path in MODULES if not ast.get_docstring(tree(path))] == []


def test_every_sql_file_starts_with_a_comment() -> None:
    files = sorted(PACKAGE.rglob("*.sql"))
    assert files
    assert [name_of(path) for path in files if not path.read_text(encoding="utf-8").startswith("-- ")] == []


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


def asks_for_the_kind_of_storage(path: Path) -> bool:
    """By a class of its own, or of its paths: ``isinstance(…, ObjectPath)`` and the like."""
    kinds = {"ObjectPath", "Bucket", "BucketStorage", "LocalStorage"}
    return any(
        (isinstance(node, ast.alias) and node.name in kinds)
        or (isinstance(node, ast.Name) and node.id in kinds)
        or (isinstance(node, ast.Attribute) and (node.attr in kinds or node.attr == "bucket"))
        for node in ast.walk(tree(path))
    )


def test_only_the_storage_knows_whether_it_is_a_disk_or_a_bucket() -> None:
    assert [name_of(path) for path in MODULES if asks_for_the_kind_of_storage(path) and room(path) != "storage"] == []


def test_nothing_is_evaluated_from_text() -> None:
    words = ("eval", "exec", "compile", "__import__")
    assert [(name_of(path), word) for path in MODULES for word in words if calls(path, word)] == []


def test_notebooks_are_kept_without_outputs() -> None:
    notebooks = {path: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "notebooks").glob("*.ipynb")}
    code = {path: [cell for cell in one["cells"] if cell["cell_type"] == "code"] for path, one in notebooks.items()}
    assert code
    assert [name_of(path) for path, cells in code.items() if not cells] == []
    assert [
        name_of(path)
        for path, cells in code.items()
        if any(cell["outputs"] or cell["execution_count"] is not None for cell in cells)
    ] == []


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


def test_every_test_of_which_few_cases_run_is_there() -> None:
    names = {
        part.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for part in ast.walk(tree(path))
        if isinstance(part, ast.FunctionDef)
    }
    assert [name for name in fewer.ONE_IN if name not in names] == []
