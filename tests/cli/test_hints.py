"""Every command line that the package writes into a sentence is one that its own parser takes, whatever stands for its values."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from analytics.cli import main, output
from analytics.cli.arguments import parse
from analytics.cli.verbs import VERBS
from analytics.errors import UsageError, read_by_command
from analytics.findings.post_mortem import family
from analytics.reports import page
from tests.house import PACKAGE, tree

COMMAND = re.compile(rf"(`?)strategy-analytics ((?:{'|'.join(VERBS)})\b[^`;\n]*)")
"""As `errors.in_python` reads one: up to a backtick, a semicolon or the end."""


def sentences(path: Path) -> list[str]:
    """Texts of a module that are no docstring; what is filled in stands as a day, which any value of theirs may be."""
    module = tree(path)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inside = {id(part) for node in ast.walk(module) if isinstance(node, ast.JoinedStr) for part in node.values}
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            found.append(
                "".join(str(part.value) if isinstance(part, ast.Constant) else "2026-07-08" for part in node.values)
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | inside:
            found.append(node.value)
    return found


LINES = sorted(
    {
        (path.relative_to(PACKAGE).as_posix(), match[2].strip())
        for path in PACKAGE.rglob("*.py")
        if "strategy-analytics " in path.read_text(encoding="utf-8")  # to parse the others takes each worker seconds
        for text in sentences(path)
        for match in COMMAND.finditer(text)
        if not (match[1] and match[2] in VERBS)  # a verb is named, and nothing to be typed
    }
)


@pytest.mark.parametrize(("file", "line"), LINES)
def test_a_command_that_a_sentence_tells_is_taken_by_its_own_parser(file: str, line: str) -> None:
    try:
        assert parse(shlex.split(line, comments=True)) is not None
    except SystemExit as ended:
        assert ended.code == 0, f"{file}: put the command alone into backticks"  # its help
    except UsageError as refused:
        pytest.fail(f"{file}: {refused}")


def test_the_sentences_hold_the_commands_that_repair() -> None:
    told = {line.split()[0] for _, line in LINES}
    assert len(LINES) > 20 and {"extract", "status", "query", "report", "expire", "doctor"} <= told


@pytest.mark.parametrize(
    "name", ["it's", '"$(date)" `date`', "-x", "a\\b", "", "zürich ü", "tab\there", "no\u200bwidth", "\u202eback"]
)
def test_a_name_in_a_repair_comes_back_from_a_shell_as_it_was_and_hides_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [SimpleNamespace(realm_id="acme", family_name=one) for one in (name, "other")]
    monkeypatch.setattr(family._Member, "of", lambda _rows: found)
    with pytest.raises(UsageError) as refused, read_by_command():
        family._tagged(SimpleNamespace(rows=lambda *_, **__: None), "tag", None, True)  # type: ignore[arg-type]
    with read_by_command():
        written = refused.value.hint.partition(": ")[2]
    assert page.visible(written) == written
    said = subprocess.run(["bash", "-c", f"printf '%s\\0' {written}"], capture_output=True, check=True).stdout.decode()
    assert said.split("\0")[:-1] == [f"--family={name}", "--against=other"]
    assert page.visible(str(refused.value)) == str(refused.value).replace("\n", "\\n")


def test_a_repair_names_the_lake_that_the_command_was_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / "it's a lake"
    odd.mkdir()
    for words, named in ((["--lake", str(odd)], ["--lake", str(odd)]), ([], [])):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ANALYTICS_LAKE", str(odd))
            assert main(["query", "--realm", "acme", *words, "from executions"]) == 4
        told = capsys.readouterr().err
        command = told.partition("strategy-analytics extract")[2].splitlines()[0]
        assert shlex.split(command) == named, told
    assert output._told == {"lake": ""}
