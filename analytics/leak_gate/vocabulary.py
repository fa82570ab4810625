"""The words that stand in any report, whoever is logged: an id that is one of them cannot be told from the word."""

from __future__ import annotations

import ast
import calendar
import functools
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from analytics.leak_gate.ids import key, words_of

_MODULES = ("report*.py", "audit*.py", "*/*.py")
_ROOMS = ("page", "charts", "stories", "findings", "program")
"""Modules whose texts a report may hold: of these rooms, and those outside of rooms that write or audit."""
_BESIDE = (
    "page/templates/*",
    "sql/queries/*.sql",
    "sql/views/*.sql",
    "sql/variants/*.sql",
    "sql/audit/*.sql",
    "notebooks/*.ipynb",
    "../notebooks/*.ipynb",
)
"""Files that it holds parts of: the frame of its page, and the queries that it shows."""
_SVG = "rect clipPath clip-path patternUnits userSpaceOnUse polyline polygon ellipse viewBox stroke-width text-anchor"
_COUNTED = "one two three four five six seven eight nine ten eleven twelve twenty hundred thousand million billion"


def is_own_word(text: str) -> bool:
    """The reports themselves say it, whoever else does."""
    made = key(text)
    if made is None or made.text != text:
        return False
    vocabulary, words = _vocabulary()
    return words.issuperset(made.words) and made.at(vocabulary) >= 0


def are_own_words(text: str) -> bool:
    """Each of its words stands in some report, or is a number: together they may stand in one, whoever else says them."""
    words = _vocabulary()[1]
    return all(word.isdigit() or word in words for word in words_of(text))


def is_own_phrase(text: str) -> bool:
    """Several words that stand beside each other in a text of the reports."""
    return text in _vocabulary()[0]


@functools.cache
def _vocabulary() -> tuple[str, frozenset[str]]:
    """Texts and names in the modules that write reports, without the docstrings' examples, and what stands beside them."""
    package = Path(str(resources.files("analytics")))
    words = [
        *calendar.month_name,
        *calendar.month_abbr,
        *calendar.day_name,
        *calendar.day_abbr,
        _COUNTED,
        _SVG,
        _notebook(),
    ]
    words += [
        path.read_text(encoding="utf-8")
        for pattern in _BESIDE
        for path in sorted(package.glob(pattern))
        if path.is_file()
    ]
    modules = (path for pattern in _MODULES for path in sorted(package.glob(pattern)))
    for path in (path for path in modules if path.parent == package or path.parent.name in _ROOMS):
        words += _said(ast.parse(path.read_text(encoding="utf-8")))
    text = "\n".join(words)
    return text, words_of(text)


def _said(tree: ast.Module) -> Iterator[str]:
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value
        elif name := _name(node):
            yield name


_NAMES: Mapping[type[ast.AST], Callable[[Any], str | None]] = {
    ast.Name: lambda node: node.id,
    ast.Attribute: lambda node: node.attr,
    ast.arg: lambda node: node.arg,
    ast.keyword: lambda node: node.arg,
}


def _name(node: ast.AST) -> str:
    read = _NAMES.get(type(node))
    return (read(node) if read else None) or ""


def _notebook() -> str:
    """A notebook as nbformat writes one, with every kind of cell and output, and papermill's tags."""
    import nbformat.v4 as made

    cell = made.new_code_cell(metadata={"tags": ["injected-parameters", "papermill-error-cell-tag"]})
    cell["outputs"] = [
        made.new_output("stream", name="stdout", text="stderr"),
        made.new_output("error", ename="e", evalue="e", traceback=[]),
        *(
            made.new_output(kind, {"text/html": "", "image/svg+xml": "", "application/json": {}})
            for kind in ("display_data", "execute_result")
        ),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    book = made.new_notebook(cells=[made.new_markdown_cell(), made.new_raw_cell(), cell], metadata=about)
    return f"{made.writes(book)} ipykernel Parameters"
