"""Whatever stands behind an option: one sentence and code 2 or 3, never a traceback; and no file of others is replaced."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics import cli
from analytics.cli import demo
from analytics.cli.arguments import parse
from analytics.cli.options import options_of
from analytics.cli.output import ensure_ours, write_parquet
from analytics.cli.verbs import VERBS
from analytics.errors import UsageError

NEVER = ("--", "a\0b", "x\udce9y")
HOSTILE = (
    " ", "-", "-1", "0", "007", "1e309", "nan", "9" * 40, "1" * 5000, "true", "None", "null", "\u202e", "\n", "a\nb\rc", "\x1b[2J",
    "é" * 300, "🎈", "../..", "/", "/dev/null/x", "/proc/self/mem", "~", "~nobody-here/x", "file:///tmp/x", "file:x", "s3://",
    "s3://b/../x", "http://", "https://u:p@h:99999/x", "%2e%2e%2f%00", "'; drop table x; --", "<script>", "${HOME}", "$(id)", "*",
    "2026-13-45", "9999-12-31", "99999d", "=", "a=", "{}", "[", "C:\\x",
)  # fmt: skip
NO_LAKE = ["--lake", "no-lake-here", "--all-realms"]
ENOUGH = {
    "extract": ["--database-url", "postgresql://nobody@127.0.0.1:1/none", "--retries", "0", "--lake", "new"],
    "doctor": ["--database-url", "postgresql://nobody@127.0.0.1:1/none", "--lake", "no-lake-here"],
    "export": ["nodes", *NO_LAKE, "--out", "exported"],
    "expire": ["--lake", "no-lake-here", "--older-than", "36500d"],
    "pseudonym": ["nobody-1", "--lake", "no-lake-here"],
    "erase": ["--user", "nobody-1", "--lake", "no-lake-here"],
    "query": ["select 1", *NO_LAKE],
    "explain": ["abcdef", *NO_LAKE],
    "report": ["runaway_rules", *NO_LAKE],
    "gather": [*NO_LAKE, "--into", "gathered", "--share", "1/2"],
    "report run": ["none.toml"],
    "schedule": ["none.toml"],
    "demo": ["--lake-only", "--if-missing"],
}
SLOW = {
    ("extract", "--retries"),
    ("extract", "--wait"),
    ("report run", "--wait"),
    ("erase", "--wait"),
    ("expire", "--wait"),
}
"""What means what it says: it waits."""


def options() -> Iterator[tuple[str, str]]:
    """Every verb with each of its options that take a value."""
    for name, verb in VERBS.items():
        for _, option in options_of(verb.options()):
            if option.names and not option.is_flag:
                yield name, option.names[-1]


def call(verb: str, option: str, value: str) -> tuple[int, str]:
    """Code and words of a verb with this option; what else it needs is given."""
    words = [*ENOUGH.get(verb, NO_LAKE)]
    if option in words:
        del words[words.index(option) : words.index(option) + 2]
    if option == "--realm" and "--all-realms" in words:
        words.remove("--all-realms")
    told = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
        try:
            code = cli.main([*verb.split(), *words, f"{option}={value}"])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return code, told.getvalue()


@pytest.fixture(autouse=True)
def empty_handed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANALYTICS_LAKE", "no-lake-here")


def test_what_nobody_can_mean_is_refused_by_every_option():
    listed = list(options())
    assert len(listed) > 80
    for verb, option in listed:
        for value in (*NEVER, *([""] if option not in ("--realm", "--sample-rates") else [])):
            code, said = call(verb, option, value)
            assert (code, len(said.splitlines())) == (2, 2), (verb, option, value, said)


def hostile(verb: str, option: str, value: str) -> str:
    """What is wrong with the answer; empty when nothing is."""
    code, said = call(verb, option, value)
    if (
        code not in ((0, 1, 2, 3) if verb == "doctor" else (0, 2, 3))
        or "Traceback" in said
        or "fault of the program" in said
    ):
        return f"{verb} {option}={value!r}: {code} {said[-300:]}"
    return f"{verb} {option}={value!r}: {said}" if code > 1 and not 1 <= len(said.splitlines()) <= 4 else ""


@pytest.mark.parametrize("every", [pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(1800)]), 29])
def test_a_hostile_value_is_one_sentence_and_a_code(every):
    cases = [(*pair, value) for pair in options() if pair not in SLOW for value in HOSTILE]
    assert len(cases) > 3000
    assert [wrong for case in cases[::every] if (wrong := hostile(*case))] == []


def test_a_home_folder_behind_an_equals_sign_is_found(monkeypatch, tmp_path, lake):
    monkeypatch.setenv("HOME", str(tmp_path))
    words = ["query", "--lake", str(lake.root), "--all-realms", "select 1 as x", "--format", "csv", "--out=~/x.csv"]
    assert cli.main(words) == 0 and (tmp_path / "x.csv").read_text(encoding="utf-8").splitlines() == ["x", "1"]


def test_an_answer_replaces_an_earlier_answer_and_nothing_else_unasked(tmp_path):
    columns = ["a", "b"]
    own, other, head, fresh, listed, table, strange = (
        tmp_path / name for name in ("own.csv", "passwd", "head.csv", "fresh.csv", "own.json", "own.parquet", "strange.parquet")
    )  # fmt: skip
    own.write_text("a,b\r\n1,2\r\n", encoding="utf-8")
    other.write_text("root:x:0:0\n", encoding="utf-8")
    head.write_text("a,c\n1,2\n", encoding="utf-8")
    fresh.touch()
    listed.write_text(json.dumps({"a": 1, "b": 2}) + "\n", encoding="utf-8")
    write_parquet(pa.table({"a": [1]}), table)
    pq.write_table(pa.table({"a": [1]}), str(strange))
    for path in (own, fresh, listed, table, tmp_path / "new", Path("/dev/null")):
        ensure_ours(path, columns, overwrite=False)
    for path in (other, head, strange):
        with pytest.raises(UsageError, match="no earlier answer"):
            ensure_ours(path, columns, overwrite=False)
        ensure_ours(path, columns, overwrite=True)
    for path, said in ((tmp_path, "is a folder"), (tmp_path / "none" / "x.csv", "there is no folder")):
        with pytest.raises(UsageError, match=said):
            ensure_ours(path, columns, overwrite=True)


def test_the_command_leaves_a_file_of_others_alone(lake, tmp_path, capsys):
    target = tmp_path / "passwd"
    target.write_text("root:x:0:0\n", encoding="utf-8")
    words = [
        "query",
        "--lake",
        str(lake.root),
        "--all-realms",
        "select 1 as x",
        "--format",
        "csv",
        "--out",
        str(target),
    ]
    assert cli.main(words) == 2 and target.read_text(encoding="utf-8") == "root:x:0:0\n"
    assert "--overwrite" in capsys.readouterr().err
    assert [cli.main([*words, "--overwrite"]), cli.main(words)] == [0, 0]
    assert target.read_text(encoding="utf-8").splitlines() == ["x", "1"]


@pytest.mark.parametrize("words", [["report", "-v", "run"], ["-v", "report", "run"], ["report", "run", "-v"]])
def test_a_verb_of_two_words_is_one_wherever_it_is_asked_to_say_more(words):
    invocation = parse([*words, "x.toml"])
    assert (invocation.verb, invocation.verbosity) == ("report run", 1)


def test_a_file_of_an_answer_hides_no_number_that_is_none(tmp_path):
    # To DuckDB NaN is larger than any number, also where statistics of a Parquet file say that no number is as large.
    target = tmp_path / "answer.parquet"
    write_parquet(pa.table({"points": [1.0, float("nan")], "runs": [1, 2]}), target)
    assert duckdb.sql(f"select runs from '{target}' where points > 1e6").fetchall() == [(2,)]
    assert pq.read_metadata(target).row_group(0).column(1).statistics.max == 2


def test_what_parquet_has_no_type_for_is_text_in_the_file(tmp_path):
    target = tmp_path / "answer.parquet"
    asked = "select interval 1 day as a, 2 as b, [interval 1 hour] as c, {'d': null::interval} as d from range(2)"
    write_parquet(duckdb.sql(asked).to_arrow_table(), target)
    assert duckdb.sql(f"from '{target}'").fetchall() == [("1 day", 2, "['01:00:00']", "{'d': NULL}")] * 2


def test_a_demo_names_commands_that_there_are(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "on path"))
    for folder in ("on path", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "strategy-analytics").touch(0o755)

    def told(program):
        monkeypatch.setattr("sys.argv", [str(program)])
        return demo.what_next(demo.DemoOptions(), Path("a b/lake"), Path("counters.prom.gz"))

    assert [line.split(": ", 1)[1] for line in told(tmp_path / "on path" / "strategy-analytics")] == [
        "ANALYTICS_LAKE='a b/lake' strategy-analytics status --all-realms",
        "strategy-analytics audit --all-realms --lake 'a b/lake' --since 2026-06-27 --until 2026-07-11 "
        "--counters counters.prom.gz",
    ]
    assert " elsewhere/strategy-analytics status" in told("elsewhere/strategy-analytics")[0]
    assert f" {sys.executable} -m analytics status" in told(tmp_path / "analytics" / "__main__.py")[0]
    (tmp_path / "Makefile").touch()
    assert "make lab" not in told("elsewhere/strategy-analytics")[0]  # somebody else's
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "explore.ipynb").touch()
    assert told("elsewhere/strategy-analytics")[0].endswith(", or make lab")


def test_without_a_source_nothing_is_waited_for(monkeypatch, tmp_path, capsys):
    for name in ("ANALYTICS_DATABASE_URL", "DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits for a server that nobody named"))
    monkeypatch.setattr(psycopg, "connect", lambda **_: (_ for _ in ()).throw(psycopg.OperationalError("no such file")))
    assert cli.main(["extract", "--lake", str(tmp_path / "lake"), "--since", "2026-07-01"]) == 3
    said = capsys.readouterr().err
    assert "no source is named" in said and "--database-url" in said


@pytest.mark.parametrize("words", [["postmortem"], ["report", "postmortem"]])
def test_a_report_that_is_misspelled_is_meant(words, capsys):
    with contextlib.suppress(SystemExit):
        assert cli.main(words) == 2
    assert "did you mean" in (said := capsys.readouterr().err) and "post_mortem'" in said
