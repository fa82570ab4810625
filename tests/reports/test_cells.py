"""A notebook of the package, run without a kernel: its cells leave what a kernel's would, and cannot hold up the report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import nbformat
import pytest

RUN = """import json, os, signal, sys
from pathlib import Path
from analytics.reports.render import cells
signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts tests in the background has it ignored
for folder in map(Path, sys.argv[1:]):
    child = os.fork()  # what is imported is the same for all, and each is a process of its own
    if child == 0:
        told = ""
        try:
            cells.execute(folder / "in.ipynb", folder / "out.ipynb", {"answer": 42})
        except BaseException as error:
            told = f"{type(error).__name__} caused by {type(error.__cause__).__name__}"
        (folder / "told").write_text(told)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""

ORDER = ("print('a'); print('b')\ndisplay({'x': 1})\nprint('c')\nanswer", "answer;\n_ = 3")
INTERRUPTED = ("import signal; signal.raise_signal(signal.SIGINT)",)
FAILING = [
    ("input('user?')", "EOFError", "EOF"),
    ("exit()", "RuntimeError", "a report runs to its end"),
    ("raise ValueError('planted')", "ValueError", "planted"),
    ("def broken(:", "SyntaxError", "invalid syntax"),
    ("import sys; sys.exit(3)", "SystemExit", "3"),
]
Ran: TypeAlias = "dict[tuple[str, ...], tuple[str, list[list[dict[str, Any]]]]]"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """By the sources of the cells: how it ended, and the outputs of each."""
    notebooks = [ORDER, INTERRUPTED, *(("'before'", source, "'never'") for source, _, _ in FAILING)]
    folders = [tmp_path_factory.mktemp("cells") for _ in notebooks]
    for sources, folder in zip(notebooks, folders, strict=True):
        book = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell("answer = 1", metadata={"tags": ["parameters"]})]
            + [nbformat.v4.new_code_cell(source) for source in sources]
        )
        book.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(book, folder / "in.ipynb")
    subprocess.run([sys.executable, "-c", RUN, *map(str, folders)], check=True, timeout=120, stdin=subprocess.PIPE)
    return {sources: _found(folder) for sources, folder in zip(notebooks, folders, strict=True)}


def _found(folder: Path) -> tuple[str, list[list[dict[str, Any]]]]:
    executed = json.loads((folder / "out.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    return (folder / "told").read_text(encoding="utf-8"), [cell["outputs"] for cell in cells[2:]]


def test_printed_displayed_and_last_values_stand_in_their_order_as_a_kernel_leaves_them(ran: Ran) -> None:
    told, [shown, plain] = ran[ORDER]
    assert told == ""
    kinds = [(one["output_type"], one.get("text") or one["data"]["text/plain"]) for one in shown]
    assert kinds == [
        ("stream", ["a\n", "b\n"]),
        ("display_data", ["{'x': 1}"]),
        ("stream", ["c\n"]),
        ("execute_result", ["42"]),
    ]
    assert shown[-1]["execution_count"] == 3 and plain == []


@pytest.mark.parametrize(("source", "name", "words"), FAILING)
def test_a_cell_that_fails_ends_the_notebook_with_its_error_and_keeps_what_came_before(
    ran: Ran, source: str, name: str, words: str
) -> None:
    told, outputs = ran["'before'", source, "'never'"]
    assert told == f"PapermillExecutionError caused by {name}"
    assert outputs[0][0]["data"]["text/plain"] == ["'before'"]
    [error] = [one for one in outputs[1] if one["output_type"] == "error"]
    assert error["ename"] == name and words in error["evalue"]
    assert outputs[2] == []


def test_being_asked_to_end_in_a_cell_is_no_error_of_the_cell(ran: Ran) -> None:
    told, _ = ran[INTERRUPTED]
    assert told == "KeyboardInterrupt caused by NoneType"
