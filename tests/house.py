"""The house in figures: rooms, imports between them, modules, long functions; ``python -m tests.house`` prints the table."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "analytics"
FLOORS = (
    "errors",
    "version",
    "sql",
    "window",
    "storage",
    "estimates",
    "model",
    "config",
    "program",
    "lake",
    "source",
    "extraction",
    "warehouse",
    "operations",
    "findings",
    "reports",
    "api",
    "demo",
    "cli",
)
"""Rooms and single files on top: each may import those before it, so every question has one place where its answer can be."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@dataclass
class House:
    """The package as a graph.

    Attributes:
        files: Dotted name of each module, and its file.
        imports: Modules of the package that each module imports, wherever in the file it does, for types as well.
    """

    files: dict[str, Path]
    imports: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, package: Path = PACKAGE) -> House:
        house = cls({_dotted(path, package.parent): path for path in sorted(package.rglob("*.py"))})
        house.imports = {name: set(house._imported(path)) for name, path in house.files.items()}
        return house

    def _imported(self, path: Path) -> Iterator[str]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if alias.name in self.files)
            elif isinstance(node, ast.ImportFrom) and node.module in self.files:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    yield full if full in self.files else node.module

    def upward(self) -> list[str]:
        """Imports of a room above."""
        floor = {name: number for number, name in enumerate(FLOORS)}
        return [
            f"{name} imports {other}"
            for name, others in self.imports.items()
            for other in sorted(others)
            if room(name) in floor and floor.get(room(other), -1) > floor[room(name)]
        ]

    def circles(self) -> list[list[str]]:
        """Modules that import each other, directly or by way of others (Tarjan's strongly connected components)."""
        number: dict[str, int] = {}
        low: dict[str, int] = {}
        stack: list[str] = []
        found: list[list[str]] = []

        def visit(name: str) -> None:
            number[name] = low[name] = len(number)
            stack.append(name)
            for other in sorted(self.imports[name]):
                if other not in number:
                    visit(other)
                    low[name] = min(low[name], low[other])
                elif other in stack:
                    low[name] = min(low[name], number[other])
            if low[name] == number[name]:
                circle = stack[stack.index(name) :]
                del stack[stack.index(name) :]
                if len(circle) > 1:
                    found.append(sorted(circle))

        for name in self.files:
            if name not in number:
                visit(name)
        return found

    def longest_chain(self) -> list[str]:
        """The longest way down through the rooms, from the command to the bottom."""
        below: dict[str, set[str]] = {}
        for name, others in self.imports.items():
            below.setdefault(room(name), set()).update(room(other) for other in others if room(other) != room(name))

        @cache
        def chain(name: str) -> tuple[str, ...]:
            lower = [other for other in FLOORS[: FLOORS.index(name)] if other in below.get(name, ())]
            ways = [chain(other) for other in lower]
            return (name, *max(ways, key=len, default=()))

        return list(max((chain(name) for name in FLOORS), key=len))

    def importers(self) -> Counter[str]:
        """How many modules import each."""
        return Counter(other for others in self.imports.values() for other in others)


def _dotted(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(name: str) -> str:
    """The part of the package a module belongs to."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = function.args
    names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return len([one for one in names if one.arg not in ("self", "cls")])


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def figures() -> list[tuple[str, int]]:
    """What is counted, and how much of it there is."""
    house = House.read()
    modules = list(house.files.values())
    importers = house.importers()
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    tests = list((ROOT / "tests").rglob("*.py"))
    longest = [(path, function) for path in modules for function in functions(path)]
    annotated = sum(
        isinstance(node, ast.Name) and node.id == "Any" for path in modules for node in ast.walk(tree(path))
    )
    return [
        ("rooms", len({room(name) for name, path in house.files.items() if path.parent != PACKAGE} - {"sql"})),
        ("files beside the rooms", len(list(PACKAGE.glob("*.py")))),
        ("longest chain of imports between rooms", len(house.longest_chain())),
        ("circles of modules", len(house.circles())),
        ("imports of a room above", len(house.upward())),
        ("modules", len([path for path in modules if path.name != "__init__.py"])),
        ("packages", len([path for path in modules if path.name == "__init__.py"])),
        (
            "modules with one importer",
            len([n for n, p in house.files.items() if p.name != "__init__.py" and importers[n] == 1]),
        ),
        ("lines of the package", sum(lines.values())),
        ("lines of tests", sum(len(path.read_text(encoding="utf-8").splitlines()) for path in tests)),
        ("longest module", max(lines.values())),
        ("functions over 50 lines, docstring aside", len([1 for _, one in longest if body_lines(one) > 50])),
        ("functions with more than 8 parameters", len([1 for _, one in longest if parameters(one) > 8])),
        ("Any in annotations", annotated),
    ]


if __name__ == "__main__":
    for what, count in figures():
        print(f"{what:45} {count:8,}")
