"""A notebook of the package, run without a kernel: its cells leave what a kernel's would, and cannot hold up the report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

RUN = """import signal
import sys
from pathlib import Path
from analytics.reports.render import cells
signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts tests in the background has it ignored
try:
    cells.execute(Path(sys.argv[1]), Path(sys.argv[2]), {"answer": 42})
except BaseException as error:
    print(type(error).__name__, "caused by", type(error.__cause__).__name__)
"""


def run(folder: Path, *sources: str) -> tuple[str, list[list[dict[str, Any]]]]:
    """How it ended, and the outputs of each code cell."""
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("answer = 1", metadata={"tags": ["parameters"]})]
        + [nbformat.v4.new_code_cell(source) for source in sources]
    )
    book.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(book, folder / "in.ipynb")
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder / "in.ipynb"), str(folder / "out.ipynb")],
        capture_output=True, text=True, check=True, timeout=60, stdin=subprocess.PIPE,
    )  # fmt: skip
    executed = json.loads((folder / "out.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    return done.stdout.strip(), [cell["outputs"] for cell in cells[2:]]


def test_printed_displayed_and_last_values_stand_in_their_order_as_a_kernel_leaves_them(tmp_path: Path) -> None:
    told, [shown, plain] = run(
        tmp_path, "print('a'); print('b')\ndisplay({'x': 1})\nprint('c')\nanswer", "answer;\n_ = 3"
    )
    assert told == ""
    kinds = [(one["output_type"], one.get("text") or one["data"]["text/plain"]) for one in shown]
    assert kinds == [
        ("stream", ["a\n", "b\n"]),
        ("display_data", ["{'x': 1}"]),
        ("stream", ["c\n"]),
        ("execute_result", ["42"]),
    ]
    assert shown[-1]["execution_count"] == 3 and plain == []


@pytest.mark.parametrize(
    ("source", "name", "words"),
    [
        ("input('user?')", "EOFError", "EOF"),
        ("exit()", "RuntimeError", "a report runs to its end"),
        ("raise ValueError('planted')", "ValueError", "planted"),
        ("def broken(:", "SyntaxError", "invalid syntax"),
        ("import sys; sys.exit(3)", "SystemExit", "3"),
    ],
)
def test_a_cell_that_fails_ends_the_notebook_with_its_error_and_keeps_what_came_before(
    tmp_path: Path, source: str, name: str, words: str
) -> None:
    told, outputs = run(tmp_path, "'before'", source, "'never'")
    assert told == f"PapermillExecutionError caused by {name}"
    assert outputs[0][0]["data"]["text/plain"] == ["'before'"]
    [error] = [one for one in outputs[1] if one["output_type"] == "error"]
    assert error["ename"] == name and words in error["evalue"]
    assert outputs[2] == []


def test_being_asked_to_end_in_a_cell_is_no_error_of_the_cell(tmp_path: Path) -> None:
    told, _ = run(tmp_path, "import signal; signal.raise_signal(signal.SIGINT)")
    assert told == "KeyboardInterrupt caused by NoneType"
