"""The edges of a process: where it writes, what it is told by its environment, and how it ends."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from analytics import cli
from analytics.config import Settings
from analytics.errors import ConfigurationError, named
from analytics.extraction.privacy.policy import PseudonymKey
from analytics.reports import leak_gate
from analytics.reports.leak_gate import Forbidden
from analytics.reports.render import rendering
from analytics.storage import place


def test_a_home_folder_is_found_where_no_shell_wrote_it_out(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    told = {name: f"~/{name}" for name in ("ANALYTICS_LAKE", "ANALYTICS_REPORTS", "ANALYTICS_PSEUDONYM_KEY_FILE")}
    found = Settings.from_env({**told, "ANALYTICS_COUNTERS": "~/c.prom"})
    assert (found.lake, found.reports) == (tmp_path / "ANALYTICS_LAKE", tmp_path / "ANALYTICS_REPORTS")
    assert found.pseudonym_key_file == str(tmp_path / "ANALYTICS_PSEUDONYM_KEY_FILE")
    assert found.counters == str(tmp_path / "c.prom")
    assert Settings.from_env({}, lake="~/x").lake == place("~/x") == tmp_path / "x"
    assert Settings.from_env({"ANALYTICS_COUNTERS": "https://h/~u"}).counters == "https://h/~u"


@pytest.mark.parametrize("value", ['"/data/lake"', "'/data/lake'"])
def test_a_value_in_quotation_marks_is_refused_for_docker_keeps_them(value):
    with pytest.raises(ConfigurationError, match="ANALYTICS_LAKE stands in quotation marks"):
        Settings.from_env({"ANALYTICS_LAKE": value})


@pytest.mark.parametrize("shell", ["{} >&-", "{} >&- 2>&- <&-", "{} | true; exit ${{PIPESTATUS[0]}}", "{} 2>&1 | true"])
def test_whoever_closes_or_leaves_the_output_sees_no_traceback_and_no_failed_check(shell):
    command = f"{sys.executable} -c 'from analytics.cli import main; raise SystemExit(main([\"--help\"]))'"
    done = subprocess.run(["bash", "-c", shell.format(command)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_an_old_encoding_lacks_is_escaped_and_a_file_is_utf8_all_the_same(encoding, lake, monkeypatch):
    """Answers and a page of help in the locale of a cron job: none is a fault of the program, and JSON stays JSON."""
    query = ["query", "select chr(233) || chr(8364) || chr(128512) as v", "--all-realms", "--lake", str(lake.root)]

    def out(*words: str) -> bytes:
        with io.TextIOWrapper(io.BytesIO(), encoding=encoding) as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            with contextlib.suppress(SystemExit):  # as argparse ends a page of help
                assert cli.main(list(words)) == 0
            stream.flush()
            return stream.buffer.getvalue()

    assert out(*query, "--format", "csv").decode() == "v\né€😀\n"
    assert json.loads(out(*query, "--format", "json").decode("ascii")) == [{"v": "é€😀"}]
    assert b"\\u20ac\\U0001f600" in out(*query)
    assert b"7d \\u2026" in out("audit", "--help")


@pytest.mark.parametrize("error", [MemoryError(), AssertionError(), RuntimeError("planted")])
def test_what_nobody_expected_is_named_and_has_not_the_code_of_a_failed_check(error, monkeypatch, capsys):
    def broken(_asked: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_run", broken)
    assert cli.main(["query", "--list"]) == 3
    *_, last = (line for line in capsys.readouterr().err.splitlines() if "strategy-analytics: " in line)
    assert "memory" in last if isinstance(error, MemoryError) else named(error) in last


def test_an_exception_without_a_message_has_the_name_of_its_class():
    assert (named(MemoryError()), named(AssertionError()), named(ValueError("a b"))) == (
        "MemoryError", "AssertionError", "ValueError: a b",
    )  # fmt: skip


def book_of(tmp_path: Path, *outputs: dict[str, object]) -> Path:
    cell = nbformat.v4.new_code_cell("1")
    cell.outputs = [nbformat.v4.new_output(**output) for output in outputs]
    path = tmp_path / "book.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


@pytest.mark.parametrize(
    "text", ["x" * 3_000_000, "/a" * 1_500_000, "ipykernel_1/" * 250_000, "user-17 \x1b]" * 300_000]
)
def test_what_a_cell_prints_is_cleaned_in_bounded_time_and_size(text, tmp_path):
    printed = [{"output_type": "stream", "name": "stdout", "text": text}] * 2
    path = book_of(
        tmp_path,
        *printed,
        {"output_type": "error", "ename": "E", "evalue": text, "traceback": [text, "Cell In[1], line 7"]},
    )
    known = Forbidden({}, frozenset(), {"/a": "the lake's folder"}, frozenset({"user-17"}))
    began = time.process_time()
    leak_gate.clean(path, known)
    assert time.process_time() - began < 10  # measured: 0.5 s; it was a quarter of an hour
    assert path.stat().st_size < 500_000
    said = path.read_text(encoding="utf-8")
    assert "letters left out" in said or len(text) < 3_000_000
    assert "user-17" not in said and "Cell In[1], line 7" in said


def test_a_page_says_what_it_does_not_take_from_its_notebook_and_shows_answers_of_the_lake(tmp_path, warehouse):
    from analytics.reports.explore import results

    data, marks = results.shown(warehouse.sql("select 'zebra-4711' as answer"))._repr_mimebundle_()
    own = {"output_type": "execute_result", "data": data, "metadata": marks}
    other = {"output_type": "display_data", "data": {"text/html": "<b>plot</b>"}}
    printed = {"output_type": "stream", "name": "stdout", "text": "hello"}
    pages = {
        name: rendering.assemble(book_of(tmp_path, *outputs))[1]
        for name, outputs in {"own": [own], "both": [own, other, printed], "other": [other], "none": []}.items()
    }
    assert ">zebra-4711<" in pages["own"] and "in report.ipynb only" not in pages["own"]
    assert ">zebra-4711<" in pages["both"] and "2 outputs of its notebook are in report.ipynb only" in pages["both"]
    assert "shows nothing: 1 output" in pages["other"] and "<b>plot</b>" not in pages["other"]
    assert "shows nothing: no cell" in pages["none"]


def test_a_key_file_that_others_can_read_is_told(tmp_path):
    path = tmp_path / "key"
    path.touch(0o600)
    assert not PseudonymKey.open_to_others(path) and not PseudonymKey.open_to_others(tmp_path / "none")
    path.chmod(0o640)
    assert PseudonymKey.open_to_others(path)
